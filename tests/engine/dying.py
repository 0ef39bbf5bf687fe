"""Deaths anywhere in a story, and what must be true after them.

The stories run in a process that dies at a failpoint: pretended in the test's own process, or a real child.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from addon.base import Database
from addon.engine import ACTIVE, TERMINAL, Busy, ExecutionItem, ExecutionSpace, JobExecution, RetryDue, failpoints
from addon.engine.models import AuditEvent, ScheduleFire
from addon.engine.state.table import TABLE
from tests.engine.stories import CHECKED, STORIES, World

POINTS = [f"{name}:{side}" for name in (*(row.name for row in TABLE), *failpoints.OTHER) for side in failpoints.SIDES]
TERMINAL_TAGS = {f"job:execution:{row.event}" for row in TABLE if row.terminal}
SQL = pytest.mark.parametrize("backend", ["sqlite", "postgresql"], indirect=True)
"""Mark for tests of what is in the database, however runners are woken."""


class Died(BaseException):
    """The process ended here: whatever it still tries to write is not written."""


@contextmanager
def dead_databases(db: Database) -> Iterator[list[bool]]:
    """Yield a list that is empty while `db`'s process lives: once it has an entry, no transaction begins any more."""
    dead: list[bool] = []

    def refuse(_connection: sa.Connection) -> None:
        if dead:
            raise Died

    event.listen(db.engine, "begin", refuse, insert=True)
    try:
        yield dead
    finally:
        event.remove(db.engine, "begin", refuse)


def die_at(world: World, story: str, point: str, number: int) -> bool:
    """Run a story until its process dies when it passes `point` for the `number`th time; False if it never does."""
    left = [number]
    with dead_databases(world.db) as dead:

        def call(passed: str) -> None:
            if passed == point and not dead:
                left[0] -= 1
                if left[0] == 0:
                    dead.append(True)
            if dead:
                raise Died

        with failpoints.armed(call):
            try:
                STORIES[story](world)
            except Died:
                return True
            finally:
                world.close()
    return False


def passed_points(world: World, story: str) -> list[str]:
    """Return the points that a story passes when nobody dies, in order."""
    passed: list[str] = []
    with failpoints.armed(passed.append):
        STORIES[story](world)
    world.close()
    return passed


def recover(world: World) -> None:
    """Let another process work until nothing is left to do; what never began is asked for once more."""
    other = world.engine()
    for _ in range(40):
        other.reaper_tick()
        other.schedule_tick()
        while world.drive(other):
            assert_one_active(world)
        with world.db.read_all() as session:
            left = session.scalar(sa.select(sa.func.count()).where(JobExecution.status.in_(ACTIVE)))
            waiting = session.scalar(sa.select(sa.func.count()).select_from(RetryDue))
        if not left and not waiting:
            break
        assert_one_active(world)
        world.clock.advance(301)
    else:
        raise AssertionError("the tenant's lane is still not free")
    try:
        world.start()
    except Busy as busy:
        raise AssertionError("the lane is taken although nothing is active") from busy
    assert world.drive(other)
    world.close()


def assert_one_active(world: World) -> None:
    with world.db.read_all() as session:
        count = sa.select(sa.func.count()).where(JobExecution.status.in_(ACTIVE))
        assert (session.scalar(count) or 0) <= 1


def assert_whole(world: World) -> None:
    """Assert what must hold of all executions once recovery has ended."""
    with world.db.read_all() as session:
        executions = session.scalars(sa.select(JobExecution).order_by(JobExecution.id)).all()
        assert executions[-1].status == "successful", "the tenant can run again"
        for row in executions:
            _assert_execution_whole(session, row)
        fires = session.scalars(sa.select(ScheduleFire)).all()
        scheduled = [row for row in executions if row.trigger == "scheduled"]
        assert sorted(fire.execution_id or "" for fire in fires) == [row.id for row in scheduled]
        retried = [row.retry_of for row in executions if row.trigger == "retry"]
        assert len(retried) == len(set(retried)), "nothing is retried twice"


def _assert_execution_whole(session: Any, row: JobExecution) -> None:
    assert row.status in TERMINAL
    assert row.owner is None
    tags = session.execute(
        sa.select(AuditEvent.seq, AuditEvent.tag).where(AuditEvent.execution_id == row.id).order_by(AuditEvent.seq)
    ).all()
    assert [event.seq for event in tags] == list(range(1, row.seq + 1)), "no event is missing"
    ends = [event.tag in TERMINAL_TAGS for event in tags]
    assert ends.count(True) == 1, "one terminal event"
    assert ends[-1], "the terminal event is the last"
    spaces = session.scalars(sa.select(ExecutionSpace).where(ExecutionSpace.execution_id == row.id)).all()
    done = sorted(space.space_id for space in spaces if space.state == "done")
    acted = sorted(space.space_id for space in spaces if space.metrics.get("contentsArchived"))
    assert set(done) <= set(acted)
    assert not [space for space in spaces if (space.checkpoint or {}).get("submitted")], "all was read back"
    assert not [space for space in spaces if space.state in ("pending", "running")]
    items = session.scalars(sa.select(ExecutionItem).where(ExecutionItem.execution_id == row.id)).all()
    assert sorted(item.space_id for item in items) == acted, "each outcome once"
    assert row.metrics is not None
    counted = [row.metrics.get(name, 0) for name in ("spacesProcessed", "contentsArchived", "contentsChecked")]
    assert counted == [len(done), len(acted), CHECKED * len(acted)]
    assert (row.status == "cancelled") == (row.cancel_requested_at is not None), "no cancel is lost"
