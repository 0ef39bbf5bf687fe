"""What is tidied up now and then? Ticks of every hour; each finds out by itself whether something is due."""

from __future__ import annotations

from datetime import timedelta

from addon.confluence import forget_hints
from addon.engine import Tick
from addon.erasure import Erasure
from addon.reporting import Reporting
from addon.retention import Retention
from addon.screens import Parts

HOUR = 3600.0
HINTS_LAST = timedelta(days=14)


def housekeeping(parts: Parts) -> list[Tick]:
    """Return the ticks: erasing uninstalled sites, deleting what is old, and the personal data report when it is on."""

    def drop_hints() -> None:
        with parts.db.write_all() as session:
            forget_hints(session, parts.clock.now() - HINTS_LAST)

    erasure = Erasure(parts.db, parts.clock, timedelta(days=parts.settings.erase_days))
    ticks = [Tick("erase", HOUR, erasure.tick, HOUR / 10), Tick("hints", HOUR, drop_hints, HOUR / 10)]
    retention = Retention(parts.db, parts.clock, timedelta(days=parts.settings.retention_days))
    # Twice in each hour, so that no tenant's hour passes between two ticks.
    ticks.append(Tick("retention", HOUR / 2, retention.tick, HOUR / 20))
    reporting = Reporting(parts.db, parts.clock, parts.tenants)
    # Switched off, it keeps no list of who was reported when.
    reports = reporting.tick if parts.settings.personal_data_reporting == "on" else reporting.forget
    return [*ticks, Tick("personal-data", HOUR, reports, HOUR / 10)]
