"""One schedule that cannot be read stops itself and says so; one site's trouble is never another's."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import ScheduleSpec, TenantId
from addon.engine import Engine, queries
from addon.engine.models import JobSchedule
from tests.engine.conftest import BOTH, Rig

REFRESH = ScheduleSpec("refresh-statuses", "", "Refresh", "0 * * * *", "UTC")
MAILS = [ScheduleSpec("send-notifications", f"s/{name}", name, "0 * * * *", "UTC") for name in ("a", "b", "c")]
UNREADABLE = pytest.mark.parametrize(
    "broken",
    [{"time_zone": "Atlantis/Main_Square"}, {"time_zone": "localtime"}, {"cron": "every day"}, {"cron": "0 0 31 2 *"}],
    ids=str,
)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


def give(rig: Rig, engine: Engine, *specs: ScheduleSpec, tenant: TenantId | None = None) -> None:
    with rig.db.write(tenant or rig.tenant) as session:
        engine.replace_schedules(session, tenant or rig.tenant, specs)


def spoil(rig: Rig, name: str, **values: str) -> None:
    """What only a hand, an older version or a new edition of the time zones can do."""
    with rig.db.write(rig.tenant) as session:
        session.execute(sa.update(JobSchedule).where(JobSchedule.name == name).values(values))


def stopped(rig: Rig) -> dict[str, str | None]:
    with rig.db.read(rig.tenant) as session:
        return {row.name: row.unreadable for row in queries.unreadable(session, rig.tenant)}


@BOTH
@UNREADABLE
def test_a_schedule_that_cannot_be_read_stops_alone_with_a_record_and_a_reason(
    rig: Rig, broken: dict[str, str]
) -> None:
    engine = rig.engine()
    give(rig, engine, REFRESH, *MAILS)
    spoil(rig, "b", **broken)
    rig.clock.advance(3600)
    for _ in range(2):
        assert engine.schedule_tick() == 1
        engine.run_due()
    assert [row.params for row in rig.rows() if row.job_type == "send-notifications"] == [{"rules": ["s/a", "s/c"]}]
    ((name, reason),) = stopped(rig).items()
    assert (name, bool(re.search("zone|cron", str(reason)))) == ("b", True)
    with rig.db.read(rig.tenant) as session:
        ((slot,), _) = queries.missed(session, rig.tenant)
    assert (slot.name, slot.outcome, slot.reason) == ("b", "withdrawn", "unreadable")
    for hour in range(2, 5):
        rig.clock.set(datetime(2026, 11, 22, 12 + hour, tzinfo=UTC))
        assert engine.schedule_tick() == 1, "its neighbours continue"
        engine.run_due()
        assert engine.schedule_tick() == 1
        engine.run_due()
    assert len(stopped(rig)) == 1


@BOTH
def test_it_goes_on_when_a_process_begins_that_can_read_it(rig: Rig) -> None:
    engine = rig.engine()
    give(rig, engine, *MAILS)
    spoil(rig, "b", time_zone="Atlantis/Main_Square")
    rig.clock.advance(3600)
    engine.schedule_tick()
    engine.run_due()
    begin_and_end(rig)
    assert len(stopped(rig)) == 1, "no one can read it yet"
    spoil(rig, "b", time_zone="UTC")
    begin_and_end(rig)
    assert stopped(rig) == {}
    rig.clock.advance(3600)
    assert engine.schedule_tick() == 1
    assert rig.rows()[-1].params == {"rules": ["s/a", "s/b", "s/c"]}
    assert {(slot.outcome, slot.earlier) for slot in rig.fires()} == {("started", 0), ("withdrawn", 0)}


def begin_and_end(rig: Rig) -> None:
    process = rig.engine()
    process.boot()
    process.shutdown()


@BOTH
def test_saving_the_policies_with_times_that_can_be_read_starts_it_again(rig: Rig) -> None:
    engine = rig.engine()
    give(rig, engine, *MAILS)
    spoil(rig, "b", time_zone="Atlantis/Main_Square")
    rig.clock.advance(3600)
    engine.schedule_tick()
    engine.run_due()
    give(rig, engine, *MAILS)
    assert stopped(rig) == {}
    rig.clock.advance(3600)
    assert engine.schedule_tick() == 1
    assert rig.rows()[-1].params == {"rules": ["s/a", "s/b", "s/c"]}


@BOTH
def test_a_new_installation_over_a_schedule_that_cannot_be_read_works(rig: Rig) -> None:
    engine = rig.engine()
    give(rig, engine, *MAILS)
    spoil(rig, "b", cron="x")
    with rig.db.write(rig.tenant) as session:
        engine.restart_schedules(session, rig.tenant)
    assert list(stopped(rig)) == ["b"]
    rig.clock.advance(3600)
    assert engine.schedule_tick() == 1
    assert rig.rows()[-1].params == {"rules": ["s/a", "s/c"]}


# One site's trouble


class Trouble:
    """Raises for one site whatever is given, at the start of its mails."""

    def __init__(self, tenant: TenantId, error: Exception) -> None:
        self.tenant, self.error = tenant, error

    def __call__(self, session: Session, tenant_id: TenantId) -> None:
        if tenant_id == self.tenant:
            raise self.error


def lost_connection() -> Exception:
    return sa.exc.OperationalError("COMMIT", {}, Exception("terminating connection"), connection_invalidated=True)


def too_long() -> Exception:
    class QueryCanceled(Exception):
        sqlstate = "57014"

    return sa.exc.OperationalError("INSERT", {}, QueryCanceled("canceling statement due to statement timeout"))


@BOTH
@pytest.mark.parametrize("error", [lost_connection(), too_long(), RuntimeError("a bug")], ids=repr)
def test_a_site_whose_transaction_fails_every_time_keeps_no_other_site_waiting(rig: Rig, error: Exception) -> None:
    engine = rig.engine()
    others = [rig.new_tenant() for _ in range(3)]
    for tenant in others:
        rig.open(engine, tenant)
    for tenant in (rig.tenant, *others):
        give(rig, engine, MAILS[0], tenant=tenant)
    rig.mails.admit = Trouble(rig.tenant, error)  # type: ignore[method-assign]
    for hours in range(1, 4):
        rig.clock.set(datetime(2026, 11, 22, 12, tzinfo=UTC) + timedelta(hours=hours))
        assert engine.schedule_tick() == 3, "in the same tick"
        engine.run_due()
    assert {row.tenant_id for row in rig.rows()} == set(others)


def test_a_site_that_took_long_comes_after_all_others_until_it_is_quick_again(rig: Rig) -> None:
    engine = rig.engine()
    others = [rig.new_tenant() for _ in range(2)]
    order: list[TenantId] = []
    takes = {rig.tenant: 6.0}
    for tenant in others:
        rig.open(engine, tenant)
    for tenant in (rig.tenant, *others):
        give(rig, engine, MAILS[0], tenant=tenant)

    def admit(session: Session, tenant_id: TenantId) -> None:
        order.append(tenant_id)
        rig.clock.advance(takes.get(tenant_id, 0.0))

    rig.mails.admit = admit  # type: ignore[method-assign]

    def hour(number: int) -> list[TenantId]:
        order.clear()
        rig.clock.set(datetime(2026, 11, 22, 12 + number, tzinfo=UTC))
        while engine.schedule_tick():
            engine.run_due()
        return list(order)

    assert hour(1)[0] == rig.tenant, "in the first round nobody knows"
    assert hour(2)[-1] == rig.tenant
    takes.clear()
    assert hour(3)[-1] == rig.tenant
    assert set(hour(4)) == {rig.tenant, *others}
    assert rig.tenant not in engine._context.slow


@BOTH
def test_a_database_that_is_away_ends_the_tick(rig: Rig) -> None:
    engine = rig.engine()
    others = [rig.new_tenant() for _ in range(3)]
    for tenant in others:
        rig.open(engine, tenant)
    for tenant in (rig.tenant, *others):
        give(rig, engine, MAILS[0], tenant=tenant)
    asked: list[TenantId] = []

    def admit(session: Session, tenant_id: TenantId) -> None:
        asked.append(tenant_id)
        raise lost_connection()

    rig.mails.admit = admit  # type: ignore[method-assign]
    rig.clock.advance(3600)
    with pytest.raises(sa.exc.OperationalError):
        engine.schedule_tick()
    assert len(asked) == 2, "one site may be the cause, two are not"
