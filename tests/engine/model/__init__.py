"""A model of what people, workers, the reaper, schedules and the clock do to executions, in any order.

A state machine for Hypothesis over the engine's own SQL. Workers act step by step with the engine's own parts, so that
one can die, sleep past its lease or come back between any two transactions. Time is virtual. What is expected comes
from the rules of docs/rules, written down here once more, never from the engine's own tables.
"""

from tests.engine.model.machine import Effort, explore

__all__ = ["Effort", "explore"]
