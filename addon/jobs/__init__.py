"""What a job does to a space, and how it compiles its result; the registry of job types."""

from addon.jobs.parts import JobParts, JobSettings
from addon.jobs.registry import build_jobs

__all__ = ["JobParts", "JobSettings", "build_jobs"]
