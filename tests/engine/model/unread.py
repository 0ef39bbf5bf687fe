"""The time while something is submitted and not read back: the short way to there, and what comes then."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.engine.model.settled import NOBODY
from tests.engine.model.site import ANSWERS
from tests.engine.model.world import TTL, pick, tenants
from tests.engine.model.zombies import Zombies

WAYS = ("stop", "pause", "die", "cancel, stop", "cancel, die", "fatal", "lost again and again", "last space", "hangs")
"""How a run comes to be without an owner, or with a dead one, while its space A is submitted."""
THEN = ("run", "cancel", "reap", "wait", "uninstall", "keep dying", "claim and wait")


class Unread(Zombies):
    """Runs that cannot end yet."""

    @rule(answer=st.sampled_from(ANSWERS), once=st.booleans())
    def site_changes(self, answer: str, once: bool) -> None:
        """From now on, or for one question, reading back gets another answer."""
        self.site.answer, self.site.once = answer, once

    @precondition(lambda self: self.young)
    @rule(
        tenant=tenants,
        worker=pick,
        way=st.sampled_from(WAYS),
        then=st.lists(st.tuples(st.sampled_from(THEN), st.sampled_from(ANSWERS)), min_size=1, max_size=4),
    )
    def leave_unread(self, tenant: int, worker: int, way: str, then: list[tuple[str, str]]) -> None:
        """A run is left while the site continues with what it was given; then this and that happens."""
        execution = self.leave(tenant, worker, way)
        tenant = 0 if execution is None else self.tenants.index(self.row(execution).tenant_id)
        for deed, answer in then:
            if execution is None or not self.look_for_unread(execution):
                return
            self.site.answer, self.site.once = answer, False
            self.go_on(execution, tenant, worker, deed)

    def leave(self, tenant: int, worker: int, way: str) -> str | None:
        """Let a run of the submitting job be left with something unread; return it, unless the lane is taken."""
        row = self.free_run(tenant, worker)
        if row is None:
            return None
        if way in ("lost again and again", "last space", "hangs"):
            hand = self.claim(self.worker(worker))
            assert hand is not None
            if hand.drive.row.status != "running":
                return str(row.id)
            self.list_spaces(hand)
            self.record(hand, "submit")
            if way != "lost again and again":
                self.record(hand, "transient")
            if way == "hangs":
                self.pass_no_safe_point(hand, worker)
            self.drop(hand)
            self.clock.advance(TTL + 1)
            self.reap(worker + 1)
        else:
            self.site.answer = "silent" if way == "fatal" else "answers"
            self.run_one(worker, way, None)
        return str(row.id)

    def free_run(self, tenant: int, worker: int) -> Any:
        """Return a run of the submitting job that is the next to be claimed, of one tenant or the other, or None."""
        for number in (tenant, 1 - tenant):
            tenant_id = self.tenants[number]
            if not self.look().lanes[tenant_id].open:
                self.disable_or_enable(number, gone=True)
            if self.look().active(tenant_id) is None:
                self.start(number, 1, worker)
            row = self.look().active(tenant_id)
            if row.job_type != self.submitting.type or not self.claimable(row):
                continue
            older = min(each.id for each in self.seen.all_active() if self.claimable(each))
            if older != row.id:
                self.run_one(worker, "nothing", None)
            row = self.row(row.id)
            if self.claimable(row):
                return row
        return None

    def go_on(self, execution: str, tenant: int, worker: int, deed: str) -> None:
        row = self.look().executions[execution]
        if deed == "cancel":
            self.cancel_execution(execution, worker)
        elif deed == "reap":
            self.clock.advance(TTL + 1)
            self.reap(worker)
        elif deed == "uninstall":
            self.disable_or_enable(tenant, gone=True)
        elif deed == "wait":
            if row.not_before is not None:
                if not any(map(self.claimable, self.seen.all_active())):
                    assert self.claim(self.worker(worker)) is None, "not before its time"
                self.clock.advance(max(timedelta(0), row.not_before - self.clock.now()))
        elif deed == "keep dying":
            self.keep_dying(worker, 5, "begin")
        elif any(self.claimable(each) for each in self.look().all_active()):
            if deed == "run":
                self.run_one(worker, "nothing", None)
            elif deed == "claim and wait":
                self.take_one(self.worker(worker))
        after = self.row(execution)
        assert after.owner != NOBODY or after.status == "cancelling"
