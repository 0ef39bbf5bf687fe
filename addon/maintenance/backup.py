"""Copies of an SQLite database, made while the server runs, and what a restored database must not do a second time."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from addon.base import Database
from addon.engine import queries
from addon.parts import Parts

RESTORED = "a backup was restored; whether this mail had been sent by then is unknown, so it is not sent again"


class CannotBackUp(Exception):
    """There is nothing to copy, or something in the way; the message says what to do."""


def back_up(db: Database, target: Path) -> int:
    """Copy an SQLite database to `target`, as of one moment, and return the copy's size in bytes.

    The copy is readable for its owner only. Raises CannotBackUp; a copy that is not complete is removed.
    """
    if not db.is_sqlite:
        raise CannotBackUp("This is for SQLite; copy PostgreSQL with pg_dump, see the operating guide.")
    source = Path(db.url.database or "")
    if not source.is_file():
        raise CannotBackUp(f"There is no file {source}.")
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError as error:
        raise CannotBackUp(f"{target} exists already: give a name that is free.") from error
    except OSError as error:
        raise CannotBackUp(f"{target}: {error.strerror}") from error
    try:
        with closing(sqlite3.connect(source)) as here, closing(sqlite3.connect(target)) as there:
            here.backup(there)
            # What is copied in write-ahead mode would need a second file next to it.
            there.execute("PRAGMA journal_mode=DELETE")
            [state] = there.execute("PRAGMA quick_check").fetchone()
    except (sqlite3.Error, OSError) as error:
        target.unlink(missing_ok=True)
        raise CannotBackUp(f"{source} could not be copied: {error}") from error
    if state != "ok":
        target.unlink(missing_ok=True)
        raise CannotBackUp(f"{source} is damaged: {state}")
    return target.stat().st_size


@dataclass(frozen=True, slots=True)
class MadeReady:
    """What was ended in a restored database: executions that were under way, and mails that waited."""

    executions: int
    mails: int


def after_restore(parts: Parts) -> MadeReady:
    """Cancel what was under way when the backup was made, drop the mails that waited then, and return how many.

    Both may have been done since. An execution that was finalizing still ends, with its mails dropped. Nothing may
    run on the database meanwhile; safe to repeat.
    """
    with parts.db.write_all() as session:
        active = queries.tenants_at_work(session)
        for tenant_id in active:
            parts.engine.cancel_active(session, tenant_id, "system")
        mails = parts.mailer.drop_unsent(session, None, reason=RESTORED)
    return MadeReady(len(active), mails)
