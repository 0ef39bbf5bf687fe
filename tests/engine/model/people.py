"""The acts of people: start, retry by hand, cancel, hold, edit schedules, disable and uninstall, at any moment."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from addon.engine import Busy, NotAdmitted, NotCancellable, NotRetryable, StartRequest
from tests.engine.model.hours import Hours
from tests.engine.model.settled import NOBODY
from tests.engine.model.world import OWN, pick, tenants


class People(Hours):
    """Each action is one transaction of some process, not always that of the owner."""

    @rule(tenant=tenants, job=tenants, worker=pick)
    def start(self, tenant: int, job: int, worker: int) -> None:
        tenant_id = self.tenants[tenant]
        before = self.look()
        active, lane = before.active(tenant_id), before.lanes[tenant_id]
        try:
            with self.db.write(tenant_id) as session:
                self.worker(worker).start(
                    session,
                    StartRequest(tenant_id=tenant_id, job_type=self.jobs[job].type, scope="site", started_by="u-ann"),
                )
        except Busy as busy:
            told: str | None = busy.active.id
        except NotAdmitted as held:
            told = held.kind
        else:
            told = None
        expected = "closed" if not lane.open else active.id if active is not None else None
        assert told == expected, "a manual start works on a free lane, even while schedules are held"

    @precondition(lambda self: any(row.status == "failed" for row in self.seen.executions.values()))
    @rule(number=pick, worker=pick)
    def retry_by_hand(self, number: int, worker: int) -> None:
        failed = [row for row in self.look().executions.values() if row.status == "failed"]
        row = failed[-1 - number % len(failed)]
        left = [space.space_id for space in self.seen.spaces.get(row.id, []) if space.state == "failed"]
        try:
            with self.db.write(row.tenant_id) as session:
                started = self.worker(worker).retry_failed(
                    session, tenant_id=row.tenant_id, execution_id=row.id, started_by="u-ann"
                )
        except Busy:
            assert self.seen.active(row.tenant_id) is not None
        except NotAdmitted:
            assert not self.seen.lanes[row.tenant_id].open
        except NotRetryable as refused:
            told = refused.kind
            others = [each for each in self.seen.executions.values() if each.retry_of == row.id]
            assert told == ("retried" if left else "no-failed-space")
            assert not left or others
        else:
            assert started.params["spaces"] == left

    @precondition(lambda self: self.seen.all_active())
    @rule(number=pick, worker=pick)
    def cancel(self, number: int, worker: int) -> None:
        active = self.seen.all_active()
        self.cancel_execution(active[number % len(active)].id, worker)

    def cancel_execution(self, execution: str, worker: int) -> None:
        row = self.row(execution)
        try:
            with self.db.write(row.tenant_id) as session:
                told = self.worker(worker).cancel(
                    session, tenant_id=row.tenant_id, execution_id=row.id, actor_id="u-boss"
                )
        except NotCancellable:
            assert row.status not in ("running", "cancelling"), "it is too late"
        else:
            assert row.status in ("running", "cancelling")
            after = self.row(execution)
            at_once = row.owner is None and not self.look_for_unread(execution)
            assert after.status == told.status == ("cancelled" if at_once else "cancelling"), "acknowledged"
            assert (row.status == "running") <= (after.cancel_requested_by == "u-boss")
            if row.owner is None and not at_once:
                assert (after.owner, after.fence, after.not_before) == (NOBODY, row.fence + 1, None), "to be settled"
            self.memory.cancels.add(row.id)

    @rule(tenant=tenants, hours=st.sampled_from((None, 1, 7, 30)), at_a_slot=st.booleans())
    def hold(self, tenant: int, hours: int | None, at_a_slot: bool) -> None:
        """`at_a_slot`: it is held over the next slot, whatever the lane is busy with."""
        tenant_id = self.tenants[tenant]
        on = not self.held(self.seen.lanes[tenant_id])
        until = None if hours is None else self.clock.now() + timedelta(hours=hours)
        with self.db.write(tenant_id) as session:
            self.worker(0).set_hold(session, tenant_id, on=on, reason="audit", by="u-boss", until=until)
        if at_a_slot and on and self.young:
            active = self.look().active(tenant_id)
            if active is not None and active.owner is None:
                self.cancel_execution(active.id, 0)
            self.wait_for_a_slot(tenant, 0)

    @rule(tenant=tenants, schedule=pick)
    def switch_a_schedule(self, tenant: int, schedule: int) -> None:
        """Switch it off or on, give it other times or its own again, remove it or bring it back."""
        how = ("switch", "retime", "remove")[schedule // len(OWN[tenant]) % 3]
        number = OWN[tenant][schedule % len(OWN[tenant])]
        key, tenant_id = (tenant, number), self.tenants[tenant]
        on = key not in self.off | self.removed
        changed = {"switch": self.off, "retime": self.retimed, "remove": self.removed}[how]
        changed ^= {key}
        with self.db.write(tenant_id) as session:
            self.worker(0).replace_schedules(session, tenant_id, self.specs(tenant))
        if on or key not in self.off | self.removed:
            words = {"switch": "switched_off", "retime": "changed", "remove": "removed"}
            self.begin_anew(tenant, number, words[how])

    @rule(tenant=tenants, gone=st.booleans())
    def disable_or_enable(self, tenant: int, gone: bool) -> None:
        """`gone`: uninstalled, or installed again; else switched off for a while, which forgets nothing."""
        tenant_id = self.tenants[tenant]
        engine, lane, row = self.worker(0), self.seen.lanes[tenant_id], self.seen.active(tenant_id)
        with self.db.write(tenant_id) as session:
            if lane.open:
                engine.close_lane(session, tenant_id)
            else:
                engine.open_lane(session, tenant_id, first_run=True)
            if lane.open and gone:
                engine.cancel_active(session, tenant_id, actor_type="uninstall")
            elif gone:
                engine.restart_schedules(session, tenant_id)
        if lane.open and gone and row is not None:
            self.memory.gone.add(row.id)
            if row.status != "finalizing":
                self.memory.cancels.add(row.id)
                assert row.owner is not None or self.row(row.id).status == "cancelled", "no one can settle it any more"
        if gone and not lane.open:
            for number in OWN[tenant]:
                self.begin_anew(tenant, number, "installed")
        if gone:
            assert not self.look().retries_of(tenant_id), "a chain ends with the installation"
