"""Refresh content statuses: which content has which status now, and how does Confluence learn of it?"""

from addon.jobs.statuses.job import RefreshStatuses
from addon.jobs.statuses.ledger import counts_by_space, slugs_of
from addon.jobs.statuses.resolve import Matches, resolve

__all__ = ["Matches", "RefreshStatuses", "counts_by_space", "resolve", "slugs_of"]
