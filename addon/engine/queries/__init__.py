"""What other rooms may ask about executions: named questions, so that no other room queries the engine's tables.

`executions` is the audit log, `slot_record` and `upcoming` are what schedules did and will do, `runs` is what jobs ask
about their own past, `installation` is for operators. Rows that are returned are read-only values.
"""

from addon.engine.queries.executions import (
    events,
    history,
    items,
    results_in_space,
    revision,
    skipped,
    spaces,
)
from addon.engine.queries.installation import Numbers, at_work, last_heartbeat, numbers, tenants_at_work
from addon.engine.queries.pages import MAX_PAGE
from addon.engine.queries.runs import (
    done_at,
    done_space_ids,
    last_done_at,
    last_done_began,
    last_worked_on,
    recorded_contents,
    run_spaces,
    spaces_done,
    spaces_taking_part,
    started_at,
)
from addon.engine.queries.slot_record import NAMED_SLOTS, Slot, missed, slots
from addon.engine.queries.upcoming import lane, next_fires, unreadable
from addon.engine.schedule.starts import pending_retries
from addon.engine.state.admission import active, find

__all__ = [
    "MAX_PAGE",
    "NAMED_SLOTS",
    "Numbers",
    "Slot",
    "active",
    "at_work",
    "done_at",
    "done_space_ids",
    "events",
    "find",
    "history",
    "items",
    "lane",
    "last_done_at",
    "last_done_began",
    "last_heartbeat",
    "last_worked_on",
    "missed",
    "next_fires",
    "numbers",
    "pending_retries",
    "recorded_contents",
    "results_in_space",
    "revision",
    "run_spaces",
    "skipped",
    "slots",
    "spaces",
    "spaces_done",
    "spaces_taking_part",
    "started_at",
    "tenants_at_work",
    "unreadable",
]
