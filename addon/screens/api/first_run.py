"""The first run of a new installation: what it would find and cost, and its confirmation by an administrator.

The estimate comes from a few counts by search: where it would take more, the counts stay unknown. See
docs/rules/schedules.md 2.4.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from addon.base import Cache, Caller, FieldError, Space, TenantId, get_logger, zone_names
from addon.confluence import SiteClient, SiteError
from addon.confluence.cql import (
    MOST_SPACES,
    Spelling,
    all_of,
    any_of,
    encoded_length,
    group_spaces,
    in_spaces,
    none_of,
    with_not,
)
from addon.engine import JobRefused, NotAdmitted, StartRequest, queries
from addon.jobs import with_labels
from addon.jobs.statuses import first_spelling
from addon.parts import Parts
from addon.policies import Hold, PolicyDocument, Selector, StatusScheme
from addon.screens.access import Access
from addon.screens.api.base import Api
from addon.screens.api.executions.presenter import Presenter
from addon.screens.api.executions.schemas import Execution
from addon.screens.lookups import Lookups
from addon.screens.operations import operation
from addon.screens.problems import Problem
from addon.screens.schemas import Body, Model, SpaceKey

log = get_logger(__name__)

FIRST_JOB = "refresh-statuses"
WRITES_A_MINUTE = 600
REMEMBERED = timedelta(minutes=2)
MOST_GROUPS = 20
"""Groups of spaces that are counted at most."""
POINTS_AN_ENTRY = 3
"""For a group of spaces: what enters a status, what leaves it and how many stamps there are, at most."""
POINTS_A_WRITE = 3
"""Found in a listing, looked up, written."""


class ConfirmFirstRun(Body):
    """Let a new installation begin: with all spaces, or with the named ones alone until more are taken in."""

    spaces: Literal["all"] | Annotated[list[SpaceKey], Field(min_length=1, max_length=500)]


class StatusCount(Model):
    """How many pages and posts would have one status; null where the site could not say."""

    status: str
    name: str
    contents: int | None


class SpaceChoice(Model):
    """A space in the first-run panel."""

    key: str
    name: str
    included: bool
    reason: str | None = None


class FirstRun(Model):
    """What a new installation would do, for the administrator who decides."""

    pending: bool
    counts: list[StatusCount]
    contents: int | None
    spaces: list[SpaceChoice]
    spaces_included: int
    spaces_excluded: int
    estimated_points: int
    estimated_minutes: int
    mail: str | None = Field(description="Why mail cannot be sent; null when it can")
    archive: str | None = Field(description="Why pages cannot be archived; null when they can")
    rules_on: int = Field(description="Notification rules that are switched on already")
    automations_on: int = Field(description="Automations that are switched on already")


class Confirmed(Model):
    """The first run is confirmed; this version of the policies holds."""

    pending: bool
    policy_version: int
    execution: Execution | None = Field(description="The first refresh, which was started at once")
    not_started: str | None = Field(None, description="Why no refresh was started; null when one was")


class FirstRunApi(Api):
    """The first run of a new installation, for Confluence administrators."""

    def __init__(self, parts: Parts, access: Access, lookups: Lookups, presenter: Presenter) -> None:
        super().__init__(parts, access, lookups, presenter)
        self._glances: Cache[tuple[TenantId, int], FirstRun] = Cache(parts.clock, most=200, lasts=REMEMBERED)

    @operation("GET", "/first-run", answers={200: FirstRun}, problems=(401, 403, 503), name="get_first_run")
    def get(self, caller: Caller) -> FirstRun:
        """Return what the first run would find and cost: counts and spaces, read at a glance."""
        self._access.site(caller)
        pending, version, document = self._state(caller.tenant_id)
        known = self._glances.get((caller.tenant_id, version))
        glance = known.value if known is not None else self._glance(caller.tenant_id, document)
        self._glances.put((caller.tenant_id, version), glance)
        return glance.model_copy(update={"pending": pending})

    @operation(
        "POST",
        "/first-run",
        body=ConfirmFirstRun,
        answers={200: Confirmed},
        problems=(400, 401, 403, 409, 412, 413, 415, 422, 503),
        name="confirm_first_run",
    )
    def confirm(self, caller: Caller, *, body: ConfirmFirstRun) -> Confirmed:
        """Let a new installation begin with all spaces or with the named ones, and start its first refresh."""
        viewer = self._access.site(caller, write=True)
        pending, version, document = self._state(caller.tenant_id)
        if not pending:
            raise _confirmed_before()
        with self._parts.confluence.client(caller.tenant_id) as client:
            spaces = [] if body.spaces == "all" else with_labels(client, client.spaces(), document)
            zone = _zone(client)
        changes: dict[str, object] = {"schedules": document.schedules.model_copy(update={"hold": Hold()})}
        if body.spaces != "all":
            changes["included_spaces"] = _chosen(document, spaces, body.spaces)
        document = self._parts.policies.in_zone(caller.tenant_id, document.model_copy(update=changes), zone)
        checked = self._parts.policies.check(document)
        with self._parts.db.write(caller.tenant_id) as session:
            lane = queries.lane(session, caller.tenant_id)
            if lane is None or not lane.first_run:
                raise _confirmed_before()
            version = self._store(session, caller, checked, version)
            self._parts.engine.confirm_first_run(session, caller.tenant_id, caller.account_id)
            confirmed = Confirmed(pending=False, policy_version=version, execution=None)
            try:
                row = self._parts.engine.start(
                    session,
                    StartRequest(
                        tenant_id=caller.tenant_id, job_type=FIRST_JOB, scope="site", started_by=caller.account_id
                    ),
                )
            except (NotAdmitted, JobRefused) as error:
                confirmed.not_started = error.reason
            else:
                confirmed.execution = self._presenter.execution(session, row, viewer)
        return confirmed

    def _state(self, tenant_id: TenantId) -> tuple[bool, int, PolicyDocument]:
        with self._parts.db.read(tenant_id) as session:
            lane = queries.lane(session, tenant_id)
            version, document = self._parts.policies.current(session, tenant_id)
        return lane is None or lane.first_run, version, document

    def _glance(self, tenant_id: TenantId, document: PolicyDocument) -> FirstRun:
        with self._parts.confluence.client(tenant_id) as client:
            spaces = with_labels(client, client.spaces(), document)
            reasons = {space.key: document.exclusion(space) for space in spaces}
            included = [space for space in spaces if reasons[space.key] is None]
            estimate = estimated(client, document, included, self._spelling(tenant_id, client))
            archive = _no_archive(client)
        hours = estimate.points // self._parts.settings.quota_points
        known = [count for count in estimate.counts.values() if count is not None]
        return FirstRun(
            pending=True,
            counts=[
                StatusCount(status=each.id, name=each.name, contents=estimate.counts[each.id])
                for each in reversed(document.statuses)
                if each.id in estimate.counts
            ],
            contents=sum(known) if len(known) == len(estimate.counts) else None,
            spaces=[
                SpaceChoice(
                    key=space.key, name=space.name, included=reasons[space.key] is None, reason=reasons[space.key]
                )
                for space in spaces
            ],
            spaces_included=len(included),
            spaces_excluded=len(spaces) - len(included),
            rules_on=sum(each.enabled for scheme in document.notification_schemes for each in scheme.rules),
            automations_on=sum(each.enabled for scheme in document.automation_schemes for each in scheme.automations),
            estimated_points=len(spaces) + estimate.points,
            estimated_minutes=hours * 60 + max(1, math.ceil(estimate.writes / WRITES_A_MINUTE)),
            mail=self._no_mail(tenant_id),
            archive=archive,
        )

    def _spelling(self, tenant_id: TenantId, client: SiteClient) -> Spelling:
        """Return how negations are put to the site, which no refresh has asked yet how it reads them."""
        namespace = self._parts.settings.namespace
        with self._parts.db.read(tenant_id) as session:
            slugs = self._parts.policies.slugs(session, tenant_id)
        return first_spelling(client, namespace, slugs)

    def _no_mail(self, tenant_id: TenantId) -> str | None:
        with self._parts.db.read(tenant_id) as session:
            try:
                self._parts.engine.jobs["send-notifications"].admit(session, tenant_id)
            except JobRefused as error:
                return error.reason
        return None


def _confirmed_before() -> Problem:
    return Problem(
        409, "first-run-confirmed", "Nothing more needs to be confirmed. Change the included spaces in the policies."
    )


def _zone(client: SiteClient) -> str | None:
    """Return the site's own time zone, None where it does not say one that is known here."""
    try:
        zone = client.system_info().time_zone
    except SiteError as error:
        log.info("the site's time zone is unknown", action="zone_unknown", error=str(error))
        return None
    return zone if zone in zone_names() else None


def _no_archive(client: SiteClient) -> str | None:
    try:
        edition = client.system_info().edition
    except SiteError as error:
        log.info("the site's edition is unknown", action="edition_unknown", error=str(error))
        return "Confluence did not say which plan this site has: on the Free plan pages cannot be archived."
    if edition == "free":
        return "This site is on Confluence's Free plan, where pages cannot be archived: automations skip them."
    return None


def _chosen(document: PolicyDocument, spaces: Sequence[Space], chosen: Sequence[str]) -> tuple[Selector, ...]:
    """Return the selectors of the chosen spaces. Raises Problem 422 on a space not to be had."""
    included = {space.key for space in spaces if document.exclusion(space) is None}
    errors = [
        FieldError(f"/spaces/{position}", f"The space {key} is excluded, archived or not visible to Content Steward.")
        for position, key in enumerate(chosen)
        if key not in included
    ]
    if errors:
        raise Problem(422, "invalid", "Not every chosen space can be started with.", errors=errors)
    return tuple(Selector(key=key) for key in sorted(set(chosen)))


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a first refresh would find and cost: items by status (None: unknown), stamps to write, points."""

    counts: Mapping[str, int | None]
    writes: int
    points: int


def estimated(client: SiteClient, document: PolicyDocument, spaces: Sequence[Space], spelling: Spelling) -> Estimate:
    """Return the estimate for `spaces`, each by the status scheme that it has. `spelling`: how negations are put.

    Where the site does not read them as meant, what a scheme with conditions would find is not counted at a glance.
    """
    default = next(scheme for scheme in document.status_schemes if scheme.default)
    of_scheme: dict[str, list[Space]] = {} if spaces else {default.id: []}
    for space in spaces:
        of_scheme.setdefault(document.status_scheme(space).id, []).append(space)
    counts: dict[str, int | None] = {}
    writes = points = 0
    for scheme in document.status_schemes:
        own = of_scheme.get(scheme.id)
        if own is None:
            continue
        found = _unknown(scheme) if spelling == "pieces" else _counts(client, scheme, own)
        stamped = sum(found[entry.status] or 0 for entry in scheme.entries[:-1])
        writes += stamped
        points += math.ceil(len(own) / MOST_SPACES) * POINTS_AN_ENTRY * len(scheme.entries) + stamped * POINTS_A_WRITE
        for slug, number in found.items():
            before = counts.get(slug, 0)
            counts[slug] = None if number is None or before is None else before + number
    return Estimate(counts, writes, points)


def _counts(client: SiteClient, scheme: StatusScheme, spaces: Sequence[Space]) -> dict[str, int | None]:
    """Return how many pages and posts of `spaces` would have each status of `scheme`; None where unknown."""
    wanted: dict[str, str | None] = {}
    earlier: list[str] = []
    for entry in scheme.entries[:-1]:
        matching = any_of(with_not(entry.cql) if entry.cql is not None else None)
        wanted[entry.status] = all_of(matching, none_of(*earlier))
        earlier.append(matching)
    longest = max((encoded_length(cql) for cql in wanted.values() if cql), default=0)
    groups = list(group_spaces(spaces, longest))
    if len(groups) > MOST_GROUPS:
        return _unknown(scheme)
    try:
        total = sum(client.count(in_spaces(group)) for group in groups)
        counts = {
            status: sum(client.count(in_spaces(group, cql)) for group in groups) for status, cql in wanted.items()
        }
    except SiteError as error:
        log.info("the first run's counts are left out", action="counts_left_out", error=str(error))
        return _unknown(scheme)
    return {**counts, scheme.default_status: max(0, total - sum(counts.values()))}


def _unknown(scheme: StatusScheme) -> dict[str, int | None]:
    return dict.fromkeys((entry.status for entry in scheme.entries), None)
