"""Content Steward: a Confluence Cloud add-on that keeps a site's content fresh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Flask


def create_app(*args: Any, **options: Any) -> Flask:
    """Build the add-on's Flask application; see addon.app.create_app."""
    from addon.app import create_app as create

    return create(*args, **options)


__all__ = ["create_app"]
