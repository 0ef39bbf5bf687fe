"""What may be saved as the times of a schedule, and what its author is told about them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from addon.base import TenantId
from addon.policies import Policies, shipped
from addon.policies.crons import hints, mistake
from tests.support.answers import refused_with_problem
from tests.support.clock import VirtualClock

MOST = "is due twice within less than 5 minutes: leave 5 minutes between any two times, as */5 in the first field does"


@pytest.mark.parametrize(
    "cron",
    ["* * * * *", "*/4 * * * *", "0,3 8 * * 1", "58,2 * * * *", "0,56 * * * *", "0,59 0,23 * * *"],
)
def test_what_is_due_more_often_than_every_five_minutes_is_refused(cron: str) -> None:
    assert mistake(cron) == MOST


@pytest.mark.parametrize(
    "cron",
    ["*/5 * * * *", "0,55 * * * *", "0 * * * *", "0,59 0,23 * * mon", "2 0 1 * *", "0,59 0,23 1,15 * *", "59 23 * * *"],
)
def test_five_minutes_are_enough_also_over_midnight(cron: str) -> None:
    assert mistake(cron) is None


NUMBERS = st.lists(st.integers(0, 59), min_size=1, max_size=4).map(lambda found: ",".join(map(str, found)))
HOURS = st.sampled_from(["*", "0", "23", "0,23", "*/6", "1-3", "23,0,12"])
DAYS = st.sampled_from(["* * *", "* * mon", "1 * *", "1,2 * *", "* * sat,sun", "L * *", "31 12 *", "1 1 *"])


@settings(deadline=None)
@given(minutes=NUMBERS, hours=HOURS, days=DAYS)
def test_the_least_period_is_that_of_the_times_themselves(minutes: str, hours: str, days: str) -> None:
    cron = f"{minutes} {hours} {days}"
    times = list(islice(CronSim(cron, datetime(2026, 1, 1, tzinfo=UTC)), 100))
    least = min(later - earlier for earlier, later in pairwise(times))
    assert (mistake(cron) == MOST) == (least < timedelta(minutes=5))


@pytest.mark.parametrize(
    ("cron", "hint"),
    [
        ("0 8 * * MON-SUN", "Sunday is day 0, so that MON-SUN runs backwards: write MON-SAT,SUN"),
        ("0 8 * * fri-mon", "Sunday is day 0, so that FRI-MON runs backwards: write FRI-SAT,SUN-MON"),
        ("0 8 * * 5-1", "Sunday is day 0, so that 5-1 runs backwards: write FRI-SAT,SUN-MON"),
        ("0 22-2 * * *", "22-2 runs backwards: write 22-23,0-2"),
        ("0 8 * nov-feb *", "NOV-FEB runs backwards: write NOV-DEC,JAN-FEB"),
    ],
)
def test_a_range_that_runs_backwards_is_refused_with_how_to_write_it(cron: str, hint: str) -> None:
    found = mistake(cron)
    assert found is not None
    assert found.startswith("is not a cron expression: ")
    assert hint in found
    better = hint.rpartition("write ")[2]
    fields = cron.split()
    position = next(n for n, field in enumerate(fields) if "-" in field)
    fields[position] = better
    assert mistake(" ".join(fields)) is None, "what it says can be saved"


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("*/90 * * * *", "*/90 steps beyond the range of the minute (0 to 59): only 0 is left of it"),
        ("5/70 * * * *", "5/70 steps beyond the range of the minute (5 to 59): only 5 is left of it"),
        ("0 */24 * * *", "*/24 steps beyond the range of the hour (0 to 23): only 0 is left of it"),
        ("0 8-10/4 * * *", "8-10/4 steps beyond the range of the hour (8 to 10): only 8 is left of it"),
        ("0 0 */40 * *", "*/40 steps beyond the range of the day of month (1 to 31): only 1 is left of it"),
        ("0 0 1 jan-mar/3 *", "jan-mar/3 steps beyond the range of the month (1 to 3): only 1 is left of it"),
    ],
)
def test_a_step_beyond_its_range_gets_a_hint(cron: str, expected: str) -> None:
    assert mistake(cron) is None, "it can be saved"
    (hint,) = hints(cron)
    assert hint.startswith(expected)


@pytest.mark.parametrize(
    "cron", ["*/5 * * * *", "*/45 * * * *", "0 */6 * * *", "5,35 8-18/2 1 */3 mon-fri", "0 8 L * *"]
)
def test_an_ordinary_cron_gets_none(cron: str) -> None:
    assert list(hints(cron)) == []


def test_both_name_the_field_when_policies_are_saved(clock: VirtualClock) -> None:
    policies = Policies(clock)
    data = shipped("steward", TenantId("t")).data()
    data["schedules"]["refreshStatuses"]["cron"] = "*/90 * * * *"
    (notice,) = policies.check(data).notices
    assert notice.pointer == "/schedules/refreshStatuses/cron"
    rule = data["notificationSchemes"][0]["rules"][0]
    rule["schedule"]["cron"] = "* 8 * * 1"
    with refused_with_problem() as refused:
        policies.check(data)
    assert (refused.value.status, [(each.pointer, each.detail) for each in refused.value.errors]) == (
        422,
        [("/notificationSchemes/0/rules/0/schedule/cron", MOST)],
    )


def test_what_was_saved_before_with_a_shorter_period_can_still_be_read(clock: VirtualClock) -> None:
    from addon.policies import PolicyDocument

    data = shipped("steward", TenantId("t")).data()
    data["schedules"]["refreshStatuses"]["cron"] = "* * * * *"
    assert PolicyDocument.model_validate(data).schedule_specs()[0].cron == "* * * * *"
