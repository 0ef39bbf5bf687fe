"""What is older than it may be goes, in batches and each tenant in its hour; what somebody may still need stays."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from addon.base import Database, TenantId, new_id, sweep
from addon.base.sweep import BATCH
from addon.confluence.models import QuotaHour
from addon.engine.models import (
    AuditEvent,
    ExecutionItem,
    ExecutionSpace,
    JobExecution,
    JobSchedule,
    RetryDue,
    ScheduleFire,
)
from addon.jobs.models import ArchiveTask, NotificationMatch
from addon.mail.models import OutboxMail
from addon.maintenance import retention
from addon.maintenance.retention import KEPT, VERSIONS, Retention, hour_of, uneventful
from addon.policies.models import PolicyVersion
from tests.support.clock import VirtualClock

TenantIn = Callable[..., TenantId]
KEEP = timedelta(days=400)
DAY = timedelta(days=1)
NOTHING = {
    "spacesProcessed": 2,
    "spacesTotal": 2,
    "contentsChecked": 40,
    "statusesChanged": 0,
    "statusCounts": {"a": 9},
}
CHANGED = NOTHING | {"statusesChanged": 1}


class Past:
    """Writes what happened so many days ago."""

    def __init__(self, db: Database, clock: VirtualClock, tenant_id: TenantId) -> None:
        self.db, self.clock, self.tenant_id = db, clock, tenant_id

    def add(self, *rows: Any) -> None:
        with self.db.write(self.tenant_id) as session:
            session.add_all(rows)

    def execution(self, days: float, *, status: str = "successful", details: int = 1, **values: Any) -> str:
        at = self.clock.now() - timedelta(days=days)
        row = JobExecution(
            id=new_id(), tenant_id=self.tenant_id, job_type="refresh-statuses", scope="site", trigger="manual",
            params={}, status=status, started_at=at,
            **{"policy_version": 1, "metrics": CHANGED, "ended_at": None if status == "running" else at} | values,
        )  # fmt: skip
        self.add(row)
        which: dict[str, Any] = {"execution_id": row.id, "tenant_id": self.tenant_id}
        self.add(AuditEvent(id=new_id(), seq=1, at=at, actor_type="user", tag="job:execution:started", **which))
        for number in range(details):
            self.add(
                ExecutionSpace(space_id=str(number), space_key=f"S{number}", position=number, state="done", **which),
                ExecutionItem(
                    seq=number + 1, space_id="1", space_key="S1", content_id="9", action="archive", outcome="done",
                    at=at, **which,
                ),
            )  # fmt: skip
        return row.id

    def executions(self, *days: float) -> list[str]:
        return [self.execution(each, details=0) for each in days]

    def newer(self) -> None:
        """Fill up the newest, so that age alone decides about all that is older."""
        self.executions(*[1] * KEPT)

    def mail(self, days: float, execution_id: str | None, *, state: str = "sent") -> str:
        at = self.clock.now() - timedelta(days=days)
        row = OutboxMail(
            id=new_id(), tenant_id=self.tenant_id, execution_id=execution_id, dedupe_key=new_id(), account_id="u-1",
            message_id="m", subject="s", text="t", html="h", state=state, not_before=at, created_at=at,
            ended_at=None if state == "pending" else at,
        )  # fmt: skip
        self.add(row)
        return row.id

    def ids(self, column: Any) -> set[Any]:
        with self.db.read(self.tenant_id) as session:
            return set(session.scalars(sa.select(column)))

    def forget(self) -> int:
        return Retention(self.db, self.clock, KEEP).tenant(self.tenant_id)


@pytest.fixture
def past(db: Database, clock: VirtualClock, tenant_in: TenantIn) -> Past:
    return Past(db, clock, tenant_in(db))


def test_executions_go_after_400_days_with_all_that_hangs_on_them(past: Past) -> None:
    old, young = past.execution(401), past.execution(399)
    past.newer()
    past.forget()
    assert old not in past.ids(JobExecution.id)
    assert young in past.ids(JobExecution.id)
    for model in (ExecutionSpace, ExecutionItem):
        assert past.ids(model.execution_id) == {young}
    assert old not in past.ids(AuditEvent.execution_id)
    assert past.forget() == 0, "there is nothing left to do"


def test_a_tenants_newest_fifty_stay_however_old_they_are(past: Past, tenant_in: TenantIn) -> None:
    busy = Past(past.db, past.clock, tenant_in(past.db))
    busy.newer()
    ids = past.executions(*range(900, 900 - KEPT - 3, -1))
    past.forget()
    assert past.ids(JobExecution.id) == set(ids[-KEPT:])
    assert len(busy.ids(JobExecution.id)) == KEPT


def test_what_runs_and_what_waits_for_its_retry_stays(past: Past) -> None:
    running, failed = past.execution(500, status="running"), past.execution(500, status="failed")
    past.newer()
    past.add(
        RetryDue(failed_execution_id=failed, tenant_id=past.tenant_id, job_type="x", due_at=past.clock.now(), attempt=2)
    )
    past.forget()
    assert {running, failed} <= past.ids(JobExecution.id)
    assert len(past.ids(RetryDue.failed_execution_id)) == 1


def test_a_retry_outlives_the_run_it_repeats(past: Past) -> None:
    old = past.execution(401, status="failed")
    retry = past.execution(399, retry_of=old)
    past.newer()
    past.forget()
    assert old not in past.ids(JobExecution.id)
    assert retry in past.ids(JobExecution.id)
    assert past.ids(JobExecution.retry_of) == {None}


def test_details_of_runs_that_changed_nothing_go_after_30_days_and_their_sums_stay(past: Past) -> None:
    quiet = past.execution(31, metrics=NOTHING)
    staying = {
        past.execution(29, metrics=NOTHING),
        past.execution(31, metrics=CHANGED),
        past.execution(31, metrics=NOTHING, status="failed"),
        past.execution(31, metrics=NOTHING, status="cancelled"),
        past.execution(31, metrics=NOTHING | {"somethingNew": 1}),
    }
    past.forget()
    assert quiet in past.ids(JobExecution.id)
    assert past.ids(ExecutionSpace.execution_id) == past.ids(ExecutionItem.execution_id) == staying
    assert quiet in past.ids(AuditEvent.execution_id), "the audit log keeps its events"


def test_only_a_success_without_any_effect_is_uneventful() -> None:
    assert uneventful("successful", NOTHING)
    assert uneventful("successful", None)
    assert not uneventful("successful", {"emailsSent": 1})
    assert not uneventful("failed", NOTHING)


def test_mails_go_after_30_days_all_of_one_execution_together(past: Past) -> None:
    done, sending, one = past.executions(40, 40, 31)
    for state in ("sent", "suppressed", "dead"):
        past.mail(31, done, state=state)
    past.mail(40, None)
    staying = {past.mail(40, sending), past.mail(40, sending, state="pending"), past.mail(31, one), past.mail(29, one)}
    past.forget()
    assert past.ids(OutboxMail.id) == staying


def test_what_jobs_left_behind_goes(past: Past) -> None:
    ended, running, recent = past.execution(35), past.execution(35, status="running"), past.execution(1)
    at = past.clock.now()
    for execution in (ended, running, recent):
        past.add(
            NotificationMatch(
                tenant_id=past.tenant_id, execution_id=execution, rule_id="r", content_id="1", account_id="u",
                space_id="1", space_key="S", kind="page", title="t", path="/", updated_at=at,
            )
        )  # fmt: skip
        for done in (at, None):
            past.add(
                ArchiveTask(
                    id=new_id(), tenant_id=past.tenant_id, execution_id=execution, space_id="1", automation_id="a",
                    page_ids=["1"], titles=["t"], submitted_at=at, ended_at=done,
                )
            )  # fmt: skip
    past.forget()
    assert past.ids(NotificationMatch.execution_id) == {running}
    with past.db.read(past.tenant_id) as session:
        tasks = sa.select(ArchiveTask.execution_id, ArchiveTask.ended_at)
        left = {(row.execution_id, row.ended_at is None) for row in session.execute(tasks)}
    assert left == {(ended, True), (running, True), (running, False), (recent, True), (recent, False)}


def test_old_slots_and_events_of_the_lane_go(past: Past) -> None:
    at = past.clock.now()
    schedule = _schedule(past, "", enabled=True)
    past.add(schedule)
    ages = [timedelta(days=days) for days in (401, 399)]
    for age in ages:
        past.add(_missed(schedule, at - age))
    past.add(*[_lane_event(past, at - 500 * DAY) for _ in range(3)], *[_lane_event(past, at) for _ in range(KEPT - 1)])
    past.forget()
    assert past.ids(ScheduleFire.scheduled_for) == {at - ages[1]}
    assert len(past.ids(AuditEvent.id)) == KEPT


def test_a_removed_schedule_goes_with_the_last_record_of_its_slots(past: Past) -> None:
    now = past.clock.now()
    off = _schedule(past, "off")
    old, young, unused = (_schedule(past, name, removed_at=now - 500 * DAY) for name in ("old", "young", "unused"))
    past.add(off, old, young, unused)
    past.add(_missed(old, now - 401 * DAY), *[_missed(young, now - days * DAY) for days in (401, 399)])
    assert past.forget() == 4
    assert past.ids(JobSchedule.rule_id) == {"off", "young"}
    assert past.ids(ScheduleFire.schedule_id) == {young.id}


def _schedule(past: Past, rule_id: str, **values: Any) -> JobSchedule:
    return JobSchedule(
        id=new_id(), tenant_id=past.tenant_id, job_type="x", rule_id=rule_id, name="x", cron="0 * * * *",
        time_zone="UTC", max_lateness_s=60, **{"enabled": False, "next_fire_at": None} | values,
    )  # fmt: skip


def _missed(schedule: JobSchedule, at: Any) -> ScheduleFire:
    key = {"schedule_id": schedule.id, "tenant_id": schedule.tenant_id, "scheduled_for": at}
    return ScheduleFire(**key, outcome="skipped_late", reason="unknown", at=at)


def _lane_event(past: Past, at: Any) -> AuditEvent:
    event = {"seq": 0, "actor_type": "system", "tag": "job:lane:held"}
    return AuditEvent(id=new_id(), tenant_id=past.tenant_id, at=at, **event)


def test_no_transaction_deletes_more_than_a_batch(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    assert BATCH <= 500
    monkeypatch.setattr(sweep, "BATCH", 4)
    for _ in range(3):
        past.execution(401, details=9)
    past.executions(*[401] * 7)
    past.newer()
    deleted: list[int] = []

    def count(_connection: Any, cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith("DELETE"):
            deleted.append(cursor.rowcount)

    sa.event.listen(past.db.engine, "after_cursor_execute", count)
    gone = past.forget()
    assert gone == sum(deleted) == 10 + 10 + 2 * 27
    assert max(deleted) == 4
    assert len(past.ids(JobExecution.id)) == KEPT


def test_two_processes_at_one_tenant_delete_everything_once_and_neither_fails(past: Past) -> None:
    for _ in range(20):
        past.execution(401, details=3)
    past.newer()
    barrier = threading.Barrier(2)
    gone: list[int] = []
    raised: list[Exception] = []

    def forget() -> None:
        barrier.wait()
        try:
            gone.append(past.forget())
        except sa.exc.SQLAlchemyError as error:
            raised.append(error)

    threads = [threading.Thread(target=forget) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert raised == []
    past.forget()
    assert len(past.ids(JobExecution.id)) == KEPT
    assert past.ids(ExecutionSpace.execution_id) == set()


def test_each_tenant_has_one_hour_of_the_day_and_none_pays_for_another(
    past: Past, tenant_in: TenantIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [Past(past.db, past.clock, tenant_in(past.db)) for _ in range(3)]
    for each in (past, *others):
        each.execution(401)
        each.newer()
    broken = others[0].tenant_id
    whole = Retention.tenant

    def tenant(self: Retention, tenant_id: TenantId) -> int:
        if tenant_id == broken:
            raise RuntimeError("broken rows")
        return whole(self, tenant_id)

    monkeypatch.setattr(Retention, "tenant", tenant)
    daily = Retention(past.db, past.clock, KEEP)
    for _ in range(24):
        hour = past.clock.now().hour
        before = {each.tenant_id for each in (past, *others) if len(each.ids(JobExecution.id)) > KEPT}
        daily.tick()
        after = {each.tenant_id for each in (past, *others) if len(each.ids(JobExecution.id)) > KEPT}
        assert before - after == {each for each in before if hour_of(each) == hour and each != broken}
        past.clock.advance(timedelta(hours=1))
    assert after == {broken}


def test_the_quota_of_hours_long_past_goes_but_not_one_that_still_closes_the_site(past: Past) -> None:
    now = past.clock.now()
    with past.db.write_all() as session:
        for age, closed in ((47, None), (49, None), (50, now + DAY), (51, now - DAY)):
            hour = now - timedelta(hours=age)
            session.add(QuotaHour(hour=hour, scope="pool", reserved=1, limit=9, closed_until=closed))
    Retention(past.db, past.clock, KEEP).tick()
    assert past.ids(QuotaHour.hour) == {now - timedelta(hours=47), now - timedelta(hours=50)}


def test_the_newest_policies_stay_and_those_that_a_run_at_work_began_with(
    db: Database, clock: VirtualClock, tenant_in: TenantIn
) -> None:
    past = Past(db, clock, tenant_in(db))
    stored = [
        PolicyVersion(tenant_id=past.tenant_id, version=number, document={}, at=clock.now())
        for number in range(1, VERSIONS + 11)
    ]
    past.add(*stored)
    past.execution(0, status="running", policy_version=4)
    past.execution(1, policy_version=5)
    retention.Retention(db, clock, KEEP).tenant(past.tenant_id)
    with db.read(past.tenant_id) as session:
        left = set(session.scalars(sa.select(PolicyVersion.version)))
    assert left == {4, *range(11, VERSIONS + 11)}
