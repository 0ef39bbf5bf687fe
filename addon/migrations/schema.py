"""The schema's revision: how a database gets to the one that this code needs.

Alembic migrations are the only way a schema comes to be, on SQLite and PostgreSQL alike. They run at the start on
SQLite (one process by contract) and by `steward migrate` elsewhere.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from addon.base import Database, metadata
from addon.engine import TRIGGER_DDL

MIGRATING = 7_305_822
"""The advisory lock under which a PostgreSQL database is migrated: two at once wait for each other."""


class SchemaOutdated(Exception):
    """The database's schema is not this version's: it needs `steward migrate`, or a newer version."""


def upgrade(db: Database) -> str:
    """Bring the database to the newest revision in one transaction; return that revision.

    Raises SchemaOutdated, with nothing changed, when a newer version has been at it.
    """
    config = _config()
    with_queue = scaled(db)
    with db.engine.execution_options(steward_write=True).begin() as connection:
        if not db.is_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATING)))
        _refuse_newer(MigrationContext.configure(connection).get_current_revision())
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        # Made from the models' columns, so written again after each migration rather than frozen into one.
        create, _ = TRIGGER_DDL[connection.dialect.name]
        connection.exec_driver_sql(create)
        if with_queue:
            from addon.engine.scale import apply_schema

            apply_schema(connection)
    return head()


def scaled(db: Database) -> bool:
    """Return whether processes wake each other by procrastinate: PostgreSQL, and the extra `scale` is installed."""
    return not db.is_sqlite and find_spec("procrastinate") is not None


def require_current(db: Database) -> None:
    """Raise SchemaOutdated unless the database is at the newest revision."""
    found = revision(db)
    _refuse_newer(found)
    if found != head():
        raise SchemaOutdated(
            f"The database is at revision {found or 'none'}, this version needs {head()}. Run: steward migrate"
        )
    if scaled(db):
        from addon.engine.scale import missing

        with db.engine.connect() as connection:
            if what := missing(connection):
                raise SchemaOutdated(f"{what} Run: steward migrate")


def revision(db: Database) -> str | None:
    """Return the database's revision, None when it has no schema."""
    with db.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def knows(found: str | None) -> bool:
    """Return whether a database at revision `found` (None: without a schema) can be brought to this version's."""
    return found is None or found in {
        script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()
    }


def _refuse_newer(found: str | None) -> None:
    if not knows(found):
        raise SchemaOutdated(
            f"The database is at revision {found}, which this version (up to {head()}) does not know: a newer version "
            "has been at it. Run that version, or restore the backup from before the update."
        )


def head() -> str:
    """Return the revision this code needs."""
    newest = ScriptDirectory.from_config(_config()).get_current_head()
    assert newest is not None, "no migration found"
    return newest


def differences(db: Database) -> list[object]:
    """Return what differs between the database's schema and the models; empty when nothing does."""
    from alembic.autogenerate import compare_metadata

    every_table()
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": _differ_in_type, "include_name": _ours})
        return list(compare_metadata(context, metadata))


def every_table() -> list[sa.Table]:
    """Return the tables of all rooms, each one after those that it refers to."""
    import addon.migrations.tables  # noqa: F401  (registers every table)

    return list(metadata.sorted_tables)


def _differ_in_type(
    _context: object, _inspected: object, _metadata: object, inspected: sa.types.TypeEngine[object], wanted: object
) -> bool | None:
    """SQLite knows no time zones and no 64-bit type of its own; what it reports there says nothing."""
    if isinstance(inspected, sa.DateTime | sa.Integer | sa.TIMESTAMP):
        return False
    return None


def _ours(name: str | None, kind: str, _parents: object) -> bool:
    return kind != "table" or not (name or "").startswith("procrastinate_")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config
