"""The migrations and the models describe one schema."""

from pathlib import Path

import pytest

from addon import schema
from addon.base import Database


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
