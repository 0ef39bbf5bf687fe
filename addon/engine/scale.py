"""The engine over several processes: the second door, because importing it needs the extra `scale` (procrastinate).

`addon.engine` works without it: then other processes find work by the reaper's tick.
"""

from addon.engine.wake.procrastinate import ProcrastinateDispatcher, WakeWorker, apply_schema, missing

__all__ = ["ProcrastinateDispatcher", "WakeWorker", "apply_schema", "missing"]
