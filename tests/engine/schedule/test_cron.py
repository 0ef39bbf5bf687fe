"""One firing per local wall minute, in every zone, on every day the clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.engine.schedule.cron import fires, next_fire

ZONES = (
    "America/New_York",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Europe/Berlin",
    "Europe/London",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Australia/Lord_Howe",
    "Pacific/Apia",
)


def changes(zone: str, years: range) -> list[datetime]:
    """Return the instants (to the minute) at which the offset of a zone changes."""
    info = ZoneInfo(zone)
    found = []
    for year in years:
        hour = datetime(year, 1, 1, tzinfo=UTC)
        while hour.year == year:
            later = hour + timedelta(hours=1)
            if hour.astimezone(info).utcoffset() != later.astimezone(info).utcoffset():
                found.append(
                    next(
                        minute
                        for minute in (hour + timedelta(minutes=n) for n in range(1, 61))
                        if minute.astimezone(info).utcoffset() == later.astimezone(info).utcoffset()
                    )
                )
            hour = later
    return found


@pytest.mark.parametrize("zone", ZONES)
def test_around_every_change_each_wall_minute_fires_once_and_skipped_ones_once_after_the_gap(zone: str) -> None:
    info = ZoneInfo(zone)
    years = range(2026, 2028) if zone != "Pacific/Apia" else range(2011, 2012)
    for change in changes(zone, years):
        begin, end = change - timedelta(hours=30), change + timedelta(hours=30)
        for cron, step in (("* * * * *", 1), ("*/30 * * * *", 30)):
            found = []
            after = begin
            while (when := next_fire(cron, zone, after)) is not None and when <= end:
                assert when > after
                found.append(when)
                after = when
            seen: dict[datetime, datetime] = {}
            minute = begin + timedelta(minutes=1)
            while minute <= end:
                wall = minute.astimezone(info).replace(tzinfo=None)
                if wall.minute % step == 0:
                    seen.setdefault(wall, minute)
                minute += timedelta(minutes=1)
            before_begin = {begin.astimezone(info).replace(tzinfo=None)}
            expected = {when for wall, when in seen.items() if wall not in before_begin}
            gap = change.astimezone(info).replace(tzinfo=None) - (change - timedelta(minutes=1)).astimezone(
                info
            ).replace(tzinfo=None)
            if gap > timedelta(minutes=1):
                expected.add(change)
            assert found == sorted(expected), (cron, change)


def test_known_days() -> None:
    def once(cron: str, zone: str, day: date) -> list[str]:
        begin = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
        found = fires(cron, zone, begin - timedelta(seconds=1), 100)
        info = ZoneInfo(zone)
        return [f"{when:%H:%M}" for when in found if when.astimezone(info).date() == day]

    new_york = "America/New_York"
    assert once("30 2 * * *", new_york, date(2026, 3, 8)) == ["07:00"], "02:30 does not exist: right after the gap"
    assert once("30 1 * * *", new_york, date(2026, 11, 1)) == ["05:30"], "01:30 comes twice: the first one"
    assert once("0 8 * * mon", "Europe/Berlin", date(2026, 11, 23)) == ["07:00"]
    assert once("0 8 * * *", "Australia/Lord_Howe", date(2026, 10, 4)) == ["21:00"]
    hours = once("0 * * * *", new_york, date(2026, 11, 1))
    assert len(hours) == 24, "the repeated hour fires once"


def test_a_cron_that_never_fires_says_so_and_a_bad_one_is_refused() -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    assert next_fire("0 0 29 2 *", "UTC", now) == datetime(2028, 2, 29, tzinfo=UTC)
    for cron in ("0 0 30 2 *", "0 0 * *", "0 0 0 * * *", "61 * * * *", "", "every day"):
        with pytest.raises(ValueError, match="cron"):
            next_fire(cron, "UTC", now)
    for zone in ("Nowhere", "../etc/passwd", ""):
        with pytest.raises(ValueError, match="zone"):
            next_fire("0 0 * * *", zone, now)


@given(
    zone=st.sampled_from(ZONES),
    start=st.integers(0, 27 * 365 * 24 * 60),
    minutes=st.sampled_from(["0", "*/15", "*", "17", "5,50"]),
    hours=st.sampled_from(["*", "2", "1-3", "*/6", "0"]),
    days=st.sampled_from(["*", "sun", "mon-fri"]),
)
def test_firings_ascend_match_the_wall_clock_and_do_not_depend_on_where_one_starts(
    zone: str, start: int, minutes: str, hours: str, days: str
) -> None:
    begin = datetime(2010, 1, 1, tzinfo=UTC) + timedelta(minutes=start)
    cron = f"{minutes} {hours} * * {days}"
    found = fires(cron, zone, begin, 12)
    assert found == sorted(set(found))
    assert found[0] > begin
    after = begin
    for when in found:
        again = next_fire(cron, zone, after)
        assert again == when
        assert next_fire(cron, zone, when - timedelta(seconds=1)) == when
        after = when
    walls = [when.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for when in found]
    assert len(set(walls)) == len(walls)
