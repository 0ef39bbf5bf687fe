"""Checks of a policies document: whether its parts fit together; every error names the field by its JSON pointer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from addon.base import FieldError, known_zone, pointer
from addon.policies import crons, schemes
from addon.policies.document import PolicyDocument
from addon.policies.elements import Automation, Cron, Rule, Template

CheckCql = Callable[[str, bool], tuple[str, Sequence[str]]]
"""(text, may read our status aliases) -> (text to use, notices). Raises ValueError with the reason."""
CheckTemplates = Callable[[Sequence[Template]], Sequence[tuple[int, str, str]]]
"""templates -> (position, subject or text or html, what is wrong with it) for each mistake."""

NO_STATUSES = "asks for statuses, which Confluence cannot search while statusStamps is false"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something an administrator should know about an accepted field, such as an ORDER BY that has no effect."""

    pointer: str
    detail: str


def inconsistencies(document: PolicyDocument) -> list[FieldError]:
    """Return everything that does not fit together in `document`, without CQL and template texts."""
    return [
        *_statuses(document),
        *_status_schemes(document),
        *_references(document),
        *_schedules(document),
        *_rules(document),
        *_selectors(document),
    ]


def check_texts(
    data: dict[str, Any], document: PolicyDocument, check_cql: CheckCql, check_templates: CheckTemplates
) -> tuple[list[FieldError], list[Notice]]:
    """Check every CQL and template of `document`; put CQL that needed correcting into `data` in its corrected form.

    Parameters: `data` is the same document as plain data. A status scheme's CQL may not read the status aliases that
    it decides itself; rules and automations may.
    """
    errors: list[FieldError] = []
    notices: list[Notice] = []
    for path, text, allow_aliases in _cqls(document):
        try:
            corrected, said = check_cql(text, allow_aliases)
        except ValueError as error:
            errors.append(FieldError(pointer(*path), str(error)))
            continue
        if said:
            notices += [Notice(pointer(*path), each) for each in said]
            _replace(data, path, corrected)
    for path, enabled in _unsearchable(document, check_cql):
        if enabled:
            errors.append(FieldError(pointer(*path), f"{NO_STATUSES}; switch it off or ask for something else"))
        else:
            notices.append(Notice(pointer(*path), f"{NO_STATUSES}; it cannot be switched on as it is"))
    errors += [
        FieldError(pointer("templates", position, part), reason)
        for position, part, reason in check_templates(document.templates)
    ]
    return errors, notices


def _unsearchable(document: PolicyDocument, check_cql: CheckCql) -> Iterator[tuple[tuple[str | int, ...], bool]]:
    """Yield the rules and automations that ask for statuses on a site that keeps no stamps, and whether each is on."""
    for path, part in _scheduled(document) if not document.status_stamps else ():
        if _accepts(check_cql, part.cql, True) and not _accepts(check_cql, part.cql, False):
            yield (*path, "cql"), part.enabled


def _accepts(check_cql: CheckCql, text: str, aliases: bool) -> bool:
    try:
        check_cql(text, aliases)
    except ValueError:
        return False
    return True


def _cqls(document: PolicyDocument) -> Iterator[tuple[tuple[str | int, ...], str, bool]]:
    for i, scheme in enumerate(document.status_schemes):
        for j, entry in enumerate(scheme.entries):
            path: tuple[str | int, ...] = ("statusSchemes", i, "entries", j)
            if entry.cql is not None:
                yield (*path, "cql"), entry.cql, False
            if entry.ancestor_cql is not None:
                yield (*path, "ancestorCql"), entry.ancestor_cql, False
    for path, part in _scheduled(document):
        yield (*path, "cql"), part.cql, True


def _scheduled(document: PolicyDocument) -> Iterator[tuple[tuple[str | int, ...], Rule | Automation]]:
    for i, notifications in enumerate(document.notification_schemes):
        for j, rule in enumerate(notifications.rules):
            yield ("notificationSchemes", i, "rules", j), rule
    for i, automations in enumerate(document.automation_schemes):
        for j, automation in enumerate(automations.automations):
            yield ("automationSchemes", i, "automations", j), automation


def _replace(data: dict[str, Any], path: tuple[str | int, ...], value: str) -> None:
    *parents, last = path
    part: Any = data
    for step in parents:
        part = part[step]
    part[last] = value


def _repeated(
    path: tuple[str | int, ...], field: str, values: Iterable[str], detail: str = "is used twice"
) -> Iterator[FieldError]:
    seen: set[str] = set()
    for position, value in enumerate(values):
        if value in seen:
            yield FieldError(pointer(*path, position, field) if field else pointer(*path, position), detail)
        seen.add(value)


def _statuses(document: PolicyDocument) -> Iterator[FieldError]:
    yield from _repeated(("statuses",), "id", (status.id for status in document.statuses))
    names = (status.name.casefold() for status in document.statuses)
    yield from _repeated(("statuses",), "name", names, "is the name of another status")
    yield from _repeated(("templates",), "id", (template.id for template in document.templates))
    sorts: dict[str, Sequence[schemes.Scheme]] = {
        "statusSchemes": document.status_schemes,
        "notificationSchemes": document.notification_schemes,
        "automationSchemes": document.automation_schemes,
    }
    for name, group in sorts.items():
        yield from _repeated((name,), "id", (scheme.id for scheme in group))
        defaults = [i for i, scheme in enumerate(group) if scheme.default]
        if not defaults:
            yield FieldError(pointer(name), "needs one scheme with default: true")
        for position in defaults[1:]:
            yield FieldError(pointer(name, position, "default"), "only one scheme can be the default")


def _status_schemes(document: PolicyDocument) -> Iterator[FieldError]:
    known = {status.id for status in document.statuses}
    for i, scheme in enumerate(document.status_schemes):
        used = Counter[str]()
        for j, entry in enumerate(scheme.entries):
            path = ("statusSchemes", i, "entries", j)
            used[entry.status] += 1
            if entry.status not in known:
                yield FieldError(pointer(*path, "status"), _gone("status", entry.status))
            elif used[entry.status] > 1:
                yield FieldError(pointer(*path, "status"), "is in this scheme already")
            if j < len(scheme.entries) - 1:
                if entry.cql is None:
                    yield FieldError(pointer(*path, "cql"), "is missing: only the last entry goes without CQL")
            else:
                for field, text in (("cql", entry.cql), ("ancestorCql", entry.ancestor_cql)):
                    if text is not None:
                        yield FieldError(
                            pointer(*path, field), "the last entry is the default and has no CQL; add one after it"
                        )


def _references(document: PolicyDocument) -> Iterator[FieldError]:
    sorts = (
        ("statusScheme", "status_scheme", {scheme.id for scheme in document.status_schemes}),
        ("notificationScheme", "notification_scheme", {scheme.id for scheme in document.notification_schemes}),
        ("automationScheme", "automation_scheme", {scheme.id for scheme in document.automation_schemes}),
    )
    for i, assignment in enumerate(document.assignments):
        for field, attribute, known in sorts:
            wanted = getattr(assignment, attribute)
            if wanted is not None and wanted not in known:
                yield FieldError(pointer("assignments", i, field), _gone("scheme", wanted))
    templates = {template.id for template in document.templates}
    for path, part in _scheduled(document):
        if isinstance(part, Rule) and part.template not in templates:
            yield FieldError(pointer(*path, "template"), _gone("template", part.template))


def _gone(sort: str, name: str) -> str:
    return f"there is no {sort} {name}: what is used here cannot be removed, use another here first"


def _rules(document: PolicyDocument) -> Iterator[FieldError]:
    for i, notifications in enumerate(document.notification_schemes):
        path = ("notificationSchemes", i, "rules")
        yield from _repeated(path, "id", (rule.id for rule in notifications.rules))
        for j, rule in enumerate(notifications.rules):
            yield from _repeated((*path, j, "contentStates"), "", rule.content_states)
            yield from _repeated((*path, j, "recipients"), "", (f"{r.kind} {r.id}" for r in rule.recipients))
    for i, automations in enumerate(document.automation_schemes):
        yield from _repeated(
            ("automationSchemes", i, "automations"), "id", (each.id for each in automations.automations)
        )


def _schedules(document: PolicyDocument) -> Iterator[FieldError]:
    yield from _cron(("schedules", "refreshStatuses"), document.schedules.refresh_statuses)
    for path, part in _scheduled(document):
        yield from _cron((*path, "schedule"), part.schedule)


def _cron(path: tuple[str | int, ...], schedule: Cron) -> Iterator[FieldError]:
    reason = crons.mistake(schedule.cron)
    if reason:
        yield FieldError(pointer(*path, "cron"), reason)
    try:
        known_zone(schedule.time_zone)
    except ValueError:
        yield FieldError(
            pointer(*path, "timeZone"), "is not a time zone: use an IANA name such as Europe/Berlin or UTC"
        )


def schedule_hints(document: PolicyDocument) -> list[Notice]:
    """Return what the crons of `document` may not do as their author thinks."""
    refresh = document.schedules.refresh_statuses.cron
    schedules: list[tuple[tuple[str | int, ...], str]] = [(("schedules", "refreshStatuses"), refresh)]
    schedules += [((*path, "schedule"), part.schedule.cron) for path, part in _scheduled(document)]
    return [Notice(pointer(*path, "cron"), hint) for path, cron in schedules for hint in crons.hints(cron)]


def _selectors(document: PolicyDocument) -> Iterator[FieldError]:
    for field, selectors in (
        ("excludedSpaces", document.excluded_spaces),
        ("includedSpaces", document.included_spaces),
    ):
        yield from _repeated((field,), "", (repr(selector.model_dump()) for selector in selectors))
    for i, assignment in enumerate(document.assignments):
        named = assignment.status_scheme or assignment.notification_scheme or assignment.automation_scheme
        # An assignment by key without a scheme is useful: it lets one space in that its type excludes.
        if not named and assignment.space.key is None:
            yield FieldError(pointer("assignments", i), "assigns no scheme")
