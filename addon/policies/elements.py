"""The parts of the policies document, from a status to the schemes, with a bound on every length and count.

Field names are camelCase outside and snake_case inside. Every part is immutable and refuses what it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StringConstraints,
    model_serializer,
    model_validator,
)
from pydantic.alias_generators import to_camel

from addon.base import bounds

MAX_CQL = 2000


def _blank_is_none(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _moment(value: object) -> object:
    if value is None or isinstance(value, datetime | str):
        return value
    raise ValueError("must be a date and time with its zone, such as 2026-12-01T08:00:00Z")


Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120, pattern=r"^[^\r\n]*$")]
Description = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000)]
Colour = Annotated[str, StringConstraints(pattern=r"^#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$")]
Icon = Annotated[str, StringConstraints(pattern=r"^[^\s<>\"'&\\/:]{1,40}$")]
Cql = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_CQL)]
NoCql = Annotated[Cql | None, BeforeValidator(_blank_is_none)]
AccountId = Annotated[str, StringConstraints(pattern=r"^[^\s/?#]{1,128}$")]
SpaceKey = Annotated[str, StringConstraints(pattern=r"^[^\s/?#\"\\]{1,255}$")]
KeyPattern = Annotated[str, StringConstraints(pattern=r"^[^\s/#\"\\]{1,255}$")]
Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)]
Moment = Annotated[Annotated[AwareDatetime, AfterValidator(bounds.within_calendar)] | None, BeforeValidator(_moment)]


class Part(BaseModel):
    """Any part of the document: immutable, nothing unknown in it."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, extra="forbid", frozen=True
    )


class Status(Part):
    """A status that content can have. `id` is a slug; once used it is never used for anything else."""

    id: Slug
    name: Name
    description: Description = ""
    colour: Colour = "#8590a2"
    icon: Icon = "circle"


class StatusEntry(Part):
    """One step of a status scheme: items matching `cql`, or below an ancestor matching `ancestor_cql`."""

    status: Slug
    cql: NoCql = None
    ancestor_cql: NoCql = None


class StatusScheme(Part):
    """An ordered list of statuses: the first that matches wins, the last (without CQL) is the default."""

    id: Slug
    name: Name
    description: Description = ""
    default: StrictBool = False
    entries: Annotated[tuple[StatusEntry, ...], Field(min_length=1, max_length=50)]

    @property
    def default_status(self) -> str:
        """The slug of the status of whatever matches nothing."""
        return self.entries[-1].status


class Template(Part):
    """A mail template. `subject` and `text` are plain text, `html` is HTML with its values escaped."""

    id: Slug
    name: Name
    subject: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
    text: Annotated[str, StringConstraints(min_length=1, max_length=50_000)]
    html: Annotated[str, StringConstraints(min_length=1, max_length=100_000)]


class Cron(Part):
    """When something is due: five cron fields, read in an IANA time zone."""

    cron: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
    time_zone: Annotated[str, StringConstraints(min_length=1, max_length=64)] = "UTC"


class RefreshSchedule(Cron):
    """When the content statuses are refreshed."""

    enabled: StrictBool = True


class Hold(Part):
    """The hold on all schedules. Manual starts work while it is on."""

    on: StrictBool = False
    reason: Reason | None = None
    until: Moment = None


class Schedules(Part):
    """What is scheduled besides rules and automations."""

    hold: Hold = Hold()
    refresh_statuses: RefreshSchedule


class Recipient(Part):
    """Who gets a rule's mail: `author`, `lastUpdater`, `spaceAdmins`, or `{user: id}` or `{group: id}`.

    Inside, `kind` is one of these five words and `id` is set for user and group only.
    """

    kind: Literal["author", "lastUpdater", "spaceAdmins", "user", "group"]
    id: AccountId | None = None

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: object) -> object:
        if isinstance(value, str) and value in ("author", "lastUpdater", "spaceAdmins"):
            return {"kind": value}
        if isinstance(value, Mapping) and "kind" in value:
            return value
        if isinstance(value, Mapping) and len(value) == 1:
            kind, target = next(iter(value.items()))
            if kind in ("user", "group") and isinstance(target, str) and target:
                return {"kind": kind, "id": target}
        raise ValueError("must be author, lastUpdater, spaceAdmins, {user: account id} or {group: group id}")

    @model_validator(mode="after")
    def _id_where_needed(self) -> Recipient:
        if (self.id is not None) != (self.kind in ("user", "group")):
            raise ValueError("a user and a group are named by their id, the others have none")
        return self

    @model_serializer
    def _write(self) -> str | dict[str, str]:
        return self.kind if self.id is None else {self.kind: self.id}


class Rule(Part):
    """A notification rule: what is reported when, to whom, with which template."""

    id: Slug
    name: Name
    enabled: StrictBool = False
    schedule: Cron
    cql: Cql
    content_states: Annotated[tuple[Literal["current", "archived"], ...], Field(min_length=1, max_length=2)] = (
        "current",
    )
    recipients: Annotated[tuple[Recipient, ...], Field(min_length=1, max_length=50)]
    template: Slug


class NotificationScheme(Part):
    """A set of notification rules."""

    id: Slug
    name: Name
    default: StrictBool = False
    rules: Annotated[tuple[Rule, ...], Field(max_length=50)] = ()


class Action(Part):
    """What an automation does. `cap` is the most items one execution may touch with it.

    See docs/rules/automations.md 7.7.
    """

    type: Literal["archive", "delete"]
    cap: Annotated[StrictInt, Field(ge=1, le=500)] = 500
    whole_subtree: StrictBool = False


class Automation(Part):
    """An automation: what is done when, to which items."""

    id: Slug
    name: Name
    enabled: StrictBool = False
    schedule: Cron
    cql: Cql
    action: Action


class AutomationScheme(Part):
    """An ordered list of automations: an item belongs to the first one that matches."""

    id: Slug
    name: Name
    default: StrictBool = False
    automations: Annotated[tuple[Automation, ...], Field(max_length=50)] = ()


class Selector(Part):
    """Which spaces: exactly one of a key, a space type, a space label, or a glob (* and ?) over keys."""

    key: SpaceKey | None = None
    type: Word | None = None
    label: Word | None = None
    key_pattern: KeyPattern | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Selector:
        given = [value for value in (self.key, self.type, self.label, self.key_pattern) if value is not None]
        if len(given) != 1:
            raise ValueError("must have exactly one of key, type, label and keyPattern")
        return self

    @model_serializer
    def _write(self) -> dict[str, str]:
        named = {"key": self.key, "type": self.type, "label": self.label, "keyPattern": self.key_pattern}
        return {name: value for name, value in named.items() if value is not None}


class Assignment(Part):
    """The schemes of the selected spaces. A scheme that is not named is left to later assignments and the default."""

    space: Selector
    status_scheme: Slug | None = None
    notification_scheme: Slug | None = None
    automation_scheme: Slug | None = None


class Indicator(Part):
    """Where the byline of an item shows its status: on the whole site when `on`, else in the selected spaces."""

    on: StrictBool = False
    spaces: Annotated[tuple[Selector, ...], Field(max_length=2000)] = ()
