"""What one editor writes, by whatever app: it costs their own page something at most, and no other page anything.

Each round writes hostile properties, titles, names, restrictions and permissions next to pages that have work waiting
for every job; then each job and the byline do that work as if nobody had written anything. STEWARD_FUZZ multiplies the
rounds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from addon.base import Database
from addon.jobs.models import ContentStamp
from addon.migrations import schema
from addon.sandbox.people import BOT
from tests.support.clock import VirtualClock
from tests.support.house import House, house_over
from tests.support.postgres import PostgresServer
from tests.support.site import small_site

TIMES = int(os.environ.get("STEWARD_FUZZ", "1"))
pytestmark = pytest.mark.timeout(180 * TIMES)
SPACES = ("DOCS", "ENG", "HR")
EVE = "u-eve"
MANY = 6
"""Hostile pages a round, in each of two spaces."""
_NUMBERS = count(1)


def rounds(number: int) -> settings:
    return settings(
        max_examples=number * TIMES,
        derandomize=TIMES == 1,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )


texts = st.one_of(
    st.text(st.characters(), max_size=40),
    st.text(st.characters(categories=["Cs", "Cc"]), min_size=1, max_size=5),
    st.sampled_from(
        ["\0", "\ud800", "\udfff x", "x" * 64, "x" * 65, "é" * 255, "expired", "not-updated", "up-to-date"]
    ),
)
dates = st.one_of(
    st.dates().map(str),
    st.datetimes().map(str),
    st.sampled_from(
        [
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-12:00",
            "0001-01-01",
            "9999-12-31",
            "2026-W01-1",
            "2026-02-30",
            "2020-01-01",
        ]
    ),
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers().map(lambda n: 10 ** (abs(n) % 4000))
    | st.floats(allow_nan=False, allow_infinity=False)
)
deep = st.integers(1, 400).map(lambda levels: _nested(levels))
junk = st.one_of(
    scalars,
    texts,
    dates,
    deep,
    st.integers(1, 5000).map(lambda number: [{}] * number),
    st.lists(scalars | texts, max_size=4),
    st.dictionaries(texts, scalars | texts, max_size=4),
)
stamps = junk | st.fixed_dictionaries(
    {},
    optional={
        "id": texts | junk,
        "previous": texts | junk,
        "changedOn": dates | junk,
        "content": st.just("its own") | junk,
        "name": junk,
        "icon": junk,
    },
)
reviews = junk | st.fixed_dictionaries(
    {}, optional={"expirationDate": dates | junk, "reviewedOn": dates | junk, "keep": st.booleans() | junk, "x": junk}
)
people = st.lists(st.sampled_from([BOT, EVE, "u-sam", "u-hid", "u-nobody", "\ud800", "x" * 200]), max_size=3)
restrictions = st.none() | st.tuples(st.sampled_from(["read", "update"]), people)
grants = st.tuples(
    st.sampled_from(["user", "group", "role", "\0"]),
    texts,
    st.sampled_from(["read", "delete", "administer", "create", "\ud800", "x" * 500]),
    texts,
)
pages = st.fixed_dictionaries(
    {"stamp": st.none() | stamps, "review": st.none() | reviews, "title": st.none() | texts, "restricted": restrictions}
)
properties = st.fixed_dictionaries({"stamp": stamps, "review": reviews, "title": st.none(), "restricted": st.none()})


def _nested(levels: int) -> Any:
    value: Any = "expired"
    for level in range(levels):
        value = [value] if level % 2 else {"id": value}
    return value


OWN = {"content": "its own", "id": "expired"}
KNOWN: list[dict[str, Any]] = [
    {"stamp": OWN | {"id": "x" * 65}, "review": {"expirationDate": "2020-01-01"}},
    {"stamp": OWN | {"previous": "\0"}, "review": {"reviewedOn": "1999-01-01", "expirationDate": "0001-01-01"}},
    {"stamp": OWN | {"previous": "x" * 65, "changedOn": "0001-01-01T00:00:00+14:00"}, "review": None},
    {
        "stamp": OWN | {"changedOn": "2001-01-01T00:00:00Z", "name": _nested(400), "icon": "\ud800"},
        "review": _nested(400),
    },
    {"stamp": OWN | {"id": "\ud800", "icon": 10**4200}, "review": {"expirationDate": "9999-12-31T23:59:59-12:00"}},
]
"""Done before against the running product."""


@contextmanager
def house_with_work(folder: Path, **made: Any) -> Iterator[House]:
    """A house whose jobs have rules: the old is mailed about, then trashed; what is expired by its date is trashed."""
    clock = VirtualClock()
    with house_over(small_site(clock), clock, folder, quota_points=10_000_000, **made) as house:
        answer = house.api("GET", "/api/policies")
        policies = answer.json()
        rule = policies["notificationSchemes"][0]["rules"][0]
        rule |= {"enabled": True, "cql": 'type = page and lastmodified < now("-60M")', "recipients": ["author"]}
        first = policies["automationSchemes"][0]["automations"][0] | {"enabled": True}
        policies["automationSchemes"][0]["automations"] = [
            first | {"id": f"a{number}", "name": f"A{number}", "cql": cql, "action": {"type": "delete", "cap": 500}}
            for number, cql in enumerate(
                (
                    'type = page and lastmodified < now("-60M") and stewardStatus = "expired"',
                    "stewardExpirationDate < now()",
                    'stewardStatus = "expired" and stewardStatusChangedOn < now("-60M")',
                )
            )
        ]
        stored = house.api("PUT", "/api/policies", json=policies, headers={"If-Match": answer.headers["ETag"]})
        assert stored.ok, stored.text
        house.run("refresh-statuses")
        yield house


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house_with_work(tmp_path_factory.mktemp("editors")) as made:
        yield made


@pytest.fixture(scope="module")
def house_on_postgres(tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer) -> Iterator[House]:
    postgres_server.execute("CREATE DATABASE editors")
    url = postgres_server.url("editors")
    empty = Database(url, patience=None)
    schema.upgrade(empty)
    empty.dispose()
    with house_with_work(tmp_path_factory.mktemp("editors"), database_url=url) as made:
        yield made


def old_page(house: House, space: str) -> str:
    """Add a page that every job has to do with."""
    then = house.clock.now() - timedelta(days=2500)
    return house.site.add_page(space, f"Old {next(_NUMBERS)}", author=EVE, created_at=then).id


def hostile_page(house: House, space: str, wanted: dict[str, Any]) -> str:
    """Add a page of today and write to it what somebody wants."""
    site = house.site
    page = site.add_page(space, f"Hostile {next(_NUMBERS)}", author=EVE).id
    for key, value in (("steward-status", wanted["stamp"]), ("steward-review", wanted["review"])):
        if value is None:
            continue
        if isinstance(value, dict) and value.get("content") == "its own":
            value = value | {"content": page}
        site.set_property(page, key, value)
    if wanted["title"] is not None:
        site.edit(page, title=wanted["title"])
    if wanted["restricted"] is not None:
        operation, users = wanted["restricted"]
        site.restrict(page, users=users, operation=operation)
    return page


def successful(house: House, job: str) -> dict[str, Any]:
    execution = house.run(job)
    spaces = house.api("GET", f"/api/executions/{execution['id']}/spaces").json()["items"]
    assert execution["status"] == "successful", spaces
    metrics: dict[str, Any] = execution["metrics"]
    assert metrics["spacesFailed"] == 0
    for path in ("items", "spaces"):
        assert house.api("GET", f"/api/executions/{execution['id']}/{path}", params={"limit": 100}).ok
    return metrics


def nothing_but_their_own(house: House, wanted: list[dict[str, Any]]) -> None:
    """Let every job and the byline meet the hostile pages among others, and look at the others."""
    old = {space: old_page(house, space) for space in SPACES}
    hostile = [hostile_page(house, SPACES[number % 2], each) for number, each in enumerate([*_fresh(KNOWN), *wanted])]
    house.clock.advance(timedelta(hours=1))
    successful(house, "refresh-statuses")
    assert {space: _stamp(house, page) for space, page in old.items()} == dict.fromkeys(SPACES, "expired")
    for page in (*hostile, *old.values()):
        seen = [house.api("GET", f"/api/content/{page}/status", account=EVE)]
        seen += [house.api("POST", f"/api/content/{page}/refresh", account=EVE)] if page in hostile[:2] else []
        assert all(answer.status_code < 500 for answer in seen), [answer.text for answer in seen]
        assert page in hostile or seen[0].json()["status"]["id"] == "expired"
    told = successful(house, "send-notifications")
    assert (told["contentsMatched"], told["emailsSent"], told["emailsFailed"]) == (3, 1, 0)
    assert "contentsUntold" not in told
    done = successful(house, "execute-automations")
    assert {house.site.get(page).status for page in old.values()} == {"trashed"}
    assert done["contentsDeleted"] == 3
    assert {house.site.get(page).status for page in hostile} == {"current"}
    for page in hostile:
        house.site.unrestrict(page)
        house.site.trash(page)


def _fresh(wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each | {"title": None, "restricted": None} for each in wanted]


def _stamp(house: House, content_id: str) -> str | None:
    with house.parts.db.read_all() as session:
        row = session.query(ContentStamp).filter_by(content_id=content_id).one_or_none()
        return None if row is None else row.slug


@rounds(4)
@given(st.lists(pages, min_size=MANY, max_size=MANY), texts, st.lists(grants, max_size=3))
def test_what_an_editor_writes_concerns_no_other_page(
    house: House, wanted: list[dict[str, Any]], name: str, granted: list[tuple[str, str, str, str]]
) -> None:
    space = house.site.space("ENG")
    space.name = name
    house.site.people["u-hid"].display_name = name
    before = house.site.access.rows(space.id)[:]
    for kind, principal, operation, target in granted:
        house.site.access.grant(space.id, kind, principal, operation, target)  # type: ignore[arg-type]
    nothing_but_their_own(house, wanted)
    house.site.access._rows[space.id] = before


@rounds(3)
@given(st.lists(properties, min_size=MANY, max_size=MANY))
def test_what_an_editor_stores_concerns_no_other_page_on_postgresql_either(
    house_on_postgres: House, wanted: list[dict[str, Any]]
) -> None:
    nothing_but_their_own(house_on_postgres, wanted)
