"""Counting firings by the calendar, and finding the latest ones first, agree with walking through them one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from addon.engine.schedule import cron as crons
from addon.engine.schedule.cron import fires_back, next_fire
from addon.engine.schedule.cron_count import count_fires
from tests.engine.schedule.test_cron import ZONES, changes

CRONS = (
    "* * * * *",
    "*/5 * * * *",
    "17 2,8,14,20 * * *",
    "0,30 0-3 * * *",
    "59 23 * * *",
    "0 0 * * *",
    "0 3 1 * mon",
    "*/20 1-4 * * sun",
    "0 12 l * *",
    "30 2 29 2 *",
    "5 4 * 3,10 sun#5",
)
MANY_ZONES = (*ZONES, "America/Santiago", "Pacific/Norfolk", "Europe/Dublin", "UTC")


def walked(cron: str, zone: str, after: datetime, until: datetime) -> list[datetime]:
    return list(takewhile(lambda when: when <= until, crons._fires(cron, zone, after)))


@given(
    cron=st.sampled_from(CRONS),
    zone=st.sampled_from(MANY_ZONES),
    start=st.integers(0, 27 * 365 * 24 * 60 * 60),
    seconds=st.integers(0, 5 * 24 * 60 * 60),
)
def test_any_span_has_as_many_firings_as_one_walks_through(cron: str, zone: str, start: int, seconds: int) -> None:
    after = datetime(2010, 1, 1, tzinfo=UTC) + timedelta(seconds=start)
    until = after + timedelta(seconds=seconds)
    found = walked(cron, zone, after, until)
    assert count_fires(cron, zone, after, until) == len(found)
    back = takewhile(lambda when: when > after, fires_back(cron, zone, until))
    assert list(back) == found[::-1]


@pytest.mark.parametrize("zone", MANY_ZONES)
def test_around_every_change_of_the_clocks_the_number_is_right_wherever_one_begins_and_ends(zone: str) -> None:
    years = range(2011, 2012) if zone == "Pacific/Apia" else range(2026, 2027)
    for change in changes(zone, years):
        moments = [
            change + timedelta(minutes=minutes) for minutes in (-1500, -61, -30, -1, 0, 1, 29, 60, 61, 120, 1500)
        ]
        for cron in CRONS:
            for after in moments:
                for until in (each for each in moments if each > after):
                    found = walked(cron, zone, after, until)
                    assert count_fires(cron, zone, after, until) == len(found), (cron, after, until)
                    back = list(islice(fires_back(cron, zone, until), 5))
                    assert back[: len(found)] == found[::-1][:5], (cron, until)


def test_years_of_minutes_are_counted_without_looking_at_each(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0

    class Counting(CronSim):
        def __next__(self) -> datetime:
            nonlocal steps
            steps += 1
            return super().__next__()

    monkeypatch.setattr(crons, "CronSim", Counting)
    after, until = datetime(2016, 11, 22, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC)
    assert count_fires("* * * * *", "Europe/Berlin", after, until) == (3652 * 24 - 10) * 60, (
        "a repeated hour counts once"
    )
    assert steps == 0


def test_what_cannot_be_read_is_refused() -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    for cron, zone in (
        ("* * * *", "UTC"),
        ("0 25 * * *", "UTC"),
        ("0 0 * * *", "Mars/Olympus"),
        ("0 0 * * *", "localtime"),
    ):
        with pytest.raises(ValueError, match=r"cron|zone"):
            count_fires(cron, zone, now - timedelta(days=1), now)
        with pytest.raises(ValueError, match=r"cron|zone"):
            next(fires_back(cron, zone, now))
        with pytest.raises(ValueError, match=r"cron|zone"):
            next_fire(cron, zone, now)
