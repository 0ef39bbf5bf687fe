"""The lock file of an SQLite database: `<database>.lock`, locked by its one process for as long as that lives."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
from pathlib import Path
from typing import IO

from addon.base import Clock

LOOKS = 21
SECONDS_BETWEEN_LOOKS = 0.1
"""A killed process keeps the lock until its last thread is gone: the process started in its place waits for that."""


class LockTaken(Exception):
    """Another process uses the database. The message says which one."""


class LockFile:
    """An flock: the kernel drops it when the process dies, however that happens. No fork after taking it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None

    @classmethod
    def beside(cls, database: str) -> LockFile:
        """Return the lock of the SQLite database file `database`, by whichever path or link it is named."""
        return cls(Path(f"{os.path.realpath(database)}.lock"))

    def take(self, worker_id: str, clock: Clock) -> None:
        """Take the lock within two seconds and write who has it. Raises LockTaken, naming the process that has it."""
        file = self.path.open("a+", encoding="utf-8")
        looks = 1
        while not (locked := _locked(file)) and looks < LOOKS:
            clock.wait(threading.Event(), SECONDS_BETWEEN_LOOKS)
            looks += 1
        if not locked:
            file.seek(0)
            holder = _holder(file.read())
            file.close()
            raise LockTaken(
                f"{self.path} is locked by {holder}. SQLite is one process: stop that one first, or use PostgreSQL."
            )
        file.truncate(0)
        since = clock.now().isoformat()
        about = {"pid": os.getpid(), "host": socket.gethostname(), "worker": worker_id, "since": since}
        file.write(json.dumps(about))
        file.flush()
        self._file = file

    def release(self) -> None:
        """Give the lock back; the file stays."""
        file, self._file = self._file, None
        if file is not None:
            file.truncate(0)
            file.close()


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(text: str) -> str:
    try:
        about = json.loads(text)
        return f"process {about['pid']} on {about['host']} since {about['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
