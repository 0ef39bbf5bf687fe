from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from addon.base import Database, is_away, is_blocked, is_temporary


def operational(cause: Exception, statement: str | None = "UPDATE") -> exc.OperationalError:
    return exc.OperationalError(statement, {}, cause)


@pytest.mark.parametrize(
    ("error", "away", "temporary"),
    [
        (exc.TimeoutError("the pool is empty"), True, True),
        (operational(psycopg.OperationalError("connection refused"), None), True, True),
        (operational(psycopg.errors.AdminShutdown("terminated by an administrator")), True, True),
        (operational(psycopg.errors.CannotConnectNow("is starting up")), True, True),
        (operational(psycopg.errors.DiskFull("no space left")), True, True),
        (operational(psycopg.errors.LockNotAvailable("lock timeout")), False, True),
        (operational(psycopg.errors.QueryCanceled("statement timeout")), False, True),
        (operational(psycopg.errors.DeadlockDetected("deadlock")), False, True),
        (operational(psycopg.OperationalError("something about this statement")), False, False),
        (exc.ProgrammingError("SELECT", {}, psycopg.errors.UndefinedTable("no table")), False, False),
        (ValueError("not of a database"), False, False),
    ],
)
def test_what_says_that_the_database_is_away_and_what_that_a_statement_was_in_the_way_of_others(
    error: Exception, away: bool, temporary: bool
) -> None:
    assert (is_away(error), is_temporary(error)) == (away, temporary)


def test_only_what_others_were_in_the_way_of_is_blocked() -> None:
    others = [psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure]
    assert all(is_blocked(operational(error("no"))) for error in others)
    assert not is_blocked(operational(psycopg.errors.QueryCanceled("it takes too long every time")))
    assert not is_blocked(operational(psycopg.errors.AdminShutdown("away")))
    assert not is_blocked(ValueError("not of a database"))


def test_a_lost_connection_is_away_whatever_its_error_says() -> None:
    assert is_away(exc.DBAPIError("UPDATE", {}, Exception("?"), connection_invalidated=True))


def test_sqlites_lock_and_full_disk_are_away_and_a_missing_table_is_a_bug(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'db'}", patience=0.1)
    other = sqlite3.connect(tmp_path / "db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(exc.OperationalError) as locked, db.write_all() as session:
        session.execute(sa.text("SELECT 1"))
    other.execute("ROLLBACK")
    other.close()
    with pytest.raises(exc.OperationalError) as missing, db.write_all() as session:
        session.execute(sa.text("SELECT * FROM nothing"))
    sa.event.listen(db.engine, "checkout", lambda raw, *_: raw.execute("PRAGMA max_page_count=1"))
    with pytest.raises(exc.OperationalError) as full, db.write_all() as session:
        session.execute(sa.text("CREATE TABLE t (a)"))
    db.dispose()
    assert [is_away(caught.value) for caught in (locked, missing, full)] == [True, False, True]
