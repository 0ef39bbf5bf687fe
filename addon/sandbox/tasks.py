"""Long tasks of archiving: one archive job at a time for the site, done when its time has come.

Rules of editions, the 300 ids and the single job: docs/rules/confluence-api.md 2.4. What the documents leave open is a
setting: a job that is in a queue first, one that GET /longtask does not know yet, and one of another app, which may be
listed or hidden and is refused in words of the site's choice.
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
RUNNING = "Another archival job is already running for this tenant"


class ArchiveRefused(ValueError):
    """The archive request breaks a rule; the message is what the site answers with 400."""


class Tasks:
    """The long tasks of a site.

    Seconds by the site's clock, from the next job on: `queue_seconds` before a job begins, `archive_seconds` from then
    until it is done, and `unknown_seconds` from its submission in which GET /longtask/{id} answers 404.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._tasks: dict[str, LongTask] = {}
        self.queue_seconds = 0.0
        self.archive_seconds = 0.0
        self.unknown_seconds = 0.0
        self.busy_words = RUNNING
        self._failing: dict[str, str] = {}

    def submit(self, page_ids: Sequence[str]) -> LongTask:
        """Accept an archive job. Raises ArchiveRefused."""
        self.settle()
        self._check(page_ids)
        return self._add(page_ids, self.queue_seconds, self.archive_seconds, known_after=self.unknown_seconds)

    def occupy(self, seconds: float, *, listed: bool = True) -> LongTask:
        """Let another app's archive job run for so many seconds; `listed`: whether GET /longtask shows it to ours."""
        return self._add((), 0.0, seconds, known_after=0.0 if listed else None)

    def get(self, task_id: str) -> LongTask | None:
        """Return the task, brought up to date, or None while the site does not show it."""
        self.settle()
        task = self._tasks.get(task_id)
        return task if task is not None and self._shown(task) else None

    def all(self) -> list[LongTask]:
        """Return the tasks that the site shows, brought up to date."""
        self.settle()
        return [task for task in self._tasks.values() if self._shown(task)]

    def progress(self, task: LongTask) -> int:
        """Return the percentage of a task: 0 while it is in the queue."""
        if task.finished_at is not None:
            return 100
        length = (task.due_at - task.begins_at).total_seconds()
        gone = (self._site.clock.now() - task.begins_at).total_seconds()
        return min(99, max(0, int(100 * gone / length))) if length else 0

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

    def _add(self, page_ids: Sequence[str], queued: float, runs: float, *, known_after: float | None) -> LongTask:
        now = self._site.clock.now()
        begins = now + timedelta(seconds=queued)
        known = None if known_after is None else now + timedelta(seconds=known_after)
        task = LongTask(str(uuid.uuid4()), tuple(page_ids), now, begins, begins + timedelta(seconds=runs), known)
        self._tasks[task.id] = task
        return task

    def _shown(self, task: LongTask) -> bool:
        return task.known_at is not None and task.known_at <= self._site.clock.now()

    def _check(self, page_ids: Sequence[str]) -> None:
        edition = self._site.edition.lower()
        if any(task.finished_at is None for task in self._tasks.values()):
            raise ArchiveRefused(self.busy_words)
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
