"""What a context token says of the page it was made on permits nothing: the person and the key asked for count."""

from __future__ import annotations

from typing import Any

import pytest

from tests.screens.conftest import ADMIN, EVE, SAM, House
from tests.support.answers import Answer, typed
from tests.support.connect import context_token

CONTEXTS: dict[str, Any] = {
    "the space asked for": {"confluence": {"space": {"key": "ENG", "id": "2"}}},
    "another space": {"confluence": {"space": {"key": "DOCS", "id": "1"}}},
    "no space": {"confluence": {}},
    "a legacy user": {"user": {"accountId": ADMIN, "userKey": ADMIN}},
    "nothing": {},
    "a text": "DOCS",
    "absent": None,
}


def _call(house: House, account: str, context: Any, method: str, path: str, **options: Any) -> Answer:
    token = context_token(house.secret, house.client_key, account, now=house.clock.now(), context=context)
    headers = {"Authorization": f"JWT {token}"}
    return typed(house.app.test_client().open(f"/api{path}", method=method, headers=headers, **options))


@pytest.mark.parametrize("context", CONTEXTS.values(), ids=CONTEXTS)
def test_the_context_of_a_token_opens_no_space(house: House, context: Any) -> None:
    for path in ("/jobs", "/executions", "/executions/current"):
        assert _call(house, SAM, context, "GET", f"{path}?spaceKey=ENG").status_code == 403
        assert _call(house, SAM, context, "GET", path).status_code == 403, "the site's scope is not a space's"
        assert _call(house, EVE, context, "GET", f"{path}?spaceKey=DOCS").status_code == 403
        assert _call(house, SAM, context, "GET", f"{path}?spaceKey=DOCS").status_code == 200
    start = {"job": "refresh-statuses", "scope": "space", "spaceKey": "ENG"}
    assert _call(house, SAM, context, "POST", "/executions", json=start).status_code == 403


@pytest.mark.parametrize("key", ["", " ", "../ENG", "DOCS/../ENG", "DOCS%2F", "DOCS,ENG", 'DOCS"', "D\0", "x" * 256])
def test_a_key_that_is_none_never_reaches_the_site(house: House, key: str) -> None:
    before = house.site.meter.calls
    for account in (SAM, ADMIN):
        answer = house.get("/jobs", account=account, spaceKey=key)
        assert answer.status_code == 422, answer.text
        assert answer.json["errors"][0]["pointer"] == "spaceKey"
        body = {"job": "refresh-statuses", "scope": "space", "spaceKey": key}
        assert house.call("POST", "/executions", account=account, json=body).status_code == 422
    assert house.site.meter.calls == before


def test_two_space_keys_are_one_too_many(house: House) -> None:
    answer = house.call("GET", "/jobs?spaceKey=DOCS&spaceKey=ENG", account=SAM)
    assert answer.status_code == 422
