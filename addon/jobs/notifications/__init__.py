"""Send notifications: who should look at which contents, told in one mail per person and execution."""

from addon.jobs.notifications.job import SendNotifications, mail_addresses

__all__ = ["SendNotifications", "mail_addresses"]
