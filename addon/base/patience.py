"""The patience with a database: how long its answers may take, and which errors mean that it cannot be used now."""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa

PATIENCE = 30.0
"""Seconds that a statement waits for an answer where nothing else is said: half of the default lease."""


def is_away(error: BaseException) -> bool:
    """Return whether `error` says that the database cannot be used now, whatever it was asked for.

    The connection was lost or not given, the server stops or starts, the disk is full, another process holds SQLite's
    lock. A statement that took too long or waited in vain for a row is not that.
    """
    if isinstance(error, sa.exc.TimeoutError):
        return True
    if not isinstance(error, sa.exc.DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    if not isinstance(error, sa.exc.OperationalError):
        return False
    sqlite = getattr(error.orig, "sqlite_errorname", None)
    if sqlite is not None:
        return str(sqlite).startswith(_SQLITE_AWAY)
    state = getattr(error.orig, "sqlstate", None)
    return str(state).startswith(_POSTGRESQL_AWAY) if state is not None else error.statement is None


def is_temporary(error: BaseException) -> bool:
    """Return whether the same again may work soon: the database is away, or others were in the way of the statement."""
    too_long = str(getattr(getattr(error, "orig", None), "sqlstate", None)) == _POSTGRESQL_TOO_LONG
    return is_away(error) or is_blocked(error) or too_long


_SQLITE_AWAY = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY")
_POSTGRESQL_AWAY = ("08", "53", "57P", "58")
"""Classes of SQLSTATE: connection, resources (disk, memory, connections), shutdown and start, system."""
_POSTGRESQL_BLOCKED = ("55P03", "40P01", "40001")
"""The time for a row's lock ran out, a deadlock, a serialization failure."""
_POSTGRESQL_TOO_LONG = "57014"


def is_blocked(error: BaseException) -> bool:
    """Return whether only others were in the way of the statement: a row's lock, a deadlock, a serialization failure.

    A statement that took too long although nothing was in its way is not that: it may take as long every time.
    """
    return str(getattr(getattr(error, "orig", None), "sqlstate", None)) in _POSTGRESQL_BLOCKED


def cause_of(error: BaseException) -> str:
    """Return what the database said, in one line: the driver's words, without the statement and its values."""
    return str(getattr(error, "orig", error)).partition("\n")[0]


def connects_patiently(patience: float) -> Any:
    """Return what opens connections that take a server silent for `patience` seconds for dead.

    TCP's own limits do not see a peer whose kernel takes the bytes and whose process never answers, nor a middlebox
    that swallows them; without a limit of ours a thread would wait forever.
    """
    import psycopg

    class Patient(psycopg.Connection[Any]):
        def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
            if timeout is not None:
                return super().wait(gen, interval, timeout)
            began = time.monotonic()
            try:
                return super().wait(gen, interval, patience)
            except psycopg.OperationalError as error:
                if time.monotonic() - began < patience:
                    raise
                self.close()
                raise psycopg.OperationalError(f"the database gave no answer for {patience:g} s") from error

    def connect(_dialect: sa.Dialect, _record: Any, positional: Any, named: Any) -> Any:
        return Patient.connect(*positional, **named)

    return connect


def postgresql_arguments(url: sa.URL, patience: float | None) -> dict[str, Any]:
    """Return the arguments for libpq besides the URL, which wins where it says something itself.

    A dead peer is given up after about twice the patience. A statement that waits too long for a row's lock or runs too
    long fails. The server ends a transaction that its process left open, which frees its locks.
    """
    seconds = patience or PATIENCE
    ours: dict[str, Any] = {
        "application_name": "content-steward",
        "connect_timeout": max(2, round(seconds / 3)),
        "keepalives": 1,
        "keepalives_idle": max(1, round(seconds)),
        "keepalives_interval": max(1, round(seconds / 3)),
        "keepalives_count": 3,
        "tcp_user_timeout": round(1000 * seconds),
    }
    arguments = {name: value for name, value in ours.items() if name not in url.query}
    limits = {
        "lock_timeout": seconds / 3,
        "statement_timeout": 0.8 * seconds if patience else None,
        "idle_in_transaction_session_timeout": seconds,
    }
    words = [f"-c {name}={round(1000 * limit)}ms" for name, limit in limits.items() if limit is not None]
    theirs = url.query.get("options", "")
    arguments["options"] = " ".join([*words, *((theirs,) if isinstance(theirs, str) else theirs)]).strip()
    return arguments
