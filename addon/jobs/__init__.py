"""What a job does to a space, and how it compiles its result; the registry of job types.

Also here, because only jobs may know both policies and engine: what a new version of the policies changes in the
engine, and how a mail finds its address.
"""

from addon.jobs.context import JobContext, JobSettings
from addon.jobs.housekeeping import forget_batches, forget_matches, forget_person_matched, people_matched
from addon.jobs.ledger import counts_by_space, slugs_of
from addon.jobs.notifications import mail_addresses
from addon.jobs.registry import apply_policies, build_jobs
from addon.jobs.spaces import with_labels

__all__ = [
    "JobContext",
    "JobSettings",
    "apply_policies",
    "build_jobs",
    "counts_by_space",
    "forget_batches",
    "forget_matches",
    "forget_person_matched",
    "mail_addresses",
    "people_matched",
    "slugs_of",
    "with_labels",
]
