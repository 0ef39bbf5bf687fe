"""Long tasks of archiving: one archive job at a time for the site, done when its time has come.

Rules of editions, the 300 ids and the single job: docs/rules/confluence-api.md 2.4.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from addon.sandbox.records import LongTask

if TYPE_CHECKING:
    from addon.sandbox.site import Site

MAX_PAGES = 300


class ArchiveRefused(ValueError):
    """The archive request breaks a rule; the message is what the site answers with 400."""


class Tasks:
    """The long tasks of a site. `archive_seconds` is how long an archive job takes by the site's clock."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._tasks: dict[str, LongTask] = {}
        self.archive_seconds = 0.0
        self._failing: dict[str, str] = {}

    def submit(self, page_ids: Sequence[str]) -> LongTask:
        """Accept an archive job. Raises ArchiveRefused."""
        self.settle()
        self._check(page_ids)
        now = self._site.clock.now()
        task = LongTask(str(uuid.uuid4()), tuple(page_ids), now, now + timedelta(seconds=self.archive_seconds))
        self._tasks[task.id] = task
        return task

    def get(self, task_id: str) -> LongTask | None:
        """Return the task, brought up to date, or None."""
        self.settle()
        return self._tasks.get(task_id)

    def all(self) -> list[LongTask]:
        """Return all tasks, brought up to date."""
        self.settle()
        return list(self._tasks.values())

    def fail_page(self, page_id: str, message: str) -> None:
        """Let the next archive job fail on this page: it stays current and the task reports the message."""
        self._failing[page_id] = message

    def settle(self) -> None:
        """Do the work of every job whose time has come."""
        now = self._site.clock.now()
        for task in self._tasks.values():
            if task.finished_at is not None or task.due_at > now:
                continue
            errors = []
            for page_id in task.page_ids:
                failure = self._failing.pop(page_id, None)
                page = self._site.live.get(page_id)
                if failure is not None:
                    errors.append(failure)
                elif page is not None and page.status == "current":
                    self._site.archive(page_id)
            task.errors, task.finished_at = tuple(errors), task.due_at

    def _check(self, page_ids: Sequence[str]) -> None:
        edition = self._site.edition.lower()
        if any(task.finished_at is None for task in self._tasks.values()):
            raise ArchiveRefused("Another archival job is already running for this tenant")
        if edition == "free":
            raise ArchiveRefused("Archiving is not available in the Free edition")
        if edition not in ("premium", "enterprise") and len(page_ids) > 1:
            raise ArchiveRefused("Bulk archiving is available in the Premium and Enterprise editions only")
        if not page_ids:
            raise ArchiveRefused("No pages to archive")
        if len(page_ids) > MAX_PAGES:
            raise ArchiveRefused(f"Cannot archive more than {MAX_PAGES} pages in one request")
        for page_id in page_ids:
            page = self._site.live.get(page_id)
            if page is None or page.kind != "page" or page.status == "trashed" or not self._site.access.app_sees(page):
                raise ArchiveRefused(f"Content {page_id} is not a page")
            if page.status == "archived":
                raise ArchiveRefused(f"Page {page_id} is already archived")
