"""The database schema: the migrations that make it, and the tables of all rooms in one place.

`upgrade` brings a database to this version's revision, and `require_current` refuses one that is not there. SQLite,
which is one process by contract, is migrated at the start; PostgreSQL by `steward migrate`, and processes refuse to
start until then. All migrations of one upgrade run in one transaction under an advisory lock, so a crash leaves the old
revision, and two who migrate wait for each other. A database of a newer version is refused and not changed.

A released migration is never edited. After each upgrade the trigger that keeps ended executions as they are is made
again from the models (docs/state_machine.md). A test compares the migrated schema with the models of `tables`.
"""

from addon.migrations.schema import (
    SchemaOutdated,
    differences,
    every_table,
    head,
    knows,
    require_current,
    revision,
    scaled,
    upgrade,
)

__all__ = [
    "SchemaOutdated",
    "differences",
    "every_table",
    "head",
    "knows",
    "require_current",
    "revision",
    "scaled",
    "upgrade",
]
