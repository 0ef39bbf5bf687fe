"""The migrations and the models describe one schema."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory

from addon.base import Database, metadata
from addon.engine import ExecutionSpace, JobExecution
from addon.jobs.models import ArchiveTask
from addon.mail.models import OutboxMail
from addon.migrations import schema
from tests.support.postgres import BOTH


def test_the_migrations_build_exactly_the_schema_of_the_models(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'migrated.sqlite3'}")
    schema.upgrade(db)
    assert schema.differences(db) == []
    schema.require_current(db)
    db.dispose()


def test_a_database_without_the_schema_is_refused_with_what_to_do(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'empty.sqlite3'}")
    with pytest.raises(schema.SchemaOutdated, match="steward migrate"):
        schema.require_current(db)
    db.dispose()


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'twice.sqlite3'}")
    assert schema.upgrade(db) == schema.upgrade(db) == schema.head()
    db.dispose()


@BOTH
def test_the_way_back_to_the_first_revision_and_forth_again_works(
    backend: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Ended executions are held by a trigger over their columns, which no migration may meet."""
    if backend == "postgresql":
        server = request.getfixturevalue("postgres_server")
        server.execute("CREATE DATABASE there_and_back")
        db = Database(server.url("there_and_back"), patience=None)
    else:
        db = Database(f"sqlite:///{tmp_path / 'there_and_back.sqlite3'}", patience=None)
    schema.upgrade(db)
    config = schema._config()
    with db.engine.execution_options(steward_write=True).begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
    assert schema.revision(db) == "0001"
    schema.upgrade(db)
    assert schema.differences(db) == []
    triggers = "pg_trigger WHERE NOT tgisinternal AND" if backend == "postgresql" else "sqlite_master WHERE"
    name = "tgname" if backend == "postgresql" else "type = 'trigger' AND name"
    with db.engine.connect() as connection:
        [number] = connection.execute(
            sa.text(f"SELECT count(*) FROM {triggers} {name} LIKE 'job_execution_terminal%'")
        ).one()
    assert number > 0
    db.dispose()


def test_migrated_tables_keep_every_check_of_the_models(tmp_path: Path) -> None:
    """SQLite changes a constraint by copying the table, which could lose the others."""
    import addon.migrations.tables  # noqa: F401  (registers every table)

    made = Database(f"sqlite:///{tmp_path / 'made.sqlite3'}")
    metadata.create_all(made.engine)
    db = Database(f"sqlite:///{tmp_path / 'migrated.sqlite3'}")
    schema.upgrade(db)
    assert checks(db) == checks(made)
    for each in (made, db):
        each.dispose()


def checks(db: Database) -> dict[str, dict[str, str]]:
    """Return the CHECK constraints by table and name, without blanks."""
    look = sa.inspect(db.engine)
    return {
        table: {str(each["name"]): "".join(each["sqltext"].split()) for each in look.get_check_constraints(table)}
        for table in metadata.tables
    }


def at_revision(db: Database, revision: str) -> None:
    """Bring a database to an earlier revision, with the rows that one may have held."""
    config = schema._config()
    with db.engine.execution_options(steward_write=True).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    with db.engine.execution_options(steward_write=True).begin() as connection:
        for table, rows in ROWS[revision].items():
            reflected = sa.Table(table, sa.MetaData(), autoload_with=connection)
            for row in rows:
                connection.execute(sa.insert(reflected), row)


NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
_RUN: dict[str, Any] = {
    "tenant_id": "t1", "job_type": "execute-automations", "scope": "site", "trigger": "manual", "params": {},
    "policy_version": 1, "generation": 1, "dry_run": False, "started_at": NOW, "fence": 3, "losses": 2, "listed": True,
    "spaces_total": 4, "spaces_done": 1, "spaces_failed": 0, "percent": 25, "points": 7, "calls": 5,
    "extra_metrics": {}, "error_transient": False, "attempt": 1, "seq": 4, "item_seq": 0,
}  # fmt: skip
_SPACE: dict[str, Any] = {
    "tenant_id": "t1", "execution_id": "running", "name": "S", "type": "global", "weight": 1, "metrics": {},
    "transient": False,
}  # fmt: skip
_MAIL: dict[str, Any] = {
    "tenant_id": "t1", "account_id": "p1", "message_id": "<m@example.com>", "subject": "Nine", "attempts": 0,
    "not_before": NOW, "created_at": NOW,
}  # fmt: skip
FIRST_LIGHT: dict[str, list[dict[str, Any]]] = {
    "tenant": [
        {
            "id": "t1", "client_key": "c1", "base_url": "https://one.atlassian.net/wiki", "state": "installed",
            "secret": b"sealed", "enabled": True, "needs_reinstall": False, "generation": 1, "secret_version": 1,
            "lifecycle_iat": 1, "installed_at": NOW, "updated_at": NOW,
        },
    ],
    "lane": [{"tenant_id": "t1", "open": True, "first_run": False, "hold": False}],
    "job_execution": [
        {**_RUN, "id": "running", "status": "running"},
        {**_RUN, "id": "ended", "status": "successful", "ended_at": NOW, "metrics": {"spacesTotal": 4}},
    ],
    "execution_space": [
        {**_SPACE, "space_id": "1", "space_key": "A", "position": 0, "state": "done", "losses": 1},
        {**_SPACE, "space_id": "2", "space_key": "B", "position": 1, "state": "pending", "losses": 1},
        {**_SPACE, "space_id": "3", "space_key": "C", "position": 2, "state": "pending", "losses": 0},
    ],
    "archive_task": [
        {
            "id": "b1", "tenant_id": "t1", "execution_id": "running", "space_id": "2", "automation_id": "s/a",
            "page_ids": ["9"], "titles": ["Nine"], "submitted_at": NOW,
        },
    ],
    "outbox": [
        {**_MAIL, "id": "m1", "dedupe_key": "m1", "state": "sent", "text": "", "html": "", "ended_at": NOW},
        {**_MAIL, "id": "m2", "dedupe_key": "m2", "state": "pending", "text": "Nine", "html": "Nine"},
    ],
}  # fmt: skip


def first_light_kept(db: Database) -> None:
    """What became of the rows of 0001: an installation, a run in work and one that has ended."""
    with db.read_all() as session:
        spaces = session.scalars(sa.select(ExecutionSpace).order_by(ExecutionSpace.position)).all()
        assert [(space.space_key, space.state) for space in spaces] == [
            ("A", "done"), ("B", "pending"), ("C", "pending"),
        ]  # fmt: skip
        assert [(space.suspect, space.lease_losses) for space in spaces[1:]] == [(True, 0), (False, 0)]
        rows = session.scalars(sa.select(JobExecution).order_by(JobExecution.id)).all()
        assert [(row.id, row.status, row.points) for row in rows] == [
            ("ended", "successful", 7), ("running", "running", 7),
        ]  # fmt: skip
        mails = session.execute(sa.select(OutboxMail.state, OutboxMail.subject).order_by(OutboxMail.id)).all()
        assert [tuple(mail) for mail in mails] == [("sent", ""), ("pending", "Nine")]
        [batch] = session.scalars(sa.select(ArchiveTask)).all()
        assert (batch.action, batch.page_ids) == (None, ["9"])
    with pytest.raises(sa.exc.DBAPIError), db.write_all() as session:
        session.execute(sa.update(JobExecution).where(JobExecution.id == "ended").values(points=8))


ROWS = {"0001": FIRST_LIGHT}
"""Rows of each revision but the newest, as it had its tables. A new migration adds those of the one before it."""
KEPT = {"0001": first_light_kept}
"""What has to be true of them at the newest."""


def test_there_are_rows_of_every_revision_before_the_newest() -> None:
    revisions = [each.revision for each in ScriptDirectory.from_config(schema._config()).walk_revisions()]
    assert revisions[0] == schema.head()
    assert ROWS.keys() == KEPT.keys() == set(revisions[1:])


@BOTH
@pytest.mark.parametrize("revision", ROWS)
def test_a_database_of_each_earlier_revision_keeps_its_rows_on_the_way_to_the_newest(
    backend: str, revision: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if backend == "postgresql":
        server = request.getfixturevalue("postgres_server")
        server.execute(f"CREATE DATABASE revision_{revision}")
        db = Database(server.url(f"revision_{revision}"), patience=None)
    else:
        db = Database(f"sqlite:///{tmp_path / 'earlier.sqlite3'}", patience=None)
    at_revision(db, revision)

    assert schema.upgrade(db) == schema.head()

    assert schema.differences(db) == []
    KEPT[revision](db)
    db.dispose()
