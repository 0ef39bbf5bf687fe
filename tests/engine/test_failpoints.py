"""The process dies at each commit boundary in turn, and another one finds everything as it has to be."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from addon.base import Database, TenantId, metadata, new_id
from addon.connect.models import Tenant
from addon.engine import failpoints
from addon.engine.state.table import TABLE
from tests.engine.conftest import empty
from tests.engine.dying import POINTS, SQL, assert_whole, die_at, passed_points, recover
from tests.engine.dying_process import KILLED
from tests.engine.stories import STORIES, World
from tests.support.clock import VirtualClock


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


def first_world(db: Database, tenant: TenantId) -> World:
    """Return the world of a tenant whose lane is opened now."""
    world = World(db, VirtualClock(), tenant)
    with db.write(tenant) as session:
        world.engine().open_lane(session, tenant, first_run=False)
    return world


@pytest.fixture
def world(database: Database, new_tenant: Callable[..., TenantId]) -> Iterator[World]:
    world = first_world(database, new_tenant())
    yield world
    world.close()


@pytest.fixture(scope="session")
def other_processes() -> Iterator[Callable[[World], World]]:
    """A function that gives the tenant of a world into the hands of a further process with connections of its own."""
    databases: dict[str, Database] = {}

    def of(world: World) -> World:
        url = world.db.url.render_as_string(hide_password=False)
        return World(databases.setdefault(url, Database(url)), world.clock, world.tenant)

    yield of
    for db in databases.values():
        db.dispose()


@pytest.fixture(scope="session")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The points that each story passes."""
    import addon.migrations.tables  # noqa: F401  (registers every table)

    db = Database(f"sqlite:///{tmp_path_factory.mktemp('paths') / 'steward.sqlite3'}")
    metadata.create_all(db.engine)
    found: dict[str, list[str]] = {}
    for story in STORIES:
        tenant = TenantId(new_id())
        now = VirtualClock().now()
        with db.write_all() as session:
            session.add(
                Tenant(
                    id=tenant,
                    client_key=story,
                    base_url="https://one.atlassian.net/wiki",
                    state="installed",
                    secret=b"sealed",
                    installed_at=now,
                    updated_at=now,
                )
            )
        world = first_world(db, tenant)
        found[story] = passed_points(world, story)
        recover(world)
    db.dispose()
    return found


def test_every_transition_and_every_other_commit_of_the_engine_is_a_point_that_some_story_passes(
    paths: dict[str, list[str]],
) -> None:
    """Fails when a transition of the table has no failpoint, or no story that makes it."""
    names = {row.name for row in TABLE} | set(failpoints.OTHER)
    assert {point for path in paths.values() for point in path} == {
        f"{n}:{s}" for n in names for s in ("before", "after")
    }
    assert len(POINTS) == 2 * len(names)


@pytest.mark.parametrize("story", STORIES)
def test_a_story_in_which_nobody_dies_ends_whole(story: str, world: World) -> None:
    STORIES[story](world)
    recover(world)
    assert_whole(world)


@SQL
@pytest.mark.parametrize("point", POINTS)
def test_a_process_that_dies_at_a_commit_leaves_nothing_lost_and_nothing_twice(
    point: str, backend: str, world: World, paths: dict[str, list[str]], other_processes: Callable[[World], World]
) -> None:
    story = next(name for name, path in paths.items() if point in path)
    assert die_at(other_processes(world), story, point, 1)
    recover(world)
    assert_whole(world)


@pytest.mark.long
@pytest.mark.parametrize("story", STORIES)
def test_a_process_that_dies_anywhere_in_a_story_leaves_nothing_lost_and_nothing_twice(
    story: str,
    database: Database,
    new_tenant: Callable[..., TenantId],
    other_processes: Callable[[World], World],
    paths: dict[str, list[str]],
) -> None:
    """Every pass of every point, also the second outcome and the sixth loss."""
    passes = Counter(paths[story])
    for point in passes:
        for number in range(1, passes[point] + 1):
            world = first_world(database, new_tenant())
            assert die_at(other_processes(world), story, point, number), (point, number)
            recover(world)
            assert_whole(world)
            world.close()
            empty(database)


@pytest.mark.long
@SQL
@pytest.mark.parametrize("point", POINTS)
def test_a_real_process_that_exits_at_a_commit_leaves_nothing_lost_and_nothing_twice(
    point: str, backend: str, world: World, paths: dict[str, list[str]]
) -> None:
    story = next(name for name, path in paths.items() if point in path)
    url = world.db.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "tests.engine.dying_process", url, world.tenant, story, point]
    child = subprocess.run(command, cwd=Path(__file__).parents[2], timeout=100, check=False)
    assert child.returncode == KILLED
    recover(world)
    assert_whole(world)
