"""What a job does to a space, and how it compiles its result; the registry of job types.

Also here, because only jobs may know both policies and engine: what a new version of the policies changes in the
engine, and how a mail finds its address.
"""

from addon.jobs.context import JobContext, JobSettings
from addon.jobs.counting import count_seen
from addon.jobs.housekeeping import forget_batches, forget_matches, forget_person_matched, people_matched
from addon.jobs.indicator import Indicator, IndicatorState, indicator_state
from addon.jobs.notifications import mail_addresses
from addon.jobs.registry import apply_policies, build_jobs
from addon.jobs.site_facts import negation_of_site
from addon.jobs.spaces import with_labels

__all__ = [
    "Indicator",
    "IndicatorState",
    "JobContext",
    "JobSettings",
    "apply_policies",
    "build_jobs",
    "count_seen",
    "forget_batches",
    "forget_matches",
    "forget_person_matched",
    "indicator_state",
    "mail_addresses",
    "negation_of_site",
    "people_matched",
    "with_labels",
]
