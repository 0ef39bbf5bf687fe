"""The byline's switch on the site: written soon after the policies change, once, and its failures are to be seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from addon.jobs.indicator import Indicator
from addon.maintenance.ticks import housekeeping
from addon.sandbox.ui import bylines
from tests.support.clock import VirtualClock
from tests.support.house import House, house_over
from tests.support.site import small_site

KEY = "content-steward"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    clock = VirtualClock()
    with house_over(small_site(clock), clock, tmp_path) as made:
        made.site.meter.reset()
        yield made


def tick(house: House) -> int:
    """Tick as the metronome does; return the points it cost."""
    before = house.site.meter.points
    next(each for each in housekeeping(house.parts) if each.name == "indicator").call()
    return house.site.meter.points - before


def put(house: House, **indicator: Any) -> None:
    policies = house.api("GET", "/api/policies").json() | {"indicator": indicator}
    answer = house.api("PUT", "/api/policies", json=policies, headers={"If-Match": f'"{policies["version"]}"'})
    assert answer.ok, answer.text


def state(house: House) -> dict[str, Any]:
    found: dict[str, Any] = house.api("GET", "/api/indicator").json()
    return found


def shown(house: House) -> set[str]:
    """The keys of the spaces in whose contents the byline has our item."""
    return {
        house.site.space_by_id(content.space_id).key
        for content in house.site.contents()
        if bylines.items(house.site, content)
    }


def test_it_is_off_until_somebody_switches_it_on_and_that_costs_one_point(house: House) -> None:
    assert tick(house) == 0
    assert shown(house) == set()
    put(house, on=True)
    assert state(house)["pending"] is True
    assert tick(house) == 1
    assert shown(house) == {"DOCS", "ENG", "HR"}
    assert tick(house) == 0
    assert (state(house)["pending"], state(house)["problem"]) == (False, None)
    put(house, on=False)
    assert tick(house) == 1
    assert shown(house) == set()


def test_spaces_by_key_are_switched_for_one_point(house: House) -> None:
    put(house, on=False, spaces=[{"key": "ENG"}, {"key": "HR"}])
    assert tick(house) == 1
    assert shown(house) == {"ENG", "HR"}
    assert state(house)["spaces"] == 2


def test_spaces_by_label_and_pattern_are_followed_from_day_to_day(house: House) -> None:
    put(house, on=False, spaces=[{"label": "team"}, {"keyPattern": "E*"}])
    tick(house)
    assert shown(house) == {"DOCS", "ENG"}
    house.site.add_space("EXTRA", "Extra")
    assert tick(house) == 0
    house.clock.advance(24 * 3600 + 1)
    tick(house)
    assert shown(house) == {"DOCS", "ENG", "EXTRA"}


def test_other_changes_of_the_policies_write_nothing(house: House) -> None:
    put(house, on=True)
    tick(house)
    put(house, on=True)
    assert tick(house) == 0
    assert state(house)["pending"] is False


def test_a_failure_is_told_and_tried_again_later(house: House, caplog: pytest.LogCaptureFixture) -> None:
    rule = house.site.faults.add(status=400, method="PUT", path="/properties/steward-indicator")
    put(house, on=True)
    tick(house)
    assert "Injected fault" in state(house)["problem"]
    assert "the byline could not be switched" in caplog.text
    assert tick(house) == 0
    house.site.faults.remove(rule.id)
    house.clock.advance(601)
    assert tick(house) == 1
    assert (state(house)["problem"], shown(house)) == (None, {"DOCS", "ENG", "HR"})


def test_a_new_installation_is_told_again(house: House) -> None:
    put(house, on=True)
    tick(house)
    house.site.host.uninstall(KEY)
    assert house.site.app_properties == {}
    house.clock.advance(5)
    house.site.host.install(f"{house.url}/atlassian-connect.json")
    assert tick(house) == 1
    assert shown(house) == {"DOCS", "ENG", "HR"}


def test_spaces_that_do_not_fit_are_left_out_aloud(house: House) -> None:
    put(house, on=False, spaces=[{"key": f"SPACE{'X' * 200}{number}"} for number in range(200)])
    tick(house)
    assert "do not fit" in state(house)["problem"]
    assert 0 < state(house)["spaces"] < 200


def test_what_the_site_shows_is_for_administrators(house: House) -> None:
    assert house.api("GET", "/api/indicator", account="u-eve").status_code == 403


def test_the_tick_is_safe_in_two_processes(house: House) -> None:
    put(house, on=True)
    parts = house.parts
    other = Indicator(parts.db, parts.clock, parts.confluence, parts.policies, namespace="steward", addon_key=KEY)
    sites = [(each.id, each.generation) for each in parts.tenants.installed()]
    assert other.tick(sites) == 1
    assert tick(house) == 0
    assert other.tick(sites) == 0
