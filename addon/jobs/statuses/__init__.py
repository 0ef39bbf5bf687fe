"""Refresh content statuses: which content has which status now, and how does Confluence learn of it?"""

from addon.jobs.ledger import counts_by_space, slugs_of
from addon.jobs.statuses.ask.listing import Matches, resolve
from addon.jobs.statuses.job import RefreshStatuses

__all__ = ["Matches", "RefreshStatuses", "counts_by_space", "resolve", "slugs_of"]
