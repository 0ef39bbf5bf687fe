from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import responses

from addon.base import TenantId
from addon.confluence import Confluence, SiteClient, errors
from addon.confluence.http.endpoints import SYSTEM_INFO as ENDPOINT
from addon.confluence.http.resting import Rests
from tests.confluence.http.test_faults import running_clock
from tests.support.clock import VirtualClock

BASE = "https://one.atlassian.net/wiki"
V1, V2 = f"{BASE}/rest/api", f"{BASE}/api/v2"
INFO = f"{V1}/settings/systemInfo"
TENANT = TenantId("0192f000-0000-7000-8000-000000000001")
STORED = {"id": "5", "key": "k", "value": 1, "version": {"number": 3}}
NUMBERS = ["99999999999999", "18446744073709551615", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"]


@pytest.fixture
def began(clock: VirtualClock) -> float:
    return clock.monotonic()


def burst(web: responses.RequestsMock, *waits: str | None, url: str = INFO, status: int = 429) -> None:
    for wait in waits:
        web.get(url, status=status, headers={} if wait is None else {"Retry-After": wait})


@pytest.mark.parametrize("status", [429, 503])
def test_a_run_waits_out_four_refusals_in_a_row(
    client: SiteClient, web: responses.RequestsMock, clock: VirtualClock, began: float, status: int
) -> None:
    burst(web, "2", "2", "2", "2", status=status)
    web.get(INFO, json={"cloudId": "c"})
    assert client.system_info().cloud_id == "c"
    assert 8 <= clock.monotonic() - began < 12


def test_a_site_that_does_not_say_how_long_is_left_alone_for_longer_each_time(
    client: SiteClient, web: responses.RequestsMock, clock: VirtualClock
) -> None:
    asked: list[float] = []
    refusals = 7

    def answer(_request: Any) -> tuple[int, dict[str, str], str]:
        asked.append(clock.monotonic())
        return (429, {}, "") if len(asked) <= refusals else (200, {}, '{"cloudId": "c"}')

    web.add_callback("GET", INFO, callback=answer)
    client.system_info()
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert all(
        least <= pause <= 1.3 * least + 1 for least, pause in zip((5, 10, 20, 40, 80, 120, 120), pauses, strict=True)
    )

    asked.clear()
    refusals = 1
    client.system_info()
    assert 5 <= asked[1] - asked[0] <= 8, "the next burst begins with a short rest again"


def test_after_ten_minutes_of_rests_a_run_hears_when_to_go_on(
    client: SiteClient, web: responses.RequestsMock, clock: VirtualClock, began: float
) -> None:
    web.get(INFO, status=429, headers={"Retry-After": "50"})
    with pytest.raises(errors.RateLimited) as caught:
        client.system_info()
    assert 500 <= clock.monotonic() - began <= 800
    assert caught.value.until == clock.now() + timedelta(seconds=50)
    assert caught.value.reason == "Confluence asks for fewer requests"


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("number", NUMBERS)
def test_whatever_number_stands_there_nothing_rests_for_longer_than_two_hours(
    client: SiteClient, web: responses.RequestsMock, clock: VirtualClock, number: str, status: int
) -> None:
    web.get(INFO, status=status, headers={"Retry-After": number, "RateLimit-Reason": "burst"})
    with pytest.raises(errors.AskedForFewer) as caught:
        client.system_info()
    assert caught.value.until == clock.now() + timedelta(hours=2)
    assert len(web.calls) == 1


def test_a_site_that_says_zero_again_and_again_is_not_asked_without_a_breath(
    client: SiteClient, web: responses.RequestsMock
) -> None:
    web.get(INFO, status=429, headers={"Retry-After": "0"})
    with pytest.raises(errors.RateLimited):
        client.system_info()
    assert len(web.calls) <= 601


def test_a_post_turned_away_for_a_burst_did_nothing_and_is_sent_again(
    client: SiteClient, web: responses.RequestsMock, clock: VirtualClock, began: float
) -> None:
    url = f"{V2}/pages/1/properties"
    web.post(url, status=429, headers={"Retry-After": "20"})
    web.post(url, json=STORED)
    assert client.create_property("page", "1", "k", 1).version == 3
    assert clock.monotonic() >= began + 20


def test_a_post_answered_by_an_overloaded_site_is_not_sent_twice_and_the_next_one_waits(
    client: SiteClient, web: responses.RequestsMock, clock: VirtualClock, began: float
) -> None:
    url = f"{V2}/pages/1/properties"
    web.post(url, status=503, headers={"Retry-After": "20"})
    web.post(url, json=STORED)
    with pytest.raises(errors.ServerError) as caught:
        client.create_property("page", "1", "k", 1)
    assert isinstance(caught.value, errors.Postponed)
    assert len(web.calls) == 1
    client.create_property("page", "1", "k", 1)
    assert clock.monotonic() >= began + 20


def test_people_wait_for_two_seconds_at_most(
    confluence: Confluence, web: responses.RequestsMock, clock: VirtualClock
) -> None:
    burst(web, "1", "1")
    web.get(INFO, json={"cloudId": "c"})
    with confluence.client(TENANT) as client, running_clock(clock):
        assert client.system_info().cloud_id == "c"
    burst(web, None, "30")
    for seconds in (5, 30):
        with confluence.client(TENANT) as client, pytest.raises(errors.RateLimited) as caught:
            client.system_info()
        assert caught.value.seconds_left(clock.now()) == seconds


def test_a_wait_ends_when_the_run_is_told_to_stop(
    client: SiteClient, web: responses.RequestsMock, guard: Any, clock: VirtualClock, began: float
) -> None:
    class Stop(Exception):
        pass

    def answer(_request: Any) -> tuple[int, dict[str, str], str]:
        guard.stop = Stop()
        return 429, {"Retry-After": "60"}, ""

    web.add_callback("GET", INFO, callback=answer)
    with pytest.raises(Stop):
        client.system_info()
    assert clock.monotonic() == began


def test_another_endpoint_is_asked_meanwhile(
    client: SiteClient, web: responses.RequestsMock, clock: VirtualClock, began: float
) -> None:
    web.post(f"{V2}/pages/1/properties", status=503, headers={"Retry-After": "20"})
    web.get(INFO, json={"cloudId": "c"})
    with pytest.raises(errors.Overloaded):
        client.create_property("page", "1", "k", 1)
    client.system_info()
    assert clock.monotonic() == began


def test_threads_give_up_together(clock: VirtualClock) -> None:
    rests, now = Rests(clock, patience=600.0), clock.monotonic()
    with pytest.raises(errors.RateLimited):
        rests.asked(ENDPOINT, errors.RateLimited(clock.now(), retry_after=7200), now)
    for _thread in range(3):
        with pytest.raises(errors.RateLimited) as caught:
            rests.wait(ENDPOINT, clock.advance)
        assert caught.value.until == clock.now() + timedelta(hours=2)
    assert clock.monotonic() == now


def test_eight_refusals_of_one_burst_make_one_short_rest(clock: VirtualClock) -> None:
    rests, now = Rests(clock, patience=600.0), clock.monotonic()
    for _thread in range(8):
        rests.asked(ENDPOINT, errors.RateLimited(clock.now()), now)
    rests.wait(ENDPOINT, clock.advance)
    assert 5 <= clock.monotonic() - now <= 7
