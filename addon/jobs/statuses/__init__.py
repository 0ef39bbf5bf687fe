"""Refresh content statuses: which content has which status now, and how does Confluence learn of it?"""

from addon.jobs.review import Review
from addon.jobs.statuses.ask.probe import first_spelling
from addon.jobs.statuses.job import RefreshStatuses
from addon.jobs.statuses.single.single import Gone, Look, Single, Tested, Undecided
from addon.jobs.statuses.write.stamp import PLAIN_ICON, icon_file, icon_svg, property_key, status_alias

__all__ = [
    "PLAIN_ICON",
    "Gone",
    "Look",
    "RefreshStatuses",
    "Review",
    "Single",
    "Tested",
    "Undecided",
    "first_spelling",
    "icon_file",
    "icon_svg",
    "property_key",
    "status_alias",
]
