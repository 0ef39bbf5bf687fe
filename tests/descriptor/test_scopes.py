"""The descriptor asks for what the code calls, and for nothing more; the specs say what each call needs."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from addon.config import Settings
from addon.confluence.http.endpoints import APPROVED_ENDPOINTS, ENDPOINTS
from descriptor import build, implied

SPECS = Path(__file__).parents[3] / "shared" / "openapi"


@cache
def _scopes() -> dict[tuple[str, str], str]:
    """The scope of every operation in the published specs, by method and path."""
    found: dict[tuple[str, str], str] = {}
    for name in ("confluence-v1.json", "confluence-v2.json"):
        spec: dict[str, Any] = json.loads((SPECS / name).read_text())
        for path, operations in spec["paths"].items():
            for method, operation in operations.items():
                if isinstance(operation, dict) and "x-atlassian-connect-scope" in operation:
                    found[method.upper(), path] = operation["x-atlassian-connect-scope"]
    return found


@pytest.fixture(autouse=True)
def _specs_are_here() -> None:
    if not SPECS.is_dir():
        pytest.skip("Atlassian's published specifications are not there")


def _needed(*, approved: bool) -> set[str]:
    calls = (*ENDPOINTS, *APPROVED_ENDPOINTS) if approved else ENDPOINTS
    return {_scopes()[method, path] for method, path in calls} - {"NONE"}


def test_every_call_is_an_operation_of_the_specs_that_apps_may_use() -> None:
    calls = [(method, path) for method, path in (*ENDPOINTS, *APPROVED_ENDPOINTS)]
    missing = [call for call in calls if call not in _scopes()]
    assert not missing
    forbidden = [call for call in calls if _scopes()[call] == "INACCESSIBLE"]
    assert not forbidden


@pytest.mark.parametrize("email_api", ["off", "approved"])
def test_the_scopes_are_exactly_those_the_calls_need(email_api: Any) -> None:
    asked = set(build(Settings(email_api=email_api))["scopes"])
    needed = _needed(approved=email_api == "approved")
    assert needed <= implied(asked), "a call would be refused"
    assert implied(asked) <= implied(needed), "the descriptor asks for more than the calls need"
