"""Reading back, on the runner thread, what a job has submitted to its site: now, later, or given up.

No execution ends before that (docs/rules/executions.md 1.7), and none keeps its lane longer than it makes sense: in the
end the outcome is recorded as unknown.
"""

from __future__ import annotations

from datetime import datetime

from addon.base import get_logger
from addon.engine.context import EngineContext
from addon.engine.errors import DATABASE_AWAY, internal_error
from addon.engine.job import Abandon, Fatal, Interrupted, Job, Pause
from addon.engine.models import JobExecution
from addon.engine.state.settlement import MAX_TRIES, Later, settler, tries, unsettled, wait_after
from addon.engine.worker.run import ActiveRun

log = get_logger(__name__)

STILL_OPEN = "waiting to read back what was submitted to the site: {}"


def settle(context: EngineContext, run: ActiveRun, row: JobExecution, job: Job) -> Later | None:
    """Let the job wait for or read back what it has submitted; return when to try again if the site does not answer.

    None when nothing is left to read back, or nothing more can be done about it. No cancel stops the run from here on:
    what a cancel wants is done here. Raises Interrupted and database errors.
    """
    run.ignore_cancel()
    try:
        job.settle(run)
    except (Interrupted, *DATABASE_AWAY):
        raise
    except Pause as stop:
        return _later(context, run, row, job, stop.reason, until=stop.until)
    except Fatal as stop:
        return _later(context, run, row, job, stop.reason, again=stop.transient)
    except Abandon as stop:
        return _later(context, run, row, job, str(stop) or "the app was uninstalled", again=False)
    except Exception as error:
        log.exception("a job could not read back what it submitted", action="settle_failed")
        return _later(context, run, row, job, internal_error(error), again=False)
    return None


def _later(
    context: EngineContext,
    run: ActiveRun,
    row: JobExecution,
    job: Job,
    reason: str,
    *,
    until: datetime | None = None,
    again: bool = True,
) -> Later | None:
    with run.read() as session:
        if not unsettled(context, session, row):
            return None
        tried = tries(session, row.id)
    if again and tried < MAX_TRIES:
        return Later(until or context.clock.now() + wait_after(tried), STILL_OPEN.format(reason))
    log.warning("what an execution submitted is not read back", action="settle_given_up", reason=reason)
    settles = settler(job)
    try:
        if settles is not None:
            settles.give_up(run, reason)
    except (Interrupted, *DATABASE_AWAY):
        raise
    except Exception:
        log.exception("a job could not give up what it submitted", action="give_up_failed")
    return None
