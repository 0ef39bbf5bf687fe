"""The policies document: everything an administrator configures, and which of it counts for a space.

The models judge shape only, so that every document that was ever accepted can be read again; whether the parts fit
together is asked by `addon.policies.checks` when one is put.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any

from pydantic import (
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
)

from addon.base import ScheduleSpec, Space
from addon.policies import schemes
from addon.policies.elements import (
    Assignment,
    Automation,
    AutomationScheme,
    Indicator,
    NotificationScheme,
    Part,
    Rule,
    Schedules,
    Selector,
    Status,
    StatusScheme,
    Template,
)
from addon.policies.errors import InvalidPolicies, field_errors, unstorable


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
