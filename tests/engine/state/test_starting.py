"""One execution per tenant: who gets the lane, and what is told to those who do not."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from addon.base import Space, TenantId
from addon.base.database import ForeignTenant
from addon.engine import Busy, JobExecution, JobRefused, NotAdmitted, StartRequest, UnknownJob
from addon.engine.wake.dispatcher import LocalDispatcher
from tests.engine.conftest import EVERYWHERE, Rig

SPACE = Space(id="7", key="DOCS", name="Docs", type="global")


@EVERYWHERE
def test_of_two_starts_at_the_same_instant_one_wins_and_the_other_learns_who(rig: Rig) -> None:
    engines = [rig.engine(), rig.engine()]
    together = threading.Barrier(2)
    outcomes: list[JobExecution | Busy] = []

    def start(number: int) -> None:
        together.wait()
        try:
            outcomes.append(rig.start(engines[number], started_by=f"u-{number}"))
        except Busy as busy:
            outcomes.append(busy)

    for _ in range(5):
        outcomes.clear()
        threads = [threading.Thread(target=start, args=(number,)) for number in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (won,) = [outcome for outcome in outcomes if isinstance(outcome, JobExecution)]
        (lost,) = [outcome for outcome in outcomes if isinstance(outcome, Busy)]
        assert lost.active.id == won.id
        assert lost.active.started_by == won.started_by
        rig.cancel(engines[0], won.id)


@EVERYWHERE
def test_the_loser_of_a_start_can_go_on_in_its_transaction(rig: Rig) -> None:
    engine = rig.engine()
    first = rig.start(engine)
    with rig.db.write(rig.tenant) as session:
        with pytest.raises(Busy) as busy:
            engine.start(session, StartRequest(tenant_id=rig.tenant, job_type=rig.mails.type, scope="site"))
        engine.set_hold(session, rig.tenant, on=True, reason="spring cleaning", by="u-1")
    assert busy.value.active.id == first.id
    with pytest.raises(NotAdmitted), rig.db.write(rig.tenant) as session:
        engine.start(
            session, StartRequest(tenant_id=rig.tenant, job_type=rig.job.type, scope="site", trigger="scheduled")
        )


@EVERYWHERE
def test_tenants_do_not_wait_for_each_other(rig: Rig) -> None:
    engine = rig.engine()
    other = rig.new_tenant()
    rig.open(engine, other)
    mine, theirs = rig.start(engine), rig.start(engine, tenant_id=other)
    assert engine.run_due() == 2
    assert rig.row(mine.id).status == rig.row(theirs.id).status == "successful"


@EVERYWHERE
def test_a_start_keeps_what_it_was_started_with(rig: Rig) -> None:
    engine = rig.engine(policy_version=lambda session, tenant_id: 17)
    started = rig.start(engine, scope="space", space=SPACE, started_by="u-5", dry_run=True, params={"rules": ["a"]})
    row = rig.row(started.id)
    assert (row.scope, row.space_id, row.space_key, row.started_by) == ("space", "7", "DOCS", "u-5")
    assert (row.policy_version, row.dry_run, row.params, row.trigger) == (17, True, {"rules": ["a"]}, "manual")
    assert (row.status, row.owner, row.fence, row.attempt, row.generation) == ("running", None, 0, 1, 1)
    assert row.started_at == rig.clock.now()


def test_nothing_starts_in_a_closed_lane_or_before_the_first_run_is_confirmed(rig: Rig) -> None:
    engine = rig.engine()
    stranger, fresh = rig.new_tenant(), rig.new_tenant()
    with pytest.raises(NotAdmitted) as held:
        rig.start(engine, tenant_id=stranger)
    assert held.value.kind == "closed"
    rig.open(engine, fresh, first_run=True)
    with pytest.raises(NotAdmitted) as held:
        rig.start(engine, tenant_id=fresh)
    assert held.value.kind == "first_run"
    with rig.db.write(fresh) as session:
        engine.confirm_first_run(session, fresh, by="u-admin")
    rig.start(engine, tenant_id=fresh)
    with rig.db.write(rig.tenant) as session:
        engine.close_lane(session, rig.tenant)
    with pytest.raises(NotAdmitted) as held:
        rig.start(engine)
    assert held.value.kind == "closed"


def test_opening_a_lane_again_does_not_skip_the_first_run(rig: Rig) -> None:
    engine = rig.engine()
    fresh = rig.new_tenant()
    rig.open(engine, fresh, first_run=True)
    with rig.db.write(fresh) as session:
        engine.close_lane(session, fresh)
        engine.open_lane(session, fresh, first_run=False)
    with pytest.raises(NotAdmitted) as held:
        rig.start(engine, tenant_id=fresh)
    assert held.value.kind == "first_run"


def test_a_hold_stops_scheduled_starts_only_and_ends_by_itself(rig: Rig) -> None:
    engine = rig.engine()
    until = rig.clock.now() + timedelta(hours=2)
    with rig.db.write(rig.tenant) as session:
        engine.set_hold(session, rig.tenant, on=True, reason="migration", by="u-1", until=until)
    with pytest.raises(NotAdmitted) as held:
        rig.start(engine, trigger="scheduled")
    assert (held.value.kind, held.value.reason, held.value.until) == ("hold", "migration", until)
    manual = rig.start(engine)
    rig.cancel(engine, manual.id)
    rig.clock.advance(timedelta(hours=2))
    rig.start(engine, trigger="scheduled")


def test_a_job_may_refuse_and_an_unknown_one_cannot_start(rig: Rig) -> None:
    engine = rig.engine()
    rig.mails.refusal = "no mail transport is configured"
    with pytest.raises(JobRefused, match="no mail transport"):
        rig.start(engine, job_type=rig.mails.type)
    with pytest.raises(UnknownJob):
        rig.start(engine, job_type="defragment")
    with pytest.raises(ValueError, match="needs a space"):
        rig.start(engine, scope="space")
    assert rig.rows() == []


def test_a_start_wakes_a_runner_only_when_it_is_committed(rig: Rig) -> None:
    local = LocalDispatcher()
    engine = rig.engine(dispatcher=local)
    seen = local.count()

    def rolled_back() -> None:
        with rig.db.write(rig.tenant) as session:
            engine.start(session, StartRequest(tenant_id=rig.tenant, job_type=rig.job.type, scope="site"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        rolled_back()
    assert local.count() == seen
    with rig.db.write(rig.tenant) as session:
        engine.start(session, StartRequest(tenant_id=rig.tenant, job_type=rig.job.type, scope="site"))
        with session.begin_nested():
            pass
        assert local.count() == seen
    assert local.count() == seen + 1


def test_a_session_of_one_tenant_cannot_cancel_or_write_for_another(rig: Rig) -> None:
    from addon.engine import NotFound

    engine = rig.engine()
    started = rig.start(engine)
    other = rig.new_tenant()
    with rig.db.write(other) as session, pytest.raises(NotFound):
        engine.cancel(session, tenant_id=TenantId(other), execution_id=started.id, actor_id="u-x")
    with pytest.raises(ForeignTenant), rig.db.write(other) as session:
        engine.open_lane(session, rig.new_tenant(), first_run=False)
