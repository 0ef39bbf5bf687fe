"""The state machine that explores the model: the rules put together, over one database, as often as asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, run_state_machine_as_test

from addon.base import Database
from tests.engine.model.site import LASTING
from tests.engine.model.slots import STARTS
from tests.engine.model.unread import Unread
from tests.engine.model.world import Effort

__all__ = ["Effort", "explore"]


class EngineModel(Unread):
    """Everything that may happen, and what must hold after each step."""

    @initialize(start=st.sampled_from(STARTS), last=st.sampled_from(LASTING))
    def begin(self, start: datetime, last: str) -> None:
        self.set_up(start, last)

    @invariant()
    def promises(self) -> None:
        self.effort.steps += 1
        self.look()


def explore(db: Database, examples: int, steps: int, *, random: bool = False, shrink: bool = True) -> Effort:
    """Run `examples` histories of `steps` steps; return what was done, or raise what broke a promise.

    The same ones each time, or `random` ones. Without `shrink` the first history that breaks a promise is told as it
    was found.
    """
    effort = Effort()
    machine = type("Model", (EngineModel,), {"db": db, "effort": effort})
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    profile = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=not random,
        database=None,
        phases=phases,
        print_blob=True,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(machine, settings=profile)
    except BaseException as found:
        found.effort = replace(effort)  # type: ignore[attr-defined]
        raise
    return effort
