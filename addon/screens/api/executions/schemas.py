"""The models of executions, in and out; an error names the execution in the way with the same model."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from addon.screens.schemas import Body, Model, Page, SpaceKey, StatusInfo

JobType = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
Scope = Literal["site", "space"]
Trigger = Literal["scheduled", "manual", "retry"]
Status = Literal["running", "finalizing", "cancelling", "successful", "failed", "cancelled"]
SpaceState = Literal["pending", "running", "done", "failed", "skipped", "cancelled"]


class HistoryQuery(Page):
    """The filters of the audit log."""

    job: JobType | None = None
    status: Status | None = None
    scope: Scope | None = None
    trigger: Trigger | None = None


class SpacesQuery(Page):
    """The filter of an execution's spaces."""

    status: SpaceState | None = None


class ItemsQuery(Page):
    """The filters of an execution's item log."""

    outcome: Literal["done", "skipped", "failed", "planned"] | None = None


class StartExecution(Body):
    """Start a job. A space-scope start names its space; a site-scope start names none."""

    job: JobType
    scope: Scope
    space_key: SpaceKey | None = None
    dry_run: bool = False
    again: bool = Field(
        False, description="Notify about a space although that was done within a day; for Confluence administrators"
    )


class Progress(Model):
    """How far an execution has come. The unit is the space; `secondsLeft` is null while nothing can be said."""

    spaces_done: int
    spaces_failed: int
    spaces_skipped: int = 0
    spaces_total: int | None
    percent: int
    seconds_left: int | None


class Paused(Model):
    """Why an execution waits and when it resumes."""

    until: datetime
    reason: str


class FailedSpace(Model):
    """A space that failed, and why."""

    space_key: str
    reason: str


class Mails(Model):
    """The live counts of the mails of one execution, besides its frozen metrics."""

    emails_sent: int
    emails_failed: int
    emails_suppressed: int
    emails_pending: int


class SpaceResult(Model):
    """What became of one space in one execution."""

    space_key: str
    name: str
    status: SpaceState
    reason: str | None
    metrics: dict[str, Any]
    started_at: datetime | None
    ended_at: datetime | None


class Execution(Model):
    """One run of one job."""

    id: str
    job: str
    title: str
    scope: Scope
    space_key: str | None
    trigger: Trigger
    status: Status
    dry_run: bool
    started_by: str | None = Field(description="Account id; null for the schedule")
    started_by_name: str | None = Field(None, description="Display name where Confluence shows it")
    started_at: datetime
    ended_at: datetime | None
    retry_of: str | None
    attempt: int
    progress: Progress
    paused: Paused | None
    metrics: dict[str, Any] | None = Field(description="The final sums; null while active")
    coverage: Literal["complete", "incomplete"] | None = Field(
        None,
        description="Incomplete: spaces that the app could not see any more were skipped, or items are read-only "
        "for it or not its to act on. Null while active",
    )
    spaces_unseen: int = Field(0, description="Skipped because the app could not see them any more")
    error: str | None = None
    points: int = 0
    calls: int = 0
    stalled_since: datetime | None = Field(None, description="Set when nothing moved for ten minutes")
    cancel_requested_by: str | None = None
    running_spaces: list[str] = Field(default_factory=list, description="Keys of some spaces in work")
    failures: list[FailedSpace] = Field(default_factory=list, description="The first failed spaces")
    may_cancel: bool = False
    may_retry: bool = Field(False, description="Its failed spaces can be tried again on their own")
    restricted: bool = Field(False, description="Only what the caller may know: it belongs to another scope")
    space_result: SpaceResult | None = Field(
        None, description="Of a site's run, in a space's scope: what became of that space; metrics are the space's own"
    )


class Retry(Model):
    """A waiting retry of a failed scheduled execution."""

    failed_execution_id: str
    job: str
    due_at: datetime
    attempt: int
    attempts: int


class Slot(Model):
    """A time of a schedule that an execution was started for, or that passed before and was covered as well."""

    rule_id: str | None = Field(description="The rule or automation; null for a job's only schedule")
    name: str
    scheduled_for: datetime
    outcome: Literal["started", "coalesced"]
    earlier: int = Field(0, description="So many times of the schedule before this one were covered as well")
    earlier_since: datetime | None = Field(None, description="The first of these")


class Slots(Model):
    """What an execution was started for, then what it covered as well, each newest first."""

    items: list[Slot]
    more: int = Field(description="So many further ones are not listed")


class ExecutionDetail(Execution):
    """One execution with its slots, its retry chain and live mail counts."""

    slots: Slots | None = Field(None, description="Of scheduled executions")
    mails: Mails | None = None
    retried_by: str | None = Field(None, description="The execution that retries this one")
    next_retry: Retry | None = None
    policy_version: int
    statuses: list[StatusInfo] = Field(default_factory=list)


class Current(Model):
    """The execution that is active now, or null."""

    execution: Execution | None


class ItemResult(Model):
    """What one execution did to one item."""

    content_id: str
    title: str | None
    space_key: str
    action: str
    outcome: str
    reason: str | None
    at: datetime


class FieldProblem(Model):
    """What is wrong with one field: a JSON pointer into the body, or a parameter's name."""

    pointer: str
    detail: str
    line: int | None = Field(None, description="Of a YAML body, from 1")


class ProblemDocument(Model):
    """Every error of the API (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] | None = None
    execution: Execution | None = Field(None, description="409 only: the execution in the way")
