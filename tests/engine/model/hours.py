"""Time and ticks: hours pass with everybody at work or nobody, and each tick does what is due."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.engine.model.pictures import Picture
from tests.engine.model.settled import LOSSES, MORE_LOSSES, NOBODY, TRIES, patience, put_aside
from tests.engine.model.world import World, pick, tenants

PRECEDING = 1
"""While so many attempts have failed, other jobs' slots wait for a chain's retry."""


class Hours(World):
    """Ticks of any process, compared with what is due by the rules."""

    @precondition(lambda self: self.young)
    @rule(seconds=st.sampled_from((1, 14, 59, 61, 301, 1801, 3600, 5 * 3600, 25 * 3600)))
    def advance(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: self.young)
    @rule(hours=st.sampled_from((1, 7, 13, 26, 50)), worker=pick)
    def sleep_long(self, hours: int, worker: int) -> None:
        """No process runs for long; then both ticks find all that is late."""
        self.clock.advance(hours * 3600)
        self.reap(worker)
        self.tick(worker)

    @precondition(lambda self: self.young)
    @rule(tenant=tenants, worker=pick)
    def wait_for_a_slot(self, tenant: int, worker: int) -> None:
        due = [each.next_fire_at for each in self.seen.schedules_of(self.tenants[tenant]) if each.enabled]
        if due:
            self.clock.advance(max(timedelta(0), min(due) - self.clock.now()))
            self.tick(worker)

    @precondition(lambda self: self.seen.retries)
    @rule(early=st.booleans(), worker=pick)
    def wait_for_a_retry(self, early: bool, worker: int) -> None:
        retries = self.look().retries
        if not retries:
            return
        until = retries[0].due_at - timedelta(seconds=early)
        self.clock.advance(max(timedelta(0), until - self.clock.now()))
        self.tick(worker)

    @rule(worker=pick)
    def reap(self, worker: int) -> None:
        before = self.look()
        self.worker(worker).reaper_tick()
        after = self.look()
        for row in before.all_active():
            held = row.owner not in (None, NOBODY)
            late = held and row.lease_until < self.clock.now()
            stuck = held and row.progress_at < self.clock.now() - timedelta(minutes=30)
            if late or stuck:
                self.taken(before, after, row, late=late)
            else:
                assert after.executions[row.id] == row, "the reaper leaves the living alone"

    def taken(self, before: Picture, after: Picture, row: Any, *, late: bool) -> None:
        """Compare what the reaper made of an execution with the rules."""
        now = after.executions[row.id]
        unread, events = before.unread(row.id), before.events[row.id]
        if row.status == "cancelling":
            self.taken_while_cancelling(before, row, now, late=late)
            return
        assert (now.owner, now.lease_until) == (None, None), "no dead owner is left"
        if late and row.losses >= LOSSES:
            assert now.error_transient is False
            assert (now.status == "running") == (bool(unread) and row.losses < LOSSES + MORE_LOSSES), "read back first"
            assert now.status == "failed" or (now.fence, now.losses) == (row.fence + 1, row.losses + 1)
            assert not after.open_spaces(row.id), "it is only settled then"
            return
        if not late and now.status == "failed":
            assert row.status == "finalizing" or put_aside(events) >= TRIES
            return
        assert (now.status, now.fence) == (row.status, row.fence + 1)
        assert not late or now.losses == row.losses + 1, "each lost lease counts"
        found = {space.space_id: space for space in after.spaces.get(row.id, [])}
        for space in before.spaces.get(row.id, []):
            if space.state == "running":
                self.taken_in_work(before, space, found[space.space_id], late=late)

    def taken_in_work(self, before: Picture, space: Any, now: Any, *, late: bool) -> None:
        """A space in work: who was alone is to blame, who had company is a suspect and nothing more."""
        if not late:
            assert now.state == "failed", "stuck"
            return
        company = [each for each in before.open_spaces(space.execution_id) if each.space_id != space.space_id]
        alone = not [each for each in company if each.state == "running" or not (space.suspect or each.suspect)]
        assert now.suspect, "it runs alone from now on"
        assert now.losses == space.losses + alone, "only what was in work alone is to blame"
        assert now.state == ("failed" if now.losses >= 2 else "pending")

    def taken_while_cancelling(self, before: Picture, row: Any, now: Any, *, late: bool) -> None:
        """It ends cancelled, or somebody reads back first while there is patience."""
        unread, patient = before.unread(row.id), patience(row, before.events[row.id])
        assert now.status == "cancelling" or not (unread and patient), "what was submitted is read back first"
        if now.status == "cancelling":
            assert unread
            assert row.losses < LOSSES, "not for ever"
            assert (now.owner, now.fence, now.losses) == (NOBODY, row.fence + 1, row.losses + late)
            assert now.not_before is None
        else:
            assert (now.status, now.owner, now.lease_until) == ("cancelled", None, None)

    @rule(worker=pick)
    def tick(self, worker: int) -> None:
        before = self.look()
        self.worker(worker).schedule_tick()
        after = self.look()
        for tenant_id in self.tenants:
            expected = self.expected_start(before, tenant_id)
            row = after.active(tenant_id)
            if before.active(tenant_id) is not None or not expected:
                assert row == before.active(tenant_id), "nothing starts"
                continue
            assert row is not None, "what is due starts on a free lane"
            assert (row.trigger, row.job_type, row.retry_of) in expected
            pending = [each for each in self.due(after, tenant_id) if each.job_type == row.job_type]
            assert row.trigger == "retry" or not pending, "all due schedules of a job start together"

    def due(self, picture: Picture, tenant_id: str) -> list[Any]:
        now = self.clock.now()
        return [each for each in picture.schedules_of(tenant_id) if each.enabled and each.next_fire_at <= now]

    def expected_start(self, before: Picture, tenant_id: str) -> list[tuple[str, str, str | None]]:
        """Return what the tick has to start, as (trigger, job type, retried execution); several when they tie."""
        lane = before.lanes[tenant_id]
        if before.active(tenant_id) is not None or not lane.open or self.held(lane):
            return []
        due = self.due(before, tenant_id)
        own = {each.job_type for each in due}
        for retry in before.retries_of(tenant_id):
            if retry.job_type in own:
                continue
            ripe = retry.due_at <= self.clock.now()
            if retry.attempt - 1 <= PRECEDING or (ripe and not due):
                return [("retry", retry.job_type, retry.failed_execution_id)] if ripe else []
        in_time = [each for each in due if not self.too_late(each)]
        oldest: dict[str, Any] = {}
        for each in due:
            oldest[each.job_type] = min(each.next_fire_at, oldest.get(each.job_type, each.next_fire_at))
        types = {each.job_type for each in in_time}
        first = min((oldest[each] for each in types), default=None)
        return [("scheduled", each, None) for each in types if oldest[each] == first]

    def too_late(self, schedule: Any) -> bool:
        """Only where a day has 25 hours a daily slot can be later than a day."""
        newest = max(slot for slot in self.slots(schedule) if slot <= self.clock.now())
        return self.clock.now() - newest > timedelta(hours=24)
