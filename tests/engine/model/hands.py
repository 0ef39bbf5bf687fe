"""The engine's own steps by a process that owns, or owned, an execution, one transaction at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from addon.engine import Abandon, CancelRequested, Fatal, Interrupted, Pause
from addon.engine.errors import Fenced
from addon.engine.lease import lease as leases
from addon.engine.state.finish import end
from addon.engine.state.transitions import Actor, move
from addon.engine.worker.run import ActiveRun
from addon.engine.worker.runner import ExecutionRunner
from addon.engine.worker.spaces import freeze_spaces, listed
from tests.engine.model.site import Broken, Died
from tests.engine.model.world import TTL, Hand, World
from tests.support.fakejob import spaces as some_spaces

OWNER_MAY = {
    "pause": {"running": "running"},
    "hand_over": {"running": "running", "finalizing": "finalizing"},
    "finalize": {"running": "finalizing"},
    "succeed": {"finalizing": "successful"},
    "fail": {"finalizing": "failed"},
    "cancelled": {"cancelling": "cancelled"},
    "defer_settlement": {"cancelling": "cancelling"},
}
"""By transition of the owner: from which status to which. Everything else is refused."""
EVENTS = {
    "pause": "paused",
    "hand_over": "handed_over",
    "finalize": "finalizing",
    "succeed": "successful",
    "fail": "failed",
    "cancelled": "cancelled",
    "defer_settlement": "left_to_settle",
}
OUTCOMES = ("begin", "save", "half", "done", "failed", "transient", "skipped", "submit")


class Hands(World):
    """Workers take executions and act for them, as the runner thread does."""

    def take_one(self, engine: Any) -> Hand | None:
        """Claim as a runner does, and compare what it got with what was free."""
        before = self.look()
        free = [row for row in before.all_active() if self.claimable(row)]
        hand = self.claim(engine)
        if hand is None:
            assert not free, "what is free is taken"
            return None
        key = hand.run.execution_id
        assert key == min(row.id for row in free), "the oldest first"
        was, now = before.executions[key], self.row(key)
        assert (now.owner, now.fence, now.status) == (engine.worker_id, was.fence + 1, was.status)
        assert (now.not_before, now.lease_until) == (None, self.clock.now() + timedelta(seconds=TTL))
        return hand

    def claim(self, engine: Any) -> Hand | None:
        began = self.clock.monotonic()
        claimed = leases.claim(engine._context)
        if claimed is None:
            return None
        run = ActiveRun(engine._context, claimed.lease, claimed.row, began)
        engine._heartbeat.register(run)
        self.hands.append(Hand(engine, run, ExecutionRunner(engine._context, run, claimed.row)))
        return self.hands[-1]

    def act(self, hand: Hand, action: Callable[[Hand], object]) -> None:
        """Let the owner do something; when it holds the execution no more, it has no hand in it."""
        before = self.look()
        owned = hand.owns(before)
        self.stop_as_a_runner(hand, action, owned=owned)
        after = self.look()
        assert owned or after == before, "a zombie writes nothing"
        if owned and not hand.owns(after) and hand in self.hands:
            self.drop(hand)

    def stop_as_a_runner(self, hand: Hand, action: Callable[[Hand], object], *, owned: bool) -> None:
        """Translate how an action stops, as the runner does. A zombie tries again however often it is told."""
        try:
            try:
                action(hand)
            except CancelRequested:
                hand.drive._cancel()
            except Pause as stop:
                hand.drive._pause(stop)
            except Abandon as stop:
                hand.drive._abandon(stop)
            except (Fatal, Broken) as stop:
                hand.drive._fail_open(str(stop), transient=isinstance(stop, Fatal) and stop.transient)
                hand.drive._conclude()
        except Fenced:
            assert not owned, "who holds the lease is not fenced"
        except Interrupted:
            hand.drive._give_back()
        except Died:
            self.crash(hand.engine)
            return
        if not owned:
            hand.run.lost.clear()
            hand.run.stop.clear()

    def drop(self, hand: Hand) -> None:
        hand.engine._heartbeat.unregister(hand.run)
        hand.run.calls.close()
        self.hands.remove(hand)

    def list_spaces(self, hand: Hand) -> None:
        # A run that has failed as a whole is only settled and concluded: no runner lists it any more.
        if self.spaces(hand) or hand.drive.row.error is not None:
            return
        if hand.owns_row(self.row(hand.run.execution_id)):
            hand.drive._list()
            return
        with hand.run.write() as session:
            freeze_spaces(session, hand.run.lease, some_spaces("A", "B"), None, self.clock.now())

    def spaces(self, hand: Hand) -> list[Any]:
        with hand.run.read() as session:
            return [space for space, _ in listed(session, hand.run.execution_id)]

    def record(self, hand: Hand, outcome: str) -> None:
        """Write what a job writes at a safe point, and pass it."""
        run, spaces = hand.run, self.spaces(hand)
        with run.write() as session:
            run.used(points=1, calls=1)
            if outcome == "begin":
                run.begin(session, spaces)
            for space in spaces[-1:]:
                if outcome == "save":
                    run.save(session, space, {**(space.checkpoint or {}), "fence": run.lease.fence})
                elif outcome in ("failed", "transient"):
                    run.failed(session, space, "no", transient=outcome == "transient")
                elif outcome == "skipped":
                    run.skipped(session, space, "gone")
            if outcome == "submit":
                self.submit(hand, session, spaces)
            for space in spaces if outcome == "done" else spaces[:1] if outcome == "half" else []:
                self.end_done(hand, session, space)
        run.safe_point()

    def submit(self, hand: Hand, session: Any, spaces: list[Any]) -> None:
        """Hand over to the site what a space needs, the first one that was not."""
        for space in spaces:
            fresh = not {"submitted", "outcome"} & set(space.checkpoint or {})
            if hand.drive.job is self.submitting and space.state in ("pending", "running") and fresh:
                hand.run.begin(session, [space])
                self.submitting.submit(hand.run, session, space)
                return

    def end_done(self, hand: Hand, session: Any, space: Any) -> None:
        """End a space as the job does: what it submitted is known then, and counted once."""
        checkpoint, metrics = space.checkpoint or {}, {"contentsChecked": 1}
        if space.state in ("pending", "running"):
            if "outcome" in checkpoint:
                metrics["contentsArchived"] = int(checkpoint["outcome"] == "done")
            hand.run.done(session, space, metrics)
        if checkpoint.get("submitted"):
            self.submitting.read_back(hand.run, session, space, "done")

    def to_finalizing(self, hand: Hand) -> bool:
        """Bring what is left to an end, once it is known, and let the result be compiled."""
        self.list_spaces(hand)
        spaces = self.spaces(hand)
        for space in spaces:
            if (space.checkpoint or {}).get("submitted"):
                self.site.read(hand.run, space)
        with hand.run.write() as session:
            for space in spaces:
                self.end_done(hand, session, space)
        return hand.drive._to_finalizing()

    def finish(self, hand: Hand) -> None:
        if self.row(hand.run.execution_id).status == "finalizing" or self.to_finalizing(hand):
            hand.drive._finalize()

    def pause(self, hand: Hand, seconds: int) -> None:
        hand.drive._pause(Pause(self.clock.now() + timedelta(seconds=seconds), "quota"))

    def attempt(self, hand: Hand, name: str) -> bool:
        """Try one transition of the owner, whatever the status is; return whether it was made."""
        context, lease, counters = hand.engine._context, hand.run.lease, hand.run.counters()
        at = self.clock.now()
        if name == "pause":
            return leases.pause(context, lease, at + timedelta(hours=1), "quota", counters)
        if name == "hand_over":
            return leases.hand_over(context, lease, counters)
        if name == "defer_settlement":
            with self.db.write(lease.tenant_id) as session:
                leases.fenced(session, lease)
                return leases.defer_settlement(context, session, lease, counters)
        actor = Actor("runner", context.worker_id)
        try:
            with self.db.write(lease.tenant_id) as session:
                row = leases.fenced(session, lease)
                if name == "finalize":
                    return move(session, name, row.id, at=at, actor=actor, lease=lease, values=counters) is not None
                end(context, session, name, row, actor=actor, lease=lease)
        except RuntimeError:
            return False
        return True

    def crash(self, engine: Any) -> None:
        """The whole process is gone, with all that it held; another takes its place."""
        for hand in [each for each in self.hands if each.engine is engine]:
            self.drop(hand)
        engine._heartbeat._disconnect(broken=True)
        self.workers[self.workers.index(engine)] = self.new_worker()
