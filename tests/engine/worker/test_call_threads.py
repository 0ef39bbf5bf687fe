"""The call threads of a run: side by side, ahead of the results, and none begins anything after a stop."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from addon.engine import Pause, Run, RunSpace
from addon.engine.worker.call_threads import CallThreads
from tests.engine.conftest import Rig
from tests.support.fakejob import Trouble
from tests.support.servers import eventually


def test_call_threads_work_side_by_side_and_one_failure_stops_no_other(rig: Rig) -> None:
    engine = rig.engine()
    together = threading.Barrier(4, timeout=60)

    def work(run: Run, given: Sequence[RunSpace]) -> None:
        def call(number: int) -> int:
            if number < 4:
                together.wait()
            run.used(points=2, calls=1)
            if number == 5:
                raise Trouble("no", transient=False)
            return number * number

        results = dict(run.map(call, range(20)))
        assert isinstance(results.pop(5), Trouble)
        assert results == {number: number * number for number in range(20) if number != 5}
        assert list(run.map(call, [])) == []
        with run.write() as session:
            for space in given:
                run.done(session, space, {})

    rig.job.work = work  # type: ignore[method-assign,assignment]
    started = rig.start(engine)
    engine.run_due()
    row = rig.row(started.id)
    assert (row.status, row.points, row.calls) == ("successful", 40, 20)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("call-")]


def test_the_call_threads_go_on_while_results_are_written_down(rig: Rig) -> None:
    engine = rig.engine()
    threads = rig.settings.call_threads
    begun: list[int] = []

    def work(run: Run, given: Sequence[RunSpace]) -> None:
        results = run.map(begun.append, range(4 * threads))
        next(results)
        eventually(lambda: len(begun) > threads)
        list(results)
        with run.write() as session:
            for space in given:
                run.done(session, space, {})

    rig.job.work = work  # type: ignore[method-assign,assignment]
    started = rig.start(engine)
    engine.run_due()
    assert len(begun) == 4 * threads
    assert rig.row(started.id).status == "successful"


def test_what_was_handed_to_the_call_threads_is_not_begun_after_a_stop(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = rig.engine()
    threads = rig.settings.call_threads
    together, stopped = threading.Barrier(threads, timeout=60), threading.Event()
    begun: list[int] = []
    one = CallThreads._one

    def tell_when_stopped(self: CallThreads, work: Any, item: Any, halted: threading.Event) -> Any:
        try:
            return one(self, work, item, halted)
        finally:
            if item == 0:
                stopped.set()

    def call(number: int) -> None:
        begun.append(number)
        if number < threads:
            together.wait()
        if number == 0:
            raise Pause(rig.clock.now() + timedelta(hours=1), "the hour's points are used up")
        stopped.wait(60)

    monkeypatch.setattr(CallThreads, "_one", tell_when_stopped)
    rig.job.work = lambda run, given: list(run.map(call, range(100)))  # type: ignore[assignment,method-assign]
    started = rig.start(engine)
    engine.run_due()
    assert rig.row(started.id).pause_reason == "the hour's points are used up"
    # Nobody empties what is at hand, although the other threads were free only after the stop.
    assert sorted(begun) == list(range(threads))
