"""A whole run in the engine's own loop: each way it can stop, and a death at each commit."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from addon.engine import ACTIVE, Abandon, Fatal, NotCancellable, Pause, failpoints
from addon.engine.worker.runner import run_next
from tests.engine.model.hands import Hands
from tests.engine.model.people import People
from tests.engine.model.settled import NOBODY
from tests.engine.model.site import Died
from tests.engine.model.world import TTL
from tests.support.fakejob import Trouble

ENDS = {
    "nothing": None,
    "transient": "failed",
    "permanent": "failed",
    "fatal": "failed",
    "fatal for now": "failed",
    "abandon": "cancelled",
    "cancel": "cancelled",
    "pause": "running",
    "stop": "running",
    "die": "running",
    "cancel, stop": "cancelling",
    "cancel, die": "cancelling",
    "finalize fails": "failed",
    "cancel too late": None,
    "overtaken": None,
}
"""What may happen during a run, and how the execution is left then, where that is certain."""


class Runs(Hands, People):
    """Runs driven by the engine, not step by step."""

    def run_one(self, worker: int, event: str, dies: int | None) -> None:
        self.calm_jobs()
        engine = self.worker(worker)
        was = min((row for row in self.look().all_active() if self.claimable(row)), key=lambda row: row.id)
        happened: list[Any] = []
        for job in self.jobs:
            if event in ("finalize fails", "cancel too late"):
                job.finalizing = lambda run: self.happen(run, event, worker, happened)
            elif event != "nothing":
                job.call = lambda run, space: self.happen(run, event, worker, happened)
        left = [dies or 10**6]

        def pass_point(point: str) -> None:
            left[0] -= 1
            if left[0] <= 0:
                raise Died

        try:
            with failpoints.armed(pass_point):
                assert run_next(engine._context, engine._heartbeat)
        except Died:
            self.crash(engine)
        else:
            self.left_as_expected(was, event, happened)
        finally:
            self.calm_jobs()

    def left_as_expected(self, was: Any, event: str, happened: list[Any]) -> None:
        """Compare how a run was left with what happened in it; what the site did not answer may hold it up."""
        row, unread = self.row(was.id), self.look_for_unread(was.id)
        waits = bool(unread) and row.status in ACTIVE and self.site.asked[-1:] == [was.id]
        assert row.status not in ACTIVE or row.fence >= was.fence + 2, "it was taken, and it was given away"
        if happened and ENDS[event] is not None:
            left = {"cancel, stop": "cancelled"}.get(event, "") if not unread else ""
            assert waits or row.status in (ENDS[event], left)
        assert row.status not in ("running", "cancelling") or row.owner in (None, NOBODY)
        if event == "pause" and happened:
            assert row.not_before == happened[-1], "a pause lasts as long as it was told"
            assert row.owner is None
        elif not waits and row.owner is None:
            assert row.not_before is None

    def happen(self, run: Any, event: str, worker: int, happened: list[Any]) -> dict[str, Any]:
        """Do what happens in the middle of a run, once."""
        if happened:
            return {}
        happened.append(event)
        other = self.worker(worker + 1)
        if event in ("transient", "permanent"):
            raise Trouble("no", transient=event == "transient")
        if event in ("fatal", "fatal for now", "finalize fails"):
            raise Fatal("read-only", transient=event == "fatal for now")
        if event == "abandon":
            self.memory.gone.add(run.execution_id)
            raise Abandon("uninstalled")
        if event == "pause":
            happened.append(self.clock.now() + timedelta(hours=1))
            raise Pause(happened[-1], "quota")
        if event.startswith("cancel,"):
            self.cancel_execution(run.execution_id, worker + 1)
        if event.endswith("die"):
            raise Died
        if event.endswith("stop"):
            run.stop.set()
            run.check()
        if event == "cancel":
            self.cancel_execution(run.execution_id, worker + 1)
        if event == "cancel too late":
            self.cancel_execution(run.execution_id, worker + 1)
            assert run.execution_id not in self.memory.cancels, NotCancellable.__doc__
        if event == "overtaken":
            self.clock.advance(TTL + 1)
            other.reaper_tick()
            run_next(other._context, other._heartbeat)
        return {"contentsChecked": 1}
