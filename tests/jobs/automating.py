"""Policies with automations that act, and what the log says of each content."""

from __future__ import annotations

from typing import Any

from tests.jobs.conftest import Bench
from tests.support.fakerun import FakeRun

OLD = 'lastmodified < now("-24M")'


def automations(*wanted: dict[str, Any]) -> Any:
    """Return a change that makes these the automations of the default scheme, all enabled."""

    def change(data: dict[str, Any]) -> None:
        first = data["automationSchemes"][0]["automations"][0]
        data["automationSchemes"][0]["automations"] = [
            {**first, "id": f"a{number}", "name": f"A{number}", "enabled": True, **each}
            for number, each in enumerate(wanted)
        ]

    return change


def archive(cql: str = OLD, **action: Any) -> dict[str, Any]:
    return {"cql": cql, "action": {"type": "archive", **action}}


def delete(cql: str = OLD, **action: Any) -> dict[str, Any]:
    return {"cql": cql, "action": {"type": "delete", **action}}


def log(run: FakeRun) -> dict[str, tuple[str, str, str | None]]:
    assert len({item.content_id for item in run.logged}) == len(run.logged), "each content has one outcome"
    return {item.content_id: (item.action, item.outcome, item.reason) for item in run.logged}


def status(bench: Bench, content_id: str) -> str:
    return bench.site.get(content_id).status
