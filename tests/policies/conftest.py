"""The database of the policies' tests: SQLite, or PostgreSQL too where two writers meet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from addon.base import Database, metadata
from tests.support.postgres import postgres_database, postgres_server  # noqa: F401

BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgresql"], indirect=True)
"""Mark for tests that must hold on both databases."""


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> str:
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture
def database(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    import addon.models  # noqa: F401  (registers every table)

    if backend == "postgresql":
        yield request.getfixturevalue("postgres_database")
        return
    db = Database(f"sqlite:///{tmp_path / 'steward.sqlite3'}")
    metadata.create_all(db.engine)
    yield db
    db.dispose()
