"""Workers that own an execution: all that a runner does, in any order, until it dies at any commit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from addon.engine import Abandon
from tests.engine.model.hands import EVENTS, OUTCOMES, OWNER_MAY
from tests.engine.model.runs import ENDS, Runs
from tests.engine.model.settled import NOBODY
from tests.engine.model.site import UNTIL_STUCK
from tests.engine.model.world import TTL, Hand, pick, tenants

STAGES = ("held", "working", "half done", "submitted", "cancelling", "finalizing", "expired")
DEEDS = (
    *("list", "finalize", "finish", "pause", "fail", "fail for now", "conclude", "give back", "abandon"),
    *OUTCOMES,
    *(f"try {name}" for name in OWNER_MAY),
)


ENDINGS = st.sampled_from(("done", "failed", "skipped"))
NEVER = (("succeed", True), ("fail", False))
"""What no runner does, by whether something failed."""
NOT_WHILE_UNREAD = ("finalize", "succeed", "fail", "cancelled")


class Workers(Runs):
    """Hands that are owned, or were when they were looked at last."""

    def owned(self) -> list[Hand]:
        return [hand for hand in self.hands if hand.owns(self.seen)]

    def hand(self, number: int) -> Hand:
        owned = self.owned()
        return owned[number % len(owned)]

    @precondition(lambda self: any(map(self.claimable, self.seen.all_active())))
    @rule(worker=pick)
    def take(self, worker: int) -> None:
        assert self.take_one(self.worker(worker)) is not None

    @precondition(lambda self: self.owned())
    @rule(hand=pick, deed=st.sampled_from(DEEDS))
    def work(self, hand: int, deed: str) -> None:
        self.do(self.hand(hand), deed)

    @rule(
        tenant=tenants, worker=pick, stage=st.sampled_from(STAGES), deeds=st.lists(st.sampled_from(DEEDS), max_size=3)
    )
    def bring_to(self, tenant: int, worker: int, stage: str, deeds: list[str]) -> None:
        """The short way to where it becomes interesting, and what the owner does then."""
        hand = self.held_by(tenant, worker)
        if hand is None:
            return
        if self.row(hand.run.execution_id).status == "running":
            self.act(hand, self.list_spaces)
            first = {"half done": "half", "submitted": "submit"}.get(stage, "begin")
            if hand in self.hands and stage != "held":
                self.act(hand, lambda it: self.record(it, first))
            if hand in self.hands and stage == "cancelling":
                self.cancel_execution(hand.run.execution_id, worker + 1)
            if hand in self.hands and stage == "finalizing":
                self.act(hand, self.to_finalizing)
            if stage == "expired":
                self.clock.advance(TTL + 1)
        if hand in self.hands:
            self.try_what_is_refused(hand)
        for deed in deeds:
            if hand in self.hands:
                self.do(hand, deed)

    @rule(tenant=tenants, worker=pick, first=st.sampled_from(("half", "failed", "transient", "skipped")), then=ENDINGS)
    def contradict(self, tenant: int, worker: int, first: str, then: str) -> None:
        """A space that has ended is worked on again, as by a job that forgot; its first outcome stays."""
        hand = self.held_by(tenant, worker)
        if hand is None or self.row(hand.run.execution_id).status != "running":
            return
        self.act(hand, self.list_spaces)
        for outcome in (first, then):
            if hand in self.hands:
                self.clock.advance(1)
                self.act(hand, partial(self.record, outcome=outcome))

    @rule(tenant=tenants, worker=pick)
    def die_while_finalizing(self, tenant: int, worker: int) -> None:
        """Nobody compiles the result any more, so somebody else has to."""
        hand = self.held_by(tenant, worker)
        if hand is not None and self.row(hand.run.execution_id).status == "running":
            self.act(hand, self.to_finalizing)
        if hand in self.hands and self.row(hand.run.execution_id).status == "finalizing":
            self.drop(hand)
            self.clock.advance(TTL + 1)
            self.reap(worker)

    def do(self, hand: Hand, deed: str) -> None:
        """Let the owner do something that its runner could do in this status, or try any transition."""
        if deed.startswith("try "):
            self.try_transition(hand, deed.removeprefix("try "))
            return
        row = self.row(hand.run.execution_id)
        if row.status == "finalizing" and deed not in ("finish", "give back"):
            return
        if hand.drive.row.status == "cancelling" and deed != "give back":
            self.act(hand, lambda it: it.drive._cancel())
            return
        if deed == "abandon" and hand.owns_row(row):
            self.memory.gone.add(row.id)
        deeds: dict[str, Callable[[Hand], object]] = {
            "list": self.list_spaces,
            "finalize": self.to_finalizing,
            "finish": self.finish,
            "pause": lambda it: self.pause(it, 7200),
            "fail": lambda it: it.drive._fail_open("the site said no", transient=False),
            "fail for now": lambda it: it.drive._fail_open("the site was slow", transient=True),
            "conclude": self.conclude,
            "give back": lambda it: it.drive._give_back(),
            "abandon": lambda it: it.drive._abandon(Abandon("uninstalled")),
        }
        self.act(hand, deeds.get(deed, lambda it: self.record(it, deed)))

    def conclude(self, hand: Hand) -> None:
        """Nothing more can be done: what was submitted is read back, now or later."""
        hand.drive._fail_open("the site said no", transient=False)
        hand.drive._conclude()

    def held_by(self, tenant: int, worker: int) -> Hand | None:
        """Return somebody who owns the tenant's execution; it is started and taken if that is possible now."""
        tenant_id = self.tenants[tenant]
        row = self.seen.active(tenant_id)
        if row is None:
            self.start(tenant, worker % 2, worker)
        elif row.owner in (None, NOBODY) and row.not_before is not None and self.young:
            self.clock.advance(max(timedelta(0), row.not_before - self.clock.now()))
        row = self.look().active(tenant_id)
        for _ in self.tenants:
            if row is not None and self.claimable(row):
                self.take_one(self.worker(worker))
                row = self.row(row.id)
        seen = self.look()
        return next((it for it in self.hands if it.run.tenant_id == tenant_id and it.owns(seen)), None)

    @precondition(lambda self: self.hands)
    @rule(worker=pick)
    def beat(self, worker: int) -> None:
        engine = self.worker(worker)
        engine._heartbeat.beat()
        after = self.look()
        for hand in self.hands:
            if hand.engine is engine and engine._heartbeat.run_of(hand.run.execution_id) is hand.run:
                assert hand.run.lost.is_set() == (not hand.owns(after))
                if hand.owns(after):
                    row = after.executions[hand.run.execution_id]
                    assert row.lease_until == self.clock.now() + timedelta(seconds=TTL)
                    assert (row.status == "cancelling") <= hand.run.cancelled.is_set(), "a beat tells of the cancel"

    def try_transition(self, hand: Hand, name: str) -> None:
        """The owner makes a transition that its status has."""
        key, before = hand.run.execution_id, self.look()
        was, events = before.executions[key], before.events[key]
        wanted = OWNER_MAY[name].get(was.status)
        bad = was.error is not None or any(space.state == "failed" for space in before.spaces.get(key, []))
        if wanted is None or (name == "finalize" and before.open_spaces(key)) or (name, bad) in NEVER:
            return
        unread = before.unread(key)
        if name in NOT_WHILE_UNREAD if unread else name == "defer_settlement":
            return
        assert self.attempt(hand, name), f"{name} from {was.status}"
        after = self.look()
        now = after.executions[key]
        assert now.status == wanted
        assert [event.tag for event in after.events[key][len(events) :]] == [f"job:execution:{EVENTS[name]}"]
        assert (now.owner in (None, NOBODY)) == (name != "finalize")
        assert (now.owner == NOBODY) == (name == "defer_settlement")
        if not hand.owns(after):
            self.drop(hand)

    def try_what_is_refused(self, hand: Hand) -> None:
        """The owner tries every transition that its status does not have; none is made, and nothing is written."""
        key, before = hand.run.execution_id, self.look()
        was = before.executions[key]
        for name in OWNER_MAY:
            if was.status not in OWNER_MAY[name]:
                assert not self.attempt(hand, name), f"{name} from {was.status}"
        after = self.look()
        assert (after.executions[key], after.events[key]) == (was, before.events[key])

    @rule(tenant=tenants, worker=pick, event=st.sampled_from(sorted(ENDS)), dies=st.none() | st.integers(1, 24))
    def run_through(self, tenant: int, worker: int, event: str, dies: int | None) -> None:
        """A whole run in the engine's own loop; something happens at the first call, or the process dies at a commit.

        `dies`: at which failpoint, counted from the claim on.
        """
        if self.seen.active(self.tenants[tenant]) is None:
            self.start(tenant, worker % 2, worker)
        if any(map(self.claimable, self.look().all_active())):
            self.run_one(worker, event, dies)

    @precondition(lambda self: self.young)
    @rule(
        tenant=tenants,
        worker=pick,
        times=st.sampled_from((1, 1, 2)),
        then=st.sampled_from(("start", "start another", "wait", "own slot", "disable", "by hand")),
    )
    def fail_a_scheduled_run(self, tenant: int, worker: int, times: int, then: str) -> None:
        """A slot's run fails for a reason that passes, perhaps its retry too; then something comes between."""
        self.wait_for_a_slot(tenant, worker)
        for number in range(times):
            row = self.look().active(self.tenants[tenant])
            if row is None or not self.claimable(row):
                return
            for _ in range(2):
                if self.claimable(self.row(row.id)):
                    self.run_one(worker, "transient", None)
            if number + 1 < times and self.look().retries:
                self.wait_for_a_retry(early=False, worker=worker)
        mine = self.look().retries_of(self.tenants[tenant])
        for retry in mine:
            own = 0 if retry.job_type == self.jobs[0].type else 1
            if then.startswith("start"):
                self.start(tenant, own if then == "start" else 1 - own, worker)
            elif then == "disable":
                self.disable_or_enable(tenant, gone=worker % 2 == 0)
            elif then == "by hand":
                self.retry_by_hand(0, worker)
            elif then == "own slot":
                self.clock.advance(26 * 3600)
                self.tick(worker)
            else:
                self.wait_for_a_retry(early=True, worker=worker)
                self.wait_for_a_retry(early=False, worker=worker)

    @precondition(lambda self: any(map(self.claimable, self.seen.all_active())) and self.young)
    @rule(worker=pick, times=st.sampled_from((0, 1, 5)), busy=st.sampled_from(("idle", "begin", "submit")))
    def keep_dying(self, worker: int, times: int, busy: str) -> None:
        """Each process that takes it dies, again and again."""
        for number in range(times + 1):
            hand = self.claim(self.worker(worker))
            if hand is None:
                return
            if busy != "idle" and hand.drive.row.status == "running":
                self.list_spaces(hand)
                self.record(hand, busy)
            self.drop(hand)
            self.clock.advance(TTL + 1)
            if number < times:
                self.worker(worker + 1).reaper_tick()
        self.reap(worker + 1)

    @precondition(lambda self: self.owned() and self.young)
    @rule(hand=pick, worker=pick)
    def hang(self, hand: int, worker: int) -> None:
        """A worker passes no safe point for half an hour, but its process lives."""
        self.pass_no_safe_point(self.hand(hand), worker)

    def pass_no_safe_point(self, hand: Hand, worker: int) -> None:
        self.clock.advance(UNTIL_STUCK)
        hand.engine._heartbeat.beat()
        self.reap(worker)

    @precondition(lambda self: self.hands)
    @rule(worker=pick)
    def lose_a_process(self, worker: int) -> None:
        self.crash(self.worker(worker))
