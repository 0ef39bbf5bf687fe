"""Execute automations: which contents are archived or trashed, which are not, and why."""

from addon.jobs.automations.job import ExecuteAutomations

__all__ = ["ExecuteAutomations"]
