"""What a job does to a space, and how it compiles its result; the registry of job types.

Also here, because only jobs may know both policies and engine: what a new version of the policies changes in the
engine, and how a mail finds its address.
"""

from addon.jobs.apply import apply_policies
from addon.jobs.ledger import counts_by_space, slugs_of
from addon.jobs.notifications.addresses import mail_addresses
from addon.jobs.parts import JobParts, JobSettings
from addon.jobs.registry import build_jobs

__all__ = [
    "JobParts",
    "JobSettings",
    "apply_policies",
    "build_jobs",
    "counts_by_space",
    "mail_addresses",
    "slugs_of",
]
