"""How far a run has come, and how long it still takes: the percentage never falls, the estimate runs down."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from addon.engine import Run, RunSpace, live_progress
from tests.engine.conftest import Rig
from tests.support.fakejob import spaces


def test_progress_is_weighted_never_falls_and_estimates_from_the_recent_rate(rig: Rig) -> None:
    engine = rig.engine()
    rig.job.listing = lambda run: [RunSpace(str(n), f"S{n}", "", weight=10 * (n + 1)) for n in range(4)]
    seen: list[tuple[int, int | None]] = []

    def left(run: Run) -> int | None:
        return live_progress(rig.row(run.execution_id), rig.clock.now()).seconds_left

    def work(run: Run, spaces: Sequence[RunSpace]) -> None:
        for space in spaces:
            rig.clock.advance(10)
            with run.write() as session:
                run.done(session, space, {})
            row = rig.row(run.execution_id)
            seen.append((row.percent, left(run)))
            rig.clock.advance(3)
            run.safe_point()
            assert rig.row(run.execution_id).percent == row.percent
            assert seen[-1][1] is None or left(run) == seen[-1][1] - 3, "it runs down, also past safe points"

    rig.job.work = work  # type: ignore[method-assign]
    rig.start(engine)
    rig.drive(engine)
    assert [percent for percent, _ in seen] == [10, 30, 60, 99]
    assert seen[0][1] == 90, "90 of the weight are left at 1 per second"
    assert seen[3][1] is None, "nothing is left to wait for"


def test_an_estimate_that_is_outlasted_is_not_shown_any_more(rig: Rig) -> None:
    engine = rig.engine()
    seen: list[int | None] = []

    def work(run: Run, spaces: Sequence[RunSpace]) -> None:
        rig.clock.advance(20)
        with run.write() as session:
            run.done(session, spaces[0], {})
        for seconds in (0, 39, 2, 300):
            rig.clock.advance(seconds)
            engine._heartbeat.beat()
            run.safe_point()
            seen.append(live_progress(rig.row(run.execution_id), rig.clock.now()).seconds_left)
        with run.write() as session:
            for space in spaces[1:]:
                run.done(session, space, {})

    rig.job.work = work  # type: ignore[method-assign]
    rig.start(engine)
    rig.drive(engine)
    assert seen == [40, 1, None, None]


def test_how_far_a_space_has_come_counts_before_it_ends(rig: Rig) -> None:
    """A run over one large space is neither at 0 nor without an estimate until its very end."""
    engine = rig.engine()
    rig.job.listing = lambda run: spaces("BIG")
    seen: list[tuple[int, int | None]] = []

    def work(run: Run, spaces: Sequence[RunSpace]) -> None:
        for done in (100, 250, 200, 1000, 400):
            rig.clock.advance(15)
            with run.write() as session:
                run.progress(session, spaces[0], done, 1000)
            row = rig.row(run.execution_id)
            assert (row.spaces_done, row.status) == (0, "running")
            seen.append((row.percent, live_progress(row, rig.clock.now()).seconds_left))
        with run.write() as session:
            run.done(session, spaces[0], {})
        assert rig.row(run.execution_id).spaces_done == 1

    rig.job.work = work  # type: ignore[method-assign]
    started = rig.start(engine)
    rig.drive(engine)
    assert [percent for percent, _ in seen] == [10, 25, 25, 99, 99], "it never falls"
    assert seen[0][1] == 135, "900 of 1,000 are left after 100 in 15 s"
    assert rig.row(started.id).percent == 100


def test_what_a_rolled_back_write_said_of_the_progress_is_forgotten(rig: Rig) -> None:
    engine = rig.engine()
    rig.job.listing = lambda run: spaces("BIG")

    def work(run: Run, spaces: Sequence[RunSpace]) -> None:
        def broken() -> None:
            with run.write() as session:
                run.progress(session, spaces[0], 9, 10)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            broken()
        with run.write() as session:
            run.progress(session, spaces[0], 3, 10)
        assert rig.row(run.execution_id).percent == 30
        with run.write() as session:
            run.done(session, spaces[0], {})

    rig.job.work = work  # type: ignore[method-assign]
    rig.start(engine)
    rig.drive(engine)


def test_no_estimate_is_shown_before_it_can_mean_something(rig: Rig) -> None:
    engine = rig.engine()
    seen: list[int | None] = []

    def work(run: Run, spaces: Sequence[RunSpace]) -> None:
        for space in spaces:
            rig.clock.advance(2)
            with run.write() as session:
                run.done(session, space, {})
            seen.append(live_progress(rig.row(run.execution_id), rig.clock.now()).seconds_left)

    rig.job.work = work  # type: ignore[method-assign]
    rig.start(engine)
    rig.drive(engine)
    assert seen == [None, None, None]
