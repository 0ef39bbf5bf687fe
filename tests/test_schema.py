"""The migrations and the models describe one schema."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command

from addon import schema
from addon.base import Database, metadata
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
    import addon.models  # noqa: F401  (registers every table)

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
