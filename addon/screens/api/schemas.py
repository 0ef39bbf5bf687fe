"""What goes in and out of the JSON API? The one source of validation, of serialisation and of the OpenAPI document."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from addon.base import bounds

Item = TypeVar("Item")

JobType = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
SpaceKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9~_:.\-]{1,255}$")]
Scope = Literal["site", "space"]
Trigger = Literal["scheduled", "manual", "retry"]
Status = Literal["running", "finalizing", "cancelling", "successful", "failed", "cancelled"]
SpaceState = Literal["pending", "running", "done", "failed", "skipped", "cancelled"]


def _decimal(value: object) -> object:
    """Refuse what int() reads besides plain digits: signs, blanks, underscores, leading zeros, other alphabets."""
    if isinstance(value, str) and not re.fullmatch(r"0|[1-9][0-9]{0,17}", value):
        raise ValueError("must be a number in plain digits")
    return value


Decimal = Annotated[int, BeforeValidator(_decimal)]
Limit = Annotated[Decimal, Field(ge=1, le=100)]
Cql = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")]
Cursor = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Model(BaseModel):
    """An answer: camelCase outside, snake_case inside."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Body(Model):
    """A request body: nothing unknown, nothing coerced, and one name for each field."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=False)


class Query(Model):
    """A request's query parameters: nothing unknown, one name for each, and one way to write a number."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False)


class InSpace(Query):
    """The scope of a read: a space's own screen repeats its key with every call; without it the site is meant."""

    space_key: SpaceKey | None = None


class Page(InSpace):
    """One page of a list."""

    cursor: Cursor | None = None
    limit: Limit = 25


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


class PoliciesQuery(Query):
    """Which version of the policies; the current one without."""

    version: Annotated[Decimal, Field(ge=1, le=999_999_999)] | None = None


class VersionsQuery(Query):
    """One page of the policies' history."""

    cursor: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}$")] | None = None
    limit: Limit = 25


class StartExecution(Body):
    """Start a job. A space-scope start names its space; a site-scope start names none."""

    job: JobType
    scope: Scope
    space_key: SpaceKey | None = None
    dry_run: bool = False
    again: bool = Field(
        False, description="Notify about a space although that was done within a day; for Confluence administrators"
    )


class SetHold(Body):
    """Hold all schedules, or release them. Manual starts work either way."""

    on: bool
    reason: (
        Annotated[str, StringConstraints(strip_whitespace=True, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")] | None
    ) = None
    until: Annotated[AwareDatetime, AfterValidator(bounds.within_calendar)] | None = None


class CheckCql(Body):
    """Ask whether a CQL may stand in a policy. `kind` is where: a status scheme, a notification rule, an automation."""

    cql: Annotated[
        str, StringConstraints(min_length=1, max_length=2000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")
    ]
    kind: Literal["status", "rule", "automation"]


class List(Model, Generic[Item]):
    """One page of a list; `nextCursor` leads to the next one and is null on the last."""

    items: list[Item]
    next_cursor: str | None = None


class Progress(Model):
    """How far an execution has come. The unit is the space; `secondsLeft` is null while nothing can be said."""

    spaces_done: int
    spaces_failed: int
    spaces_skipped: int = 0
    spaces_total: int | None
    percent: int
    seconds_left: int | None


class Paused(Model):
    """Why an execution waits and when it goes on."""

    until: datetime
    reason: str


class FailedSpace(Model):
    """A space that failed, and why."""

    space_key: str
    reason: str


class Mails(Model):
    """The live counts of the mails of one execution, beside its frozen metrics."""

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
    started_by_name: str | None = Field(None, description="Display name where Confluence tells it")
    started_at: datetime
    ended_at: datetime | None
    retry_of: str | None
    attempt: int
    progress: Progress
    paused: Paused | None
    metrics: dict[str, Any] | None = Field(description="The final sums; null while active")
    coverage: Literal["complete", "incomplete"] | None = Field(
        None,
        description="Incomplete: spaces that the app could not see any more were skipped, or contents are read-only "
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


class StatusInfo(Model):
    """A content status as the policies name and colour it."""

    id: str
    name: str
    colour: str


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


class JobState(Model):
    """One job type on the Jobs screen."""

    job: str
    title: str
    description: str
    next_at: datetime | None
    startable: bool
    reason: str | None = Field(description="Why it cannot be started now")
    dry_run: bool = Field(description="Whether a preview without changes is offered")
    retry: Retry | None = None


class SpaceInfo(Model):
    """The space a space screen is about."""

    id: str
    key: str
    name: str
    excluded: str | None = Field(description="Why jobs leave it alone: the rule that excludes it, or not chosen")
    included: bool = Field(True, description="False: it is not excluded, but not among the chosen spaces either")


class Hold(Model):
    """The hold on all schedules."""

    on: bool
    reason: str | None = None
    by: str | None = None
    by_name: str | None = None
    until: datetime | None = None


class Waiting(Model):
    """What starts when the lane is free: due since then. Others wait for a `retry` also until it is due."""

    job: str
    title: str
    due: datetime
    retry: Retry | None = None


class Jobs(List[JobState]):
    """Everything the Jobs screen shows of the present."""

    scope: Scope
    space: SpaceInfo | None
    current: Execution | None
    hold: Hold
    first_run: bool = Field(description="No Confluence administrator has confirmed the first run yet")
    retries: list[Retry]
    waiting: list[Waiting] = Field(
        default_factory=list, description="While one runs or is paused: what starts after it, the first one first"
    )
    revision: str = Field(description="Another one as soon as the list of executions has changed")
    time_zone: str
    statuses: list[StatusInfo]
    notices: list[str] = Field(
        default_factory=list, description="What keeps jobs from running as planned, and what to do about it"
    )


class Current(Model):
    """The execution that is active now, or null."""

    execution: Execution | None


class ItemResult(Model):
    """What one execution did to one content."""

    content_id: str
    title: str | None
    space_key: str
    action: str
    outcome: str
    reason: str | None
    at: datetime


class PolicyVersionInfo(Model):
    """One accepted policies document in the version history."""

    version: int
    by: str | None
    by_name: str | None = None
    at: datetime


class CqlCheck(Model):
    """A CQL that Confluence takes, as it would be stored."""

    cql: str
    notices: list[str] = Field(description="What was changed in it")
    question: str = Field(description="The CQL whose results are the pages and blog posts that match now")


class Factory(Model):
    """What Content Steward ships, so that a part of the policies or all of them can be set back to it."""

    policies: dict[str, Any] = Field(description="A policies document that can be put as it is, or in parts")
    retired_statuses: list[str] = Field(description="Status ids that were removed here and can never be used again")
    namespace: str = Field(description="What the names of the CQL aliases begin with")


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
