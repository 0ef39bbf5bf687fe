"""The Connect descriptor as a host installs it: one template, filled in with this deployment's values."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from addon.config import Settings

NAME = "atlassian-connect.json"
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")


def template_path() -> Path:
    """Return the template: inside this package when installed from a wheel, else at the top of the source tree."""
    package = Path(__file__).parent
    inside = package / NAME
    return inside if inside.is_file() else package.parent / NAME


def build(settings: Settings) -> dict[str, Any]:
    """Return the descriptor as a JSON-ready dictionary.

    Scopes are READ, WRITE and DELETE; ACCESS_EMAIL_ADDRESSES is asked for only once Atlassian approved it, because
    Confluence refuses the installation otherwise (docs/rules/connect.md 1.2). Raises KeyError on a name in
    braces that has no value.
    """
    values = {
        "baseUrl": settings.base_url,
        "addonKey": settings.addon_key,
        "namespace": settings.namespace,
    }
    descriptor: dict[str, Any] = _filled(json.loads(template_path().read_text(encoding="utf-8")), values)
    if settings.email_api == "approved":
        descriptor["scopes"].append("ACCESS_EMAIL_ADDRESSES")
    return descriptor


def _filled(node: Any, values: dict[str, str]) -> Any:
    """Fill in after parsing, so that no value can break out of its JSON string."""
    if isinstance(node, dict):
        return {name: _filled(value, values) for name, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, values) for value in node]
    if isinstance(node, str):
        return _PLACEHOLDER.sub(lambda match: values[match[1]], node)
    return node
