"""The site's answers to a process that reads back what was submitted, until a rule changes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from addon.engine import Abandon, Engine, Fatal, Pause, RunSpace
from tests.engine.model.promises import Memory
from tests.support.clock import VirtualClock

ANSWERS = ("answers", "silent", "quota", "refuses", "broken", "deadly", "stops", "hangs")
LASTING = ("answers", "answers", "silent", "deadly", "hangs")
"""How a site may be from now on for ever."""
UNTIL_STUCK = 30 * 60 + 1


class Died(BaseException):
    """The process is gone."""


class Broken(Exception):
    """The job itself has an error."""


@dataclass
class Site:
    """The other side of a job that submits."""

    clock: VirtualClock
    memory: Memory
    engines: Callable[[], list[Engine]]
    answer: str = "answers"
    once: bool = False
    asked: list[str] = field(default_factory=list)

    def read(self, run: Any, space: RunSpace) -> None:
        """Return when the outcome of `space` can be told; else raise as a job does, or end the process."""
        self.asked.append(run.execution_id)
        if run.execution_id in self.memory.gone:
            raise Abandon("uninstalled")
        answer = self.answer
        if self.once:
            self.answer, self.once = "answers", False
        if answer in ("refuses", "broken"):
            self.memory.refused.add(run.execution_id)
        if answer == "stops":
            run.stop.set()
        if answer == "hangs":
            self.hang()
        error = {
            "silent": Fatal("503", transient=True),
            "quota": Pause(self.clock.now() + timedelta(minutes=20), "quota"),
            "refuses": Fatal("401", transient=False),
            "broken": Broken("a bug"),
            "deadly": Died(),
        }.get(answer)
        if error is not None:
            raise error
        run.check()

    def hang(self) -> None:
        """No answer comes for half an hour while the heart beats; then somebody takes the run away."""
        engines = self.engines()
        self.clock.advance(UNTIL_STUCK)
        for engine in engines:
            engine._heartbeat.beat()
        engines[-1].reaper_tick()
        for engine in engines:
            engine._heartbeat.beat()
