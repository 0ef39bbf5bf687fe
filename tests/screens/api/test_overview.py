"""What the overview says of spaces and statuses, and that it never says a number itself."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from addon.engine import ExecutionSpace, RunSpace
from addon.jobs.models import ContentStamp, SiteTrait
from tests.screens.conftest import ADMIN, EVE, SAM, House


def overview(house: House, *, account: str = ADMIN, **query: str) -> dict[str, Any]:
    answer = house.get("/overview", account=account, **query)
    assert answer.status_code == 200, answer.json
    found: dict[str, Any] = answer.json
    return found


def change(house: House, **fields: Any) -> None:
    version = house.get("/policies").headers["ETag"]
    document = house.get("/policies").json | fields
    answer = house.call("PUT", "/policies", json=document, headers={"If-Match": version})
    assert answer.status_code == 200, answer.json


@pytest.fixture
def refreshed(house: House) -> House:
    """A refresh over DOCS and ENG has ended."""
    spaces = [RunSpace(house.site.space(key).id, key, key.title(), "global") for key in ("DOCS", "ENG")]
    house.jobs["refresh-statuses"].listing = lambda _run: spaces
    house.run()
    return house


def test_every_cell_comes_with_the_question_that_counts_it_and_none_with_a_number(refreshed: House) -> None:
    with refreshed.parts.db.write(refreshed.tenant_id) as session:
        session.add(stamp(refreshed, "12345", "expired"))
    found = overview(refreshed, keys="DOCS,ENG")
    docs = found["items"][0]
    base = '(type in (page, blogpost)) and (space in ("DOCS"))'
    assert docs["total"] == base
    assert [(cell["status"], cell["default"]) for cell in docs["cells"]][-1] == ("up-to-date", True)
    assert docs["cells"][0]["cql"] == f'{base} and (stewardStatus = "{docs["cells"][0]["status"]}")'
    rest = docs["cells"][-1]["cql"]
    assert rest.startswith(base)
    assert "not (" in rest
    assert not any(isinstance(value, int) and not isinstance(value, bool) for value in leaves(found))


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for each in value.values() for leaf in leaves(each)]
    if isinstance(value, list):
        return [leaf for each in value for leaf in leaves(each)]
    return [value]


def stamp(house: House, content_id: str, slug: str) -> ContentStamp:
    return ContentStamp(
        tenant_id=house.tenant_id,
        content_id=content_id,
        kind="page",
        space_id=house.site.space("DOCS").id,
        slug=slug,
        changed_on=house.clock.now(),
        written_at=house.clock.now(),
    )


def test_the_columns_are_the_statuses_of_the_schemes_shown_in_the_order_of_the_policies(refreshed: House) -> None:
    policies = refreshed.get("/policies").json
    order = [status["id"] for status in policies["statuses"]]
    columns = [status["id"] for status in overview(refreshed, keys="DOCS")["statuses"]]
    default = next(scheme for scheme in policies["statusSchemes"] if scheme["default"])
    assert set(columns) == {entry["status"] for entry in default["entries"]}
    assert columns == [slug for slug in order if slug in columns]


def test_a_space_says_when_it_was_refreshed_and_one_that_never_was_says_so(refreshed: House) -> None:
    found = overview(refreshed, keys="DOCS,HR")
    docs, people = found["items"]
    assert docs["refreshedAt"] is not None
    assert people["refreshedAt"] is None
    assert found["refreshedAt"] is not None


def test_before_the_first_refresh_there_is_no_time_of_one(house: House) -> None:
    assert overview(house)["refreshedAt"] is None
    assert overview(house, account=SAM, spaceKey="DOCS")["refreshedAt"] is None


def test_an_excluded_space_and_one_the_app_cannot_see_come_with_the_reason_and_nothing_to_count(
    refreshed: House,
) -> None:
    change(refreshed, excludedSpaces=[{"key": "ENG"}])
    refreshed.site.access.set_app(refreshed.site.space("HR").id, [])
    _, eng, people, nowhere = overview(refreshed, keys="DOCS,ENG,HR,NOWHERE")["items"]
    assert eng["note"] == "excluded by rule: space ENG"
    assert "cannot see this space" in people["note"]
    assert people["note"] == nowhere["note"]
    assert [row["cells"] for row in (eng, people, nowhere)] == [[], [], []]


def test_where_statuses_are_not_stamped_the_overview_says_so(house: House) -> None:
    change(house, statusStamps=False)
    assert overview(house)["stamps"] is False


def test_where_negation_finds_only_what_is_stamped_the_default_has_no_link(refreshed: House) -> None:
    with refreshed.parts.db.write(refreshed.tenant_id) as session:
        session.merge(SiteTrait(tenant_id=refreshed.tenant_id, negation="exclusive", census={}, unfound=[]))
    cells = overview(refreshed, keys="DOCS")["items"][0]["cells"]
    assert [cell["cql"] is None for cell in cells] == [cell["default"] for cell in cells]


def test_a_spaces_administrator_sees_that_space_and_no_other(refreshed: House) -> None:
    found = overview(refreshed, account=SAM, spaceKey="DOCS")
    assert [row["key"] for row in found["items"]] == ["DOCS"]
    assert refreshed.get("/overview", account=SAM, spaceKey="ENG").status_code == 403
    assert refreshed.get("/overview", account=SAM, keys="DOCS").status_code == 403
    assert refreshed.get("/overview", account=EVE).status_code == 403
    assert refreshed.get("/overview", account=SAM, spaceKey="DOCS", keys="ENG").status_code == 422


@pytest.mark.parametrize("keys", [",".join(f"K{n}" for n in range(21)), "", "DOCS,", 'DOCS"', "a b"])
def test_more_than_twenty_spaces_and_what_is_no_key_are_refused(house: House, keys: str) -> None:
    assert house.call("GET", f"/overview?keys={keys}").status_code == 422


def test_a_page_of_twenty_spaces_costs_one_look_up_in_a_quarter_of_an_hour(
    refreshed: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    overview(refreshed)
    before = refreshed.site.meter.points
    for _look in range(5):
        overview(refreshed, keys="DOCS,ENG,HR")
    assert refreshed.site.meter.points - before == 4


def test_when_a_space_was_refreshed_is_looked_up_by_key_however_long_the_history(refreshed: House) -> None:
    statements: list[str] = []

    def heard(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        statements.append(statement)

    sa.event.listen(refreshed.parts.db.engine, "before_cursor_execute", heard)
    overview(refreshed, keys="DOCS")
    asked = [each for each in statements if ExecutionSpace.__tablename__ in each and "max(" in each]
    assert len(asked) == 1
    plan: list[str] = []
    with refreshed.parts.db.engine.connect() as connection:
        for step in connection.exec_driver_sql("EXPLAIN QUERY PLAN " + asked[0].replace("?", "'x'")):
            plan.append(str(step))
    assert not [step for step in plan if "SCAN execution_space" in step]


def seen(house: House, ids: list[str], *, account: str = ADMIN, key: str = "DOCS", **body: Any) -> Any:
    return house.call("POST", "/overview/seen", account=account, json={"key": key, "ids": ids, **body})


def test_of_the_contents_that_the_viewer_sees_the_app_says_how_many_it_sees_too(house: House) -> None:
    shown = [house.site.add_page("DOCS", f"Page {number}").id for number in range(3)]
    hidden = house.site.add_page("DOCS", "Secret").id
    elsewhere = house.site.add_page("ENG", "Elsewhere").id
    house.site.restrict(hidden, users=[ADMIN], groups=[])
    assert seen(house, [*shown, hidden]).json == {"seen": 3}
    assert seen(house, [*shown, *shown, elsewhere]).json == {"seen": 3}
    assert seen(house, []).json == {"seen": 0}


def test_many_contents_are_asked_for_in_few_questions(house: House) -> None:
    with house.site.lock:
        ids = [house.site.add_page("DOCS", f"Page {number}").id for number in range(1000)]
    house.site.meter.reset()
    assert seen(house, ids).json == {"seen": 1000}
    asked = house.site.meter.by_endpoint["GET /wiki/rest/api/search"]
    assert asked.points == asked.calls <= 3


def test_where_search_does_not_count_what_the_app_sees_is_read(house: House) -> None:
    page = house.site.add_page("DOCS", "Page").id
    house.site.faults.add(status=404, path="/wiki/rest/api/search")
    assert seen(house, [page]).json == {"seen": 1}


def test_a_spaces_administrator_asks_about_that_space_only(house: House) -> None:
    assert seen(house, ["1"], account=SAM, spaceKey="DOCS").json == {"seen": 0}
    assert seen(house, ["1"], account=SAM, spaceKey="DOCS", key="ENG").status_code == 422
    assert seen(house, ["1"], account=SAM).status_code == 403
    assert seen(house, ["1"], account=EVE, spaceKey="DOCS").status_code == 403


@pytest.mark.parametrize("ids", [["1"] * 1001, ['1") or id = ("2'], ["-1"], [1], "1", None, ["1" * 21]])
def test_what_is_no_list_of_ids_is_refused_by_name(house: House, ids: Any) -> None:
    answer = seen(house, ids)
    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"].startswith("/ids")


def test_of_a_space_that_the_app_cannot_see_everything_is_not_tracked(refreshed: House) -> None:
    refreshed.site.access.set_app(refreshed.site.space("HR").id, [])
    docs, people = overview(refreshed, keys="DOCS,HR")["items"]
    assert (docs["tracked"], people["tracked"]) == (True, False)
    assert people["total"] == '(type in (page, blogpost)) and (space in ("HR"))'
    assert people["cells"] == []
