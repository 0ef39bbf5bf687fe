"""Rows that are written together, and one by one where the database refuses some of them.

A row that cannot be stored costs no other row its place. A database that is away refuses nothing: that is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import exc, orm

from addon.base.logs import get_logger
from addon.base.patience import cause_of

T = TypeVar("T")

log = get_logger(__name__)


def write_piecemeal(session: orm.Session, rows: Sequence[T], write: Callable[[Sequence[T]], object]) -> list[T]:
    """Write rows in savepoints of the caller's transaction, halved down to single rows where the data is refused.

    Parameters: `write` writes some rows in `session` at once. Returns the rows that could not be written. Raises what
    is no refusal of the data: a connection that is lost, a lock, a statement that is wrong for all rows.
    """
    if not rows:
        return []
    first: Exception | None = None
    try:
        with session.begin_nested():
            try:
                write(rows)
            except Exception as error:
                first = error
                raise
    except Exception as error:
        # A full disk ends SQLite's whole transaction, and no savepoint is left to go back to: the first error says why.
        error = first or error
        if not _refuses_data(error):
            raise error from None
        if len(rows) == 1:
            log.error("the database refuses a row", action="row_refused", error=cause_of(error))
            return [rows[0]]
    else:
        return []
    half = len(rows) // 2
    return write_piecemeal(session, rows[:half], write) + write_piecemeal(session, rows[half:], write)


def _refuses_data(error: Exception) -> bool:
    if isinstance(error, exc.DBAPIError):
        return isinstance(error, exc.DataError | exc.IntegrityError)
    # What a driver cannot even send (half a surrogate pair, a number beyond 64 bits) it says in Python's own errors.
    return isinstance(error, exc.StatementError | ValueError | OverflowError)
