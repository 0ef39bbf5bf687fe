"""The ticks of maintenance; each finds out whether anything is due."""

from __future__ import annotations

from datetime import timedelta

from addon.confluence import forget_hints
from addon.engine import Tick
from addon.jobs import Indicator
from addon.maintenance.erasure import Erasure
from addon.maintenance.reporting import Reporting
from addon.maintenance.retention import Retention
from addon.parts import Parts

HOUR = 3600.0
INDICATOR_SECONDS = 10.0
"""So soon the byline follows what an administrator switched."""
HINTS_LAST = timedelta(days=14)


def housekeeping(parts: Parts) -> list[Tick]:
    """Return the ticks: erasing uninstalled sites, deleting what is old, switching bylines, reporting personal data."""

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
    indicator = Indicator(
        parts.db,
        parts.clock,
        parts.confluence,
        parts.policies,
        namespace=parts.settings.namespace,
        addon_key=parts.settings.addon_key,
    )

    def switch_bylines() -> None:
        sites = [each for each in parts.tenants.installed() if each.enabled and not each.needs_reinstall]
        indicator.tick((each.id, each.generation) for each in sites)

    ticks.append(Tick("indicator", INDICATOR_SECONDS, switch_bylines, INDICATOR_SECONDS / 10))
    return [*ticks, Tick("personal-data", HOUR, reports, HOUR / 10)]
