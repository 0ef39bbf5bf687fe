"""The shape of the policies document: one pydantic model per part of it, with a bound on every length and count.

Field names are camelCase outside and snake_case inside. The models judge shape only, so that every document that was
ever accepted can be read again; whether the parts fit together is asked by `addon.policies.checks` when one is put.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Literal

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
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic.alias_generators import to_camel

from addon.base import ScheduleSpec, Space, bounds
from addon.policies import schemes
from addon.policies.errors import InvalidPolicies, field_errors, unstorable

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
    """An ordered list of automations: a content belongs to the first one that matches."""

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
    """Where the byline of a content shows its status: on the whole site when `on`, else in the selected spaces."""

    on: StrictBool = False
    spaces: Annotated[tuple[Selector, ...], Field(max_length=2000)] = ()


class PolicyDocument(Part):
    """Everything an administrator configures. `version` is given by the server; what a client sends is ignored."""

    version: Annotated[StrictInt, Field(ge=0)] = 0
    statuses: Annotated[tuple[Status, ...], Field(min_length=1, max_length=50)]
    status_schemes: Annotated[tuple[StatusScheme, ...], Field(min_length=1, max_length=100)]
    templates: Annotated[tuple[Template, ...], Field(max_length=20)] = ()
    schedules: Schedules
    notification_schemes: Annotated[tuple[NotificationScheme, ...], Field(min_length=1, max_length=100)]
    automation_schemes: Annotated[tuple[AutomationScheme, ...], Field(min_length=1, max_length=100)]
    assignments: Annotated[tuple[Assignment, ...], Field(max_length=2000)] = ()
    included_spaces: Annotated[tuple[Selector, ...], Field(max_length=20_000)] = ()
    """The only spaces that take part, as far as they are not excluded; empty for all."""
    excluded_spaces: Annotated[tuple[Selector, ...], Field(max_length=20_000)] = ()
    status_stamps: StrictBool = True
    """False keeps statuses in the ledger only: nothing is written to pages and posts, and CQL cannot find statuses."""
    list_large_spaces: StrictBool = False
    """True: a space of more than 10,000 items may be listed at every refresh where its queries fit into no URL."""
    indicator: Indicator = Indicator()

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> PolicyDocument:
        """Return the document in `data` (camelCase, as parsed from JSON or YAML).

        Raises InvalidPolicies with a JSON pointer for each field of a wrong shape.
        """
        errors = unstorable(data)
        if not errors:
            try:
                return cls.model_validate(data, by_alias=True, by_name=False)
            except ValidationError as error:
                errors = field_errors(error)
        raise InvalidPolicies(errors)

    def data(self) -> dict[str, Any]:
        """Return the document as plain JSON-ready data in camelCase. What is not set is left out, but for the hold."""
        data = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        hold = data["schedules"]["hold"]
        data["schedules"]["hold"] = {"on": hold["on"], "reason": hold.get("reason"), "until": hold.get("until")}
        return data

    @cached_property
    def named_keys(self) -> frozenset[str]:
        """The keys, case-folded, of the spaces that assignments name one by one."""
        return frozenset(each.space.key.casefold() for each in self.assignments if each.space.key is not None)

    @cached_property
    def excluded_keys(self) -> frozenset[str]:
        """The keys, case-folded, of the spaces that are excluded one by one; there may be thousands."""
        return frozenset(each.key.casefold() for each in self.excluded_spaces if each.key is not None)

    @cached_property
    def labels_asked(self) -> frozenset[str]:
        """The space labels that decide about schemes and exclusion, as they are written."""
        assigned = (assignment.space for assignment in self.assignments)
        selectors = [*self.excluded_spaces, *self.included_spaces, *assigned]
        return frozenset(selector.label for selector in selectors if selector.label is not None)

    @cached_property
    def included_keys(self) -> frozenset[str]:
        """The keys, case-folded, of the spaces that are included one by one."""
        return frozenset(each.key.casefold() for each in self.included_spaces if each.key is not None)

    @cached_property
    def inclusion_rules(self) -> tuple[Selector, ...]:
        """The inclusions that are not by key."""
        return tuple(each for each in self.included_spaces if each.key is None)

    @cached_property
    def exclusion_rules(self) -> tuple[Selector, ...]:
        """The exclusions that are not by key."""
        return tuple(each for each in self.excluded_spaces if each.key is None)

    def status(self, slug: str) -> Status | None:
        """Return the status of that slug, None when the document has none."""
        return next((status for status in self.statuses if status.id == slug), None)

    def template(self, template_id: str) -> Template | None:
        """Return the template of that id, None when the document has none."""
        return next((template for template in self.templates if template.id == template_id), None)

    def status_scheme(self, space: Space) -> StatusScheme:
        """Return the status scheme of `space`: the first assignment that names one, else the default."""
        return schemes.assigned(self, space, "status_scheme", self.status_schemes)

    def notification_scheme(self, space: Space) -> NotificationScheme:
        """Return the notification scheme of `space`: the first assignment that names one, else the default."""
        return schemes.assigned(self, space, "notification_scheme", self.notification_schemes)

    def automation_scheme(self, space: Space) -> AutomationScheme | None:
        """Return the automation scheme of `space`, None for a personal space that is not named by its key."""
        return schemes.automation_scheme(self, space)

    def exclusion(self, space: Space) -> str | None:
        """Return why jobs leave `space` alone, as a phrase for people (excluded, or not included), or None."""
        return schemes.exclusion(self, space)

    def schedule_specs(self) -> list[ScheduleSpec]:
        """Return every schedule of the document, disabled ones included. A rule's id is `<scheme>/<rule>`."""
        refresh = self.schedules.refresh_statuses
        specs = [
            ScheduleSpec(
                "refresh-statuses", "", "Refresh content statuses", refresh.cron, refresh.time_zone, refresh.enabled
            )
        ]
        for notifications in self.notification_schemes:
            specs += [_spec("send-notifications", notifications.id, rule) for rule in notifications.rules]
        for automations in self.automation_schemes:
            specs += [_spec("execute-automations", automations.id, each) for each in automations.automations]
        return specs


def _spec(job_type: str, scheme_id: str, entry: Rule | Automation) -> ScheduleSpec:
    schedule = entry.schedule
    rule_id = f"{scheme_id}/{entry.id}"
    return ScheduleSpec(job_type, rule_id, entry.name, schedule.cron, schedule.time_zone, entry.enabled)


__all__ = ["PolicyDocument"]


__all__ = ["PolicyDocument"]
