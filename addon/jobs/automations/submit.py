"""How is something archived or trashed, so that its outcome is known whatever happens on the way?

Archiving is asynchronous and one job per site at a time (docs/rules/confluence-api.md 2.4): a batch is stored,
submitted, its task polled to the end, and then every page is read back. What cannot be known from the answer is known
from the pages.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from addon.confluence import BadRequest, Content, Kind, LongTask, NotFound, Postponed, SiteClient, SiteError
from addon.engine.job import CancelRequested, Item, Pause, Run
from addon.jobs.automations import submitted
from addon.jobs.automations.guards import GONE
from addon.jobs.automations.outcomes import Recorder
from addon.jobs.automations.submitted import Batch
from addon.jobs.faults import SITE_FAULTS, STOPS, Reason, reason_of

log = logging.getLogger(__name__)

FIRST_WAIT = 1.0
LONGEST_WAIT = 10.0
TASK_SECONDS = 1200.0
"""How long after its submission an archive task is waited for before its pages are judged as they are."""
THREAD_SECONDS = 300.0
"""How long a wait for a task may hold a thread; then the execution is put aside for ASIDE and asks again."""
ASIDE = timedelta(minutes=2)
TASK_RUNS = "an archive task of the site is not finished"
SETTLING_SECONDS = 20.0
"""How long pages are watched when nobody knows whether their task was accepted."""
BUSY_SECONDS = 300.0
"""How long another archive job of the site is waited for."""
NOT_ENDED = Reason("the site accepted the archive task, but the page is still there", transient=True)
NOT_ALLOWED = Reason("the app may not delete it", transient=False)


class Actor:
    """Archives and trashes for one run, in the runner thread; the calls of `trash` fan out over the call threads."""

    def __init__(self, run: Run, client: SiteClient) -> None:
        self._run = run
        self._client = client

    def archive(self, recorder: Recorder, batch: Batch) -> None:
        """Archive a stored batch of pages and record every page's outcome.

        Raises Interrupted (the batch stays open for the next owner), Pause, Abandon or Fatal.
        """
        try:
            task_id = self._submit(batch)
        except CancelRequested:
            # Raised between two refusals: nothing of the batch was accepted, so there is nothing to read back.
            recorder.write([], batch_id=batch.id)
            raise
        except BadRequest as error:
            self._refused(recorder, batch, error)
            return
        except SITE_FAULTS as error:
            reason = reason_of(error)
            self._watch(batch)
            self.read_back(recorder, batch, otherwise=reason)
            return
        submitted.remember_task(self._run, batch, task_id)
        self.follow(recorder, replace(batch, task_id=task_id))

    def trash(self, recorder: Recorder, batch: Batch, contents: Sequence[Content]) -> None:
        """Trash a stored batch and record every outcome.

        Stopped on the way, it records what is known and leaves the batch open to be read back.
        """
        items: list[Item] = []
        failures: list[tuple[Content, Reason]] = []
        try:
            for content, failure in self._run.map(self._trash, contents):
                if failure is None:
                    items.append(recorder.item(content.id, "delete", "done", title=content.title))
                else:
                    failures.append((content, reason_of(failure) if isinstance(failure, Exception) else failure))
        except STOPS:
            recorder.write(items, automation_id=batch.automation_id)
            raise
        items += [self._after_failure(recorder, content, reason) for content, reason in failures]
        recorder.write(items, automation_id=batch.automation_id, batch_id=batch.id)

    def follow(self, recorder: Recorder, batch: Batch) -> None:
        """Wait for the batch's task to end, then read every page back."""
        assert batch.task_id is not None
        task = self._ended(batch.task_id, batch.submitted_at)
        words = "; ".join(task.errors) if task is not None and task.errors else None
        self.read_back(recorder, batch, otherwise=Reason(words, transient=False) if words else NOT_ENDED)

    def take_over(self, recorder: Recorder, batch: Batch, action: str) -> None:
        """Close a batch that an earlier owner left: what is gone was done, the rest will be found again."""
        if batch.task_id is not None:
            self.follow(recorder, batch)
            return
        if action == "archive":
            self._watch(batch)
        over = self._current(batch) | submitted.logged(self._run, batch.space_id)
        items = [recorder.item(id, action, "done", title=title) for id, title in batch.titles.items() if id not in over]
        recorder.write(items, automation_id=batch.automation_id, batch_id=batch.id)

    def read_back(self, recorder: Recorder, batch: Batch, *, otherwise: Reason) -> None:
        """Record each page by what it is now: done when it left, failed with `otherwise` when it is still there."""
        still_there = self._current(batch)
        items = [
            recorder.failed(id, "archive", otherwise)
            if id in still_there
            else recorder.item(id, "archive", "done", title=title)
            for id, title in batch.titles.items()
        ]
        recorder.write(items, automation_id=batch.automation_id, batch_id=batch.id)

    def _submit(self, batch: Batch) -> str:
        """Submit, waiting while another archive job of the site runs."""
        began, wait = self._run.clock.monotonic(), FIRST_WAIT
        while True:
            try:
                return self._client.archive(batch.content_ids)
            except BadRequest as error:
                if "another" not in error.message.lower() or self._run.clock.monotonic() - began > BUSY_SECONDS:
                    raise
            wait = self._pause(wait)

    def _refused(self, recorder: Recorder, batch: Batch, error: BadRequest) -> None:
        """Nothing of the batch was accepted. One bad page must not hold up the others: they go one by one."""
        contents = [Content(id, "page", title) for id, title in batch.titles.items()]
        if len(contents) == 1:
            reason = Reason(error.message, transient="another" in error.message.lower())
            self.read_back(recorder, batch, otherwise=reason)
            return
        recorder.write([], batch_id=batch.id)
        for content in contents:
            one = submitted.store(self._run, recorder.space, batch.automation_id, "archive", [content])
            self.archive(recorder, one)

    def _ended(self, task_id: str, submitted_at: datetime) -> LongTask | None:
        """Wait for a task; None when it took too long. Raises Pause when the thread has waited long enough."""
        clock, wait = self._run.clock, FIRST_WAIT
        began = clock.monotonic()
        while True:
            try:
                task = self._client.long_task(task_id)
            except Postponed:
                raise
            except SiteError as error:
                log.info("archive task %s could not be asked for: %s", task_id, error)
            else:
                if task is None or task.finished:
                    return task
            # However wrong a clock was when it was submitted: what lies in the future is not waited for.
            age = abs((clock.now() - submitted_at).total_seconds())
            if age >= TASK_SECONDS:
                return None
            if max(age, clock.monotonic() - began) >= THREAD_SECONDS:
                raise Pause(clock.now() + ASIDE, TASK_RUNS)
            wait = self._pause(wait)

    def _watch(self, batch: Batch) -> None:
        """Give a task that may or may not run the time to do something."""
        began, wait = self._run.clock.monotonic(), FIRST_WAIT
        while self._run.clock.monotonic() - began < SETTLING_SECONDS and self._current(batch):
            wait = self._pause(wait)

    def _pause(self, seconds: float) -> float:
        """Wait, ready to stop; return how long to wait the next time."""
        self._run.wait(seconds)
        return min(seconds * 2, LONGEST_WAIT)

    def _current(self, batch: Batch) -> set[str]:
        kinds: tuple[Kind, ...] = ("page", "blogpost")
        return {content.id for kind in kinds for content in self._client.contents(kind, batch.content_ids)}

    def _trash(self, content: Content) -> Reason | None:
        try:
            self._client.trash(content.kind, content.id)
        except NotFound:
            return NOT_ALLOWED
        except SITE_FAULTS as error:
            return reason_of(error)
        return None

    def _after_failure(self, recorder: Recorder, content: Content, reason: Reason) -> Item:
        """The call failed, but was it done? The content itself tells."""
        try:
            there = bool(self._client.contents(content.kind, [content.id]))
        except SITE_FAULTS as error:
            return recorder.failed(content.id, "delete", reason_of(error))
        if there:
            return recorder.failed(content.id, "delete", reason)
        if reason is NOT_ALLOWED:
            return recorder.item(content.id, "delete", "skipped", GONE)
        return recorder.item(content.id, "delete", "done", title=content.title)
