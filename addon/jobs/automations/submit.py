"""Submission to the site: batches of items to archive or to trash, each followed until its outcome is known.

A batch is a row that exists before its call and stays open until the outcome of each of its items is recorded. A new
owner of the execution finds the open batches first, and no execution ends while one is open. Archiving is asynchronous
and a site runs one archive job at a time (docs/rules/confluence-api.md 2.4): a batch is submitted, its task followed to
the end, then every page is read back. What an answer leaves unknown is known from the pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import backoff, get_logger, new_id
from addon.confluence import BadRequest, Content, Kind, LongTask, NotFound, Postponed, SiteClient, SiteError
from addon.engine.job import CancelRequested, Item, Pause, Run, RunSpace
from addon.jobs.automations.guards import GONE
from addon.jobs.automations.outcomes import Limits, Recorder, items_logged, spaces_of
from addon.jobs.faults import SITE_FAULTS, STOPS, Reason, reason_of
from addon.jobs.models import ArchiveTask
from addon.policies import PolicyDocument

log = get_logger(__name__)

FIRST_WAIT = 1.0
LONGEST_WAIT = 10.0
TASK_SECONDS = 1200.0
"""How long after its submission an archive task is followed before its pages are judged as they are."""
THREAD_SECONDS = 300.0
"""How long a task may keep a thread waiting; then the execution is put aside for ASIDE and asks again."""
ASIDE = timedelta(minutes=2)
TASK_RUNS = "an archive task of the site is not finished"
WATCH_SECONDS = 20.0
"""How long pages are watched when it is unknown whether their task was accepted."""
BUSY_SECONDS = 300.0
"""How long to wait for another archive job of the site."""
NOT_ENDED = Reason("the site accepted the archive task, but the page is still there", transient=True)
NOT_ALLOWED = Reason("the app may not delete it", transient=False)
UNKNOWN = "it was submitted to the site, and whether it was done could not be read back: {}"


@dataclass(frozen=True, slots=True)
class Batch:
    """Items that one automation acts on with one call (archive) or one round of calls (delete).

    `titles`: title by content id, in the order of the call. `action`: archive or delete, None in rows of old releases.
    `task_id`: the site's long task, once the site has named it.
    """

    id: str
    space_id: str
    automation_id: str
    titles: dict[str, str]
    submitted_at: datetime
    action: str | None
    task_id: str | None = None

    @property
    def content_ids(self) -> list[str]:
        """Return the content ids in the order of the call."""
        return list(self.titles)


class Submitter:
    """Archives and trashes for one run, in the runner thread; the calls of `trash` fan out over the call threads."""

    def __init__(self, run: Run, client: SiteClient) -> None:
        self._run = run
        self._client = client

    def archive(self, recorder: Recorder, automation_id: str, pages: Sequence[Content]) -> None:
        """Archive up to one call's worth of pages of one space and record every page's outcome.

        Raises Interrupted (the batch stays open for the next owner), Pause, Abandon or Fatal.
        """
        # Stored before the call: a process that dies from here on leaves a row that says which pages may be gone. The
        # cost is a transaction for each call, and a batch that was never submitted is watched once for nothing.
        batch = self._store(recorder.space, automation_id, "archive", pages)
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
            # A lost answer says nothing of the task, and a second submission would meet the first: the pages are
            # watched for a while and judged as they are.
            reason = reason_of(error)
            self._watch(batch)
            self._read_back(recorder, batch, otherwise=reason)
            return
        self._remember_task(batch, task_id)
        self._follow(recorder, replace(batch, task_id=task_id))

    def trash(self, recorder: Recorder, automation_id: str, contents: Sequence[Content]) -> None:
        """Trash items of one space and record every outcome.

        Stopped on the way, it records what is known and leaves the batch open to be read back.
        """
        batch = self._store(recorder.space, automation_id, "delete", contents)
        items: list[Item] = []
        failures: list[tuple[Content, Reason]] = []
        try:
            for content, failure in self._run.map(self._trash, contents):
                if failure is None:
                    items.append(recorder.item(content.id, "delete", "done", title=content.title))
                else:
                    failures.append((content, reason_of(failure) if isinstance(failure, Exception) else failure))
        except STOPS:
            recorder.write(items, automation_id=automation_id)
            raise
        items += [self._after_failure(recorder, content, reason) for content, reason in failures]
        recorder.write(items, automation_id=automation_id, batch_id=batch.id)

    def finish_open(self, policy: PolicyDocument, limits: Limits) -> None:
        """Record the outcome of every batch that an earlier owner of the execution left open.

        Raises Interrupted, Pause, Abandon, Fatal, and SiteError as reading back does.
        """
        for batch in open_batches(self._run):
            space = spaces_of(self._run)[batch.space_id]
            self._take_over(Recorder(self._run, space, limits), batch, _action_of(policy, batch))

    def _take_over(self, recorder: Recorder, batch: Batch, action: str) -> None:
        """Close a batch that an earlier owner left: what is gone was done, the rest will be found again."""
        if batch.task_id is not None:
            self._follow(recorder, batch)
            return
        if action == "archive":
            # The owner may have died between the site's acceptance and the task's id.
            self._watch(batch)
        # What is still there has no outcome: the automation matches it again in this run, and acts on it once more.
        over = self._current(batch) | items_logged(self._run, batch.space_id)
        items = [recorder.item(id, action, "done", title=title) for id, title in batch.titles.items() if id not in over]
        recorder.write(items, automation_id=batch.automation_id, batch_id=batch.id)

    def _follow(self, recorder: Recorder, batch: Batch) -> None:
        """Wait for the batch's task to end, then read every page back."""
        assert batch.task_id is not None
        task = self._ended(batch.task_id, batch.submitted_at)
        words = "; ".join(task.errors) if task is not None and task.errors else None
        self._read_back(recorder, batch, otherwise=Reason(words, transient=False) if words else NOT_ENDED)

    def _read_back(self, recorder: Recorder, batch: Batch, *, otherwise: Reason) -> None:
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
        """Submit and return the task's id, waiting while another archive job of the site runs."""
        began, tries = self._run.clock.monotonic(), 0
        while True:
            try:
                return self._client.archive(batch.content_ids)
            except BadRequest as error:
                # The site words it freely, and has no code for it.
                if "another" not in error.message.lower() or self._run.clock.monotonic() - began > BUSY_SECONDS:
                    raise
            tries = self._wait(tries)

    def _refused(self, recorder: Recorder, batch: Batch, error: BadRequest) -> None:
        """Nothing of the batch was accepted. One bad page must not keep the others waiting: they go one by one."""
        contents = [Content(id, "page", title) for id, title in batch.titles.items()]
        if len(contents) == 1:
            reason = Reason(error.message, transient="another" in error.message.lower())
            self._read_back(recorder, batch, otherwise=reason)
            return
        recorder.write([], batch_id=batch.id)
        for content in contents:
            self.archive(recorder, batch.automation_id, [content])

    def _ended(self, task_id: str, submitted_at: datetime) -> LongTask | None:
        """Wait for a task; None when it took too long. Raises Pause when the thread has waited long enough."""
        clock, tries = self._run.clock, 0
        began = clock.monotonic()
        while True:
            try:
                task = self._client.long_task(task_id)
            except Postponed:
                raise
            except SiteError as error:
                # The task runs whether or not we hear of it: a question that fails is asked again, up to TASK_SECONDS.
                log.info(
                    "an archive task does not answer", action="archive_task_unread", task=task_id, error=str(error)
                )
            else:
                if task is None or task.finished:
                    return task
            # Absolute, because a clock that was wrong at the submission must not make us wait for years.
            age = abs((clock.now() - submitted_at).total_seconds())
            if age >= TASK_SECONDS:
                return None
            # By age too, so that a new owner of an old task looks once and gives the thread back. The cost: its end is
            # seen up to ASIDE late.
            if max(age, clock.monotonic() - began) >= THREAD_SECONDS:
                raise Pause(clock.now() + ASIDE, TASK_RUNS)
            tries = self._wait(tries)

    def _watch(self, batch: Batch) -> None:
        """Give a task that may or may not run the time to do something."""
        began, tries = self._run.clock.monotonic(), 0
        while self._run.clock.monotonic() - began < WATCH_SECONDS and self._current(batch):
            tries = self._wait(tries)

    def _wait(self, tries: int) -> int:
        """Wait between two looks, ready to stop; return the number of looks."""
        self._run.wait(backoff(tries, first=FIRST_WAIT, longest=LONGEST_WAIT))
        return tries + 1

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
        """Return what became of an item whose call failed, by whether it is still there."""
        try:
            there = bool(self._client.contents(content.kind, [content.id]))
        except SITE_FAULTS as error:
            return recorder.failed(content.id, "delete", reason_of(error))
        if there:
            return recorder.failed(content.id, "delete", reason)
        # A 404 means gone or not allowed alike. It is gone now, and our call did not do it.
        if reason is NOT_ALLOWED:
            return recorder.item(content.id, "delete", "skipped", GONE)
        return recorder.item(content.id, "delete", "done", title=content.title)

    def _store(self, space: RunSpace, automation_id: str, action: str, contents: Sequence[Content]) -> Batch:
        titles = {content.id: content.title for content in contents}
        batch = Batch(new_id(), space.id, automation_id, titles, self._run.clock.now(), action)
        with self._run.write() as session:
            session.add(
                ArchiveTask(
                    id=batch.id,
                    tenant_id=self._run.tenant_id,
                    execution_id=self._run.execution_id,
                    space_id=batch.space_id,
                    automation_id=batch.automation_id,
                    page_ids=batch.content_ids,
                    titles=list(batch.titles.values()),
                    submitted_at=batch.submitted_at,
                    action=action,
                )
            )
        return batch

    def _remember_task(self, batch: Batch, task_id: str) -> None:
        with self._run.write() as session:
            session.execute(sa.update(ArchiveTask).where(ArchiveTask.id == batch.id).values(task_id=task_id))


def open_batches(run: Run) -> list[Batch]:
    """Return the execution's batches whose outcome is not recorded yet, oldest first."""
    query = (
        sa.select(ArchiveTask)
        .where(ArchiveTask.execution_id == run.execution_id, ArchiveTask.ended_at.is_(None))
        .order_by(ArchiveTask.id)
    )
    with run.read() as session:
        return [
            Batch(
                row.id,
                row.space_id,
                row.automation_id,
                dict(zip(row.page_ids, row.titles, strict=True)),
                row.submitted_at,
                row.action,
                row.task_id,
            )
            for row in session.scalars(query)
        ]


def has_open_batch(session: Session, execution_id: str) -> bool:
    """Return whether the execution has a batch whose outcome is not recorded yet."""
    open_ = sa.exists().where(ArchiveTask.execution_id == execution_id, ArchiveTask.ended_at.is_(None))
    return bool(session.scalar(sa.select(open_)))


def give_up(run: Run, policy: PolicyDocument, limits: Limits, reason: str) -> None:
    """Close every open batch without asking the site: each item without an outcome is recorded as failed, unknown.

    `reason`: why the site could not be asked. Needs no call. Raises Interrupted when the lease is lost.
    """
    for batch in open_batches(run):
        recorder = Recorder(run, spaces_of(run)[batch.space_id], limits)
        known = items_logged(run, batch.space_id)
        unknown = Reason(UNKNOWN.format(reason), transient=False)
        action = _action_of(policy, batch)
        items = [recorder.failed(id, action, unknown) for id in batch.content_ids if id not in known]
        recorder.write(items, automation_id=batch.automation_id, batch_id=batch.id)


def _action_of(policy: PolicyDocument, batch: Batch) -> str:
    """Return what was done with a batch, archive or delete; rows of old releases do not say, so the policies do."""
    if batch.action is not None:
        return batch.action
    for scheme in policy.automation_schemes:
        for automation in scheme.automations:
            if f"{scheme.id}/{automation.id}" == batch.automation_id:
                return automation.action.type
    return "archive"
