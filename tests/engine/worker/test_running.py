"""A run from claim to end: spaces, failures, counters, items, results."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from addon.base import Space
from addon.base.logs import get_logger
from addon.engine import Abandon, Fatal, Item, Run, RunSpace, queries
from addon.engine.models import ExecutionSpace
from addon.engine.state.finish import add_metrics
from tests.engine.conftest import EVERYWHERE, Rig
from tests.support.fakejob import Trouble, spaces


@EVERYWHERE
def test_a_run_over_all_spaces_ends_successful_with_its_sums(rig: Rig) -> None:
    engine = rig.engine()
    rig.job.call = lambda run, space: {"statusesChanged": 2, "statusCounts": {"expired": 1, space.key.lower(): 1}}
    rig.job.finalizing = lambda run: {"contentsChecked": 5, "statusCounts": {"expired": 4}}
    started = rig.start(engine, started_by="u-1")
    rig.clock.advance(2)
    assert engine.run_due() == 1
    row = rig.row(started.id)
    assert row.status == "successful"
    assert row.metrics == {
        "spacesProcessed": 3,
        "spacesFailed": 0,
        "spacesSkipped": 0,
        "spacesCancelled": 0,
        "spacesTotal": 3,
        "points": 9,
        "calls": 3,
        "statusesChanged": 6,
        "contentsChecked": 5,
        "statusCounts": {"expired": 7, "a": 1, "b": 1, "c": 1},
    }
    assert (row.percent, row.spaces_done, row.spaces_total) == (100, 3, 3)
    assert (row.points, row.calls) == (9, 3)
    assert (row.owner, row.lease_until, row.expected_end_at) == (None, None, None)
    assert row.ended_at == rig.clock.now()
    assert rig.events(started.id) == ["started", "claimed", "finalizing", "successful"]


@EVERYWHERE
def test_a_failing_space_leaves_the_others_done_and_the_execution_failed_with_its_reason(rig: Rig) -> None:
    engine = rig.engine()

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        if space.key == "B":
            raise Trouble("the site answered 503 five times", transient=True)
        return {"statusesChanged": 1}

    rig.job.call = call
    rig.job.side_by_side = True
    started = rig.start(engine)
    engine.run_due()
    row = rig.row(started.id)
    assert row.status == "failed"
    assert rig.states(started.id) == {"A": "done", "B": "failed", "C": "done"}
    assert rig.reasons(started.id) == {"B": "the site answered 503 five times"}
    assert row.metrics is not None
    assert (row.metrics["spacesProcessed"], row.metrics["spacesFailed"], row.metrics["spacesTotal"]) == (2, 1, 3)
    assert row.percent == 99
    assert rig.retries() == [], "a manual run is not retried"


@EVERYWHERE
def test_a_bug_in_a_job_becomes_a_failed_execution_with_a_reason_and_is_never_retried(rig: Rig) -> None:
    engine = rig.engine()

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        if space.key == "B":
            raise KeyError("title")
        return {}

    rig.job.call = call
    started = rig.start(engine, trigger="scheduled")
    engine.run_due()
    row = rig.row(started.id)
    assert row.status == "failed"
    assert row.error == "internal error (KeyError); the log of the app has the details"
    assert rig.states(started.id) == {"A": "done", "B": "failed", "C": "failed"}
    assert rig.retries() == []
    assert rig.events(started.id) == ["started", "claimed", "finalizing", "failed"]


@EVERYWHERE
def test_a_fatal_error_fails_the_open_spaces_settles_and_goes_through_finalizing(rig: Rig) -> None:
    engine = rig.engine()
    order: list[str] = []

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        if space.key == "B":
            raise Fatal("the app may not read this site any more", transient=False)
        return {"statusesChanged": 1}

    rig.job.call = call
    rig.job.settling = lambda run: order.append("settle")

    def finalizing(run: Run) -> dict[str, Any]:
        order.append("finalize")
        return {}

    rig.job.finalizing = finalizing
    started = rig.start(engine)
    engine.run_due()
    row = rig.row(started.id)
    assert (row.status, row.error) == ("failed", "the app may not read this site any more")
    assert rig.states(started.id) == {"A": "done", "B": "failed", "C": "failed"}
    assert rig.reasons(started.id)["C"] == "the app may not read this site any more"
    assert order == ["settle", "finalize"]


def test_a_listing_that_fails_ends_the_run_failed_with_no_spaces(rig: Rig) -> None:
    engine = rig.engine()

    def listing(run: Run) -> Sequence[RunSpace]:
        raise Fatal("the site is down", transient=True)

    rig.job.listing = listing
    started = rig.start(engine, trigger="scheduled")
    engine.run_due()
    row = rig.row(started.id)
    assert (row.status, row.error) == ("failed", "the site is down")
    assert row.metrics is not None
    assert row.metrics["spacesTotal"] == 0
    assert [retry.failed_execution_id for retry in rig.retries()] == [started.id]


def test_a_finalize_that_breaks_ends_failed_and_keeps_what_the_spaces_did(rig: Rig) -> None:
    engine = rig.engine()

    def finalizing(run: Run) -> dict[str, Any]:
        raise Fatal("the mail server refuses the sender", transient=False)

    rig.job.finalizing = finalizing
    started = rig.start(engine)
    engine.run_due()
    row = rig.row(started.id)
    assert (row.status, row.error) == ("failed", "the mail server refuses the sender")
    assert row.metrics is not None
    assert row.metrics["spacesProcessed"] == 3


def test_a_scope_without_spaces_ends_successful(rig: Rig) -> None:
    engine = rig.engine()
    rig.job.listing = lambda run: []
    started = rig.start(engine)
    engine.run_due()
    assert (rig.row(started.id).status, rig.row(started.id).percent) == ("successful", 100)
    assert rig.job.groups == []


def test_a_space_run_works_on_its_one_space(rig: Rig) -> None:
    engine = rig.engine()
    space = Space(id="7", key="DOCS", name="Docs", type="global")
    started = rig.start(engine, scope="space", space=space)
    engine.run_due()
    assert rig.states(started.id) == {"DOCS": "done"}


def test_a_space_the_job_forgot_is_failed_and_one_it_lists_as_skipped_is_reported(rig: Rig) -> None:
    engine = rig.engine()
    gone = RunSpace(id="x", key="X", name="", state="skipped", reason="excluded by rule: personal spaces")
    rig.job.listing = lambda run: [*spaces("A", "B"), gone]
    forgetful = rig.job.work

    def work(run: Run, spaces: Sequence[RunSpace]) -> None:
        forgetful(run, [space for space in spaces if space.key != "B"])

    rig.job.work = work  # type: ignore[method-assign]
    started = rig.start(engine)
    engine.run_due()
    assert rig.states(started.id) == {"A": "done", "B": "failed", "X": "skipped"}
    assert rig.reasons(started.id)["X"] == "excluded by rule: personal spaces"
    assert rig.row(started.id).status == "failed"


def test_a_tenant_that_is_gone_ends_the_run_cancelled(rig: Rig) -> None:
    engine = rig.engine()

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        raise Abandon("uninstalled")

    rig.job.call = call
    rig.job.settling = lambda run: pytest.fail("nothing can be read back from a tenant that is gone")
    started = rig.start(engine, trigger="scheduled")
    engine.run_due()
    assert rig.row(started.id).status == "cancelled"
    assert rig.events(started.id) == ["started", "claimed", "cancel_requested", "cancelled"]
    assert rig.event(started.id, "cancel_requested").actor_id == "tenant_gone"
    assert rig.retries() == []


@EVERYWHERE
def test_the_item_log_and_the_executions_own_metrics_are_kept_with_what_they_count(rig: Rig) -> None:
    engine = rig.engine()

    def work(run: Run, spaces: Sequence[RunSpace]) -> None:
        for space in spaces:
            with run.write() as session:
                run.items(session, [Item(space, f"{space.key}-1", "archive", "done", title="Old")])
                run.items(session, [Item(space, f"{space.key}-2", "archive", "skipped", "has children")])
                run.add(session, {"contentsMatched": 2})
                run.save(session, space, {"at": 2}, metrics={"contentsArchived": 1})
                run.done(session, space, {"contentsArchived": 1})

    rig.job.work = work  # type: ignore[method-assign]
    started = rig.start(engine)
    engine.run_due()
    with rig.db.read(rig.tenant) as session:
        page, cursor = queries.items(session, started.id, limit=4)
        rest, end = queries.items(session, started.id, limit=4, cursor=cursor)
        one, _ = queries.items(session, started.id, space_id="id-B", outcome="skipped")
    assert [item.seq for item in (*page, *rest)] == [1, 2, 3, 4, 5, 6]
    assert end is None
    assert [(item.content_id, item.reason) for item in one] == [("B-2", "has children")]
    metrics = rig.row(started.id).metrics
    assert metrics is not None
    assert (metrics["contentsMatched"], metrics["contentsArchived"]) == (6, 3)


def test_what_a_failed_transaction_counted_is_not_counted(rig: Rig) -> None:
    engine = rig.engine()

    def work(run: Run, spaces: Sequence[RunSpace]) -> None:
        def broken() -> None:
            with run.write() as session:
                run.done(session, spaces[0], {"statusesChanged": 9})
                run.add(session, {"contentsMatched": 9})
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            broken()
        for space in spaces:
            with run.write() as session:
                run.done(session, space, {"statusesChanged": 1})
                run.done(session, space, {"statusesChanged": 100})
        row = rig.row(run.execution_id)
        assert (row.spaces_done, row.percent, row.status) == (3, 99, "running")

    rig.job.work = work  # type: ignore[method-assign]
    started = rig.start(engine)
    engine.run_due()
    metrics = rig.row(started.id).metrics
    assert metrics is not None
    assert metrics["statusesChanged"] == 3, "the first outcome of a space stays"
    assert "contentsMatched" not in metrics


def test_outcomes_cannot_be_recorded_outside_of_a_fenced_transaction(rig: Rig) -> None:
    engine = rig.engine()

    def work(run: Run, spaces: Sequence[RunSpace]) -> None:
        with rig.db.write(rig.tenant) as session, pytest.raises(RuntimeError, match=r"run\.write"):
            run.done(session, spaces[0], {})
        with run.write() as session:
            for space in spaces:
                run.done(session, space, {})

    rig.job.work = work  # type: ignore[method-assign]
    started = rig.start(engine)
    engine.run_due()
    assert rig.row(started.id).status == "successful"


def test_a_job_can_see_its_open_spaces_in_the_database_only_through_the_engine(rig: Rig) -> None:
    engine = rig.engine()

    def work(run: Run, given: Sequence[RunSpace]) -> None:
        with run.write() as session:
            run.begin(session, given[:2])
        with run.read() as session:
            running = session.scalars(sa.select(ExecutionSpace).where(ExecutionSpace.state == "running")).all()
            assert [space.space_key for space in running] == ["A", "B"]
            page, cursor = queries.spaces(session, run.execution_id, state="running", limit=1)
            assert ([space.space_key for space in page], cursor is not None) == (["A"], True)
        with run.write() as session:
            for space in given:
                run.skipped(session, space, "excluded meanwhile")

    rig.job.work = work  # type: ignore[method-assign,assignment]
    started = rig.start(engine)
    engine.run_due()
    row = rig.row(started.id)
    assert row.status == "successful"
    assert row.metrics is not None
    assert row.metrics["spacesSkipped"] == 3


def test_metrics_add_up_by_name_and_refuse_mixed_shapes() -> None:
    assert add_metrics({"a": 1, "n": {"x": 1}}, {"a": 2, "b": 3, "n": {"x": 2, "y": 5}}) == {
        "a": 3,
        "b": 3,
        "n": {"x": 3, "y": 5},
    }
    with pytest.raises(TypeError):
        add_metrics({"a": 1}, {"a": {"x": 1}})


@pytest.mark.parametrize("side_by_side", [False, True])
def test_every_line_of_a_run_says_whose_it_is_on_call_threads_too(
    rig: Rig, side_by_side: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="addon.jobs")

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        get_logger("addon.jobs.fake").info("said", action="said", space=space.key)
        return {}

    rig.job.call, rig.job.side_by_side = call, side_by_side
    started = rig.start(rig.engine())
    rig.engine().run_due()
    get_logger("addon.jobs.fake").info("over", action="over")
    *said, over = (vars(record) for record in caplog.records if record.name == "addon.jobs.fake")
    whose = {"tenant": started.tenant_id, "execution": started.id, "job": "refresh-statuses"}
    assert all(line.items() >= whose.items() for line in said)
    assert sorted(line["space"] for line in said) == ["A", "B", "C"]
    assert whose.keys() & over.keys() == set()
