"""Is this the only process on the SQLite database? A lock on `<database>.lock`, held for the life of the process."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from datetime import datetime
from pathlib import Path
from typing import IO


class LockHeld(Exception):
    """Another process holds the database. The message says which one."""


class LockFile:
    """An flock: the kernel drops it when the process dies, however that happens. No fork after taking it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None

    @classmethod
    def beside(cls, database: str) -> LockFile:
        """Return the lock of the SQLite database file `database`."""
        return cls(Path(f"{database}.lock"))

    def take(self, worker_id: str, now: datetime) -> None:
        """Take the lock and write who holds it. Raises LockHeld, naming the holder."""
        file = self.path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = _holder(file.read())
            file.close()
            raise LockHeld(
                f"{self.path} is held by {holder}. SQLite is one process: stop that one first, or use PostgreSQL."
            ) from error
        file.truncate(0)
        about = {"pid": os.getpid(), "host": socket.gethostname(), "worker": worker_id, "since": now.isoformat()}
        file.write(json.dumps(about))
        file.flush()
        self._file = file

    def release(self) -> None:
        """Give the lock back; the file stays."""
        file, self._file = self._file, None
        if file is not None:
            file.truncate(0)
            file.close()


def _holder(text: str) -> str:
    try:
        about = json.loads(text)
        return f"process {about['pid']} on {about['host']} since {about['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
