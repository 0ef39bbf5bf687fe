"""One process on SQLite, its lock, its ticks, and what it tells of itself."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from addon.base import SystemClock
from addon.engine import EngineSettings, LockTaken, Metronome, Tick
from addon.engine.lease.lockfile import LockFile
from tests.engine.conftest import Rig

QUIET = EngineSettings(runners=0)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait for the lock: its holder stays."""
    monkeypatch.setattr("addon.engine.lease.lockfile.LOOKS", 1)


@pytest.mark.usefixtures("impatient")
def test_a_second_process_on_the_database_is_told_who_holds_it(rig: Rig) -> None:
    database = rig.db.url.database
    program = (
        "import sys; from addon.base import SystemClock; from addon.engine.lease.lockfile import LockFile\n"
        f"lock = LockFile.beside({database!r}); lock.take('w-1', SystemClock()); print('taken', flush=True)\n"
        "sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    assert other.stdin is not None
    assert other.stdout is not None
    try:
        assert other.stdout.readline() == "taken\n"
        engine = rig.engine(settings=QUIET)
        with pytest.raises(LockTaken, match=f"locked by process {other.pid} on .* since 20"):
            engine.boot()
    finally:
        other.kill()
        other.wait()
        other.stdin.close()
        other.stdout.close()
    engine.boot()
    with pytest.raises(LockTaken):
        rig.engine(settings=QUIET).boot()
    engine.shutdown()
    again = rig.engine(settings=QUIET)
    again.boot()
    assert Path(f"{database}.lock").exists()


def test_a_boot_that_fails_gives_the_lock_back(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = rig.engine(settings=QUIET)

    def away(*_args: object, **_options: object) -> int:
        raise ValueError("the schema is older than the code")

    with monkeypatch.context() as patch:
        patch.setattr("addon.engine.lease.reaper.reap", away)
        with pytest.raises(ValueError, match="older"):
            engine.boot()
    rig.engine(settings=QUIET).boot()


@pytest.mark.usefixtures("impatient")
def test_a_lock_file_of_somebody_who_wrote_nonsense_is_still_respected(tmp_path: Path) -> None:
    first, second = LockFile(tmp_path / "db.lock"), LockFile(tmp_path / "db.lock")
    first.take("w-1", SystemClock())
    (tmp_path / "db.lock").write_text("nonsense")
    with pytest.raises(LockTaken, match="another process"):
        second.take("w-2", SystemClock())
    first.release()
    second.take("w-2", SystemClock())
    second.release()
    second.release()


@pytest.mark.usefixtures("impatient")
def test_another_name_of_the_same_database_file_finds_the_same_lock(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    first, second = LockFile.beside(str(tmp_path / "real.db")), LockFile.beside(str(tmp_path / "link.db"))
    first.take("w-1", SystemClock())
    with pytest.raises(LockTaken):
        second.take("w-2", SystemClock())
    first.release()


class Patient(SystemClock):
    """A clock whose every wait goes by at once; at the third one the lock's holder is gone at last."""

    def __init__(self, holder: LockFile) -> None:
        self.holder = holder
        self.waits: list[float] = []

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.waits.append(seconds)
        if len(self.waits) == 3:
            self.holder.release()
        return False


def test_who_is_started_in_the_place_of_a_killed_process_waits_until_the_dead_lets_go_of_the_lock(
    tmp_path: Path,
) -> None:
    dead, successor = LockFile(tmp_path / "db.lock"), LockFile(tmp_path / "db.lock")
    dead.take("w-1", SystemClock())
    clock = Patient(dead)
    successor.take("w-2", clock)
    assert len(clock.waits) == 3
    alive = LockFile(tmp_path / "db.lock")
    clock.waits = [0.0] * 3
    with pytest.raises(LockTaken, match="locked by process"):
        alive.take("w-3", clock)
    assert sum(clock.waits) == pytest.approx(2)
    successor.release()


def test_the_metronome_calls_its_ticks_again_after_one_has_failed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    twice, calls = threading.Event(), []

    def tick() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("the database is away")
        twice.set()

    metronome = Metronome([Tick("only", 0.02, tick, jitter=0.005)])
    metronome.start()
    assert twice.wait(60)
    metronome.stop()
    metronome.stop()


def test_the_engines_ticks_follow_from_the_lease(rig: Rig) -> None:
    engine = rig.engine(settings=EngineSettings(ttl=60, tick_seconds=10))
    ticks = {tick.name: tick for tick in engine.ticks()}
    assert (ticks["reaper"].seconds, ticks["reaper"].jitter) == (10, 5)
    assert ticks["schedule"].seconds == 10
    settings = engine.settings
    assert (settings.beat, settings.margin, settings.call_limit, settings.write_trust) == (15, 5, 30, 10)
    assert engine.worker_id != rig.engine().worker_id
    assert set(engine.jobs) == {rig.job.type, rig.mails.type}


def test_an_engine_that_has_not_booted_has_no_heartbeat_to_show(rig: Rig) -> None:
    with rig.db.read_all() as session:
        assert rig.engine().heartbeat_age(session) is None
