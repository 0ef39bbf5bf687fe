"""The status overview: spaces, statuses and the CQL of each cell, but never a number.

The numbers are the viewer's: the browser asks Confluence as the person who looks (docs/adr/0016). Here is only what
the policies and the runs say: each space's statuses, the CQL of each cell, when a space was last refreshed, and which
spaces are left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints
from sqlalchemy.orm import Session

from addon.base import Caller, Space, TenantId
from addon.confluence import READ_AGE
from addon.confluence.cql import in_spaces, none_of, quote, values
from addon.engine import queries
from addon.jobs import count_seen, negation_of_site
from addon.jobs.statuses import status_alias
from addon.parts import Parts
from addon.policies import PolicyDocument
from addon.screens import schemas
from addon.screens.access import Access
from addon.screens.api.base import Api
from addon.screens.api.executions.presenter import Presenter
from addon.screens.lookups import Lookups
from addon.screens.operations import operation
from addon.screens.problems import Problem
from addon.screens.times import site_zone

MOST = 20
"""Spaces of one page."""
RUNS = 25
"""Refreshes looked at for when a space was refreshed: with four a day, those of the last six days."""
JOB = "refresh-statuses"
_KEY = r"[A-Za-z0-9~_:.\-]{1,255}"
Keys = Annotated[str, StringConstraints(pattern=rf"^{_KEY}(,{_KEY}){{0,{MOST - 1}}}$", max_length=5200)]
_UNSEEN = "not tracked: Content Steward cannot see this space. It is archived, or the app has no access to it"
MOST_IDS = 1000
"""Items that one question about what the app sees may name."""


class OverviewQuery(schemas.InSpace):
    """Which spaces, as the viewer's browser listed them; a space's own screen names none."""

    keys: Keys | None = None


class SeenBody(schemas.Body):
    """Items of one space that the viewer sees."""

    space_key: schemas.SpaceKey | None = Field(None, description="The space whose screen this is; null on the site's")
    key: schemas.SpaceKey = Field(description="The space that holds them")
    ids: Annotated[list[Annotated[str, StringConstraints(pattern=r"^[0-9]{1,20}$")]], Field(max_length=MOST_IDS)]


class Seen(schemas.Model):
    """How many of the named items the app sees; the others are not tracked."""

    seen: int


class Cell(schemas.Model):
    """One status of one space. The default's number is what the others leave of the total."""

    status: str
    default: bool
    cql: str | None = Field(description="Finds these pages and posts; null where this site's CQL cannot say it")


class OverviewSpace(schemas.Model):
    """One row."""

    key: str
    name: str
    type: str
    note: str | None = Field(description="Why there are no numbers: excluded by rule, or not visible to the app")
    refreshed_at: datetime | None = Field(description="Null: none of the last refreshes has done it")
    scheme: str | None
    tracked: bool = Field(description="False: the app cannot see the space, so nothing in it is tracked")
    total: str | None = Field(description="CQL of all its pages and blog posts; null for an excluded space")
    others: str | None = Field(None, description="CQL of those with another status than the default; null without any")
    cells: list[Cell]


class Overview(schemas.Model):
    """What to ask Confluence, and how to show it."""

    stamps: bool = Field(description="False: statuses are kept by Content Steward alone and cannot be searched")
    refreshed_at: datetime | None = Field(description="When the last refresh of this scope ended; null: none yet")
    site_url: str
    time_zone: str
    statuses: list[schemas.StatusInfo] = Field(description="The columns, in the order of the policies")
    items: list[OverviewSpace]


class OverviewApi(Api):
    """The status overview of the site, or of one space."""

    def __init__(self, parts: Parts, access: Access, lookups: Lookups, presenter: Presenter) -> None:
        super().__init__(parts, access, lookups, presenter)
        self._alias = status_alias(parts.settings.namespace)

    @operation("GET", "/overview", query=OverviewQuery, answers={200: Overview}, problems=(401, 403, 422, 503))
    def overview(self, caller: Caller, *, query: OverviewQuery) -> Overview:
        """Return the statuses of the named spaces (at most 20), or of the one space, with the CQL of every count."""
        viewer = self._access.scope(caller, query.space_key)
        if viewer.space is not None and query.keys is not None:
            raise Problem(422, "invalid", "A space's own overview is about that space: name no others.")
        keys = [] if query.keys is None else list(dict.fromkeys(query.keys.split(",")))
        spaces: dict[str, Space | None] = (
            self._lookups.spaces(caller.tenant_id, keys, READ_AGE)
            if viewer.space is None
            else {viewer.space.key: viewer.space}
        )
        with self._parts.confluence.client(caller.tenant_id) as client:
            site_url = client.site_url
        with self._parts.db.read(caller.tenant_id) as session:
            _, policies = self._parts.policies.current(session, caller.tenant_id)
        shown = [space for space in spaces.values() if space is not None]
        seen = self._lookups.labelled(caller.tenant_id, shown, policies, READ_AGE)
        spaces.update({space.key: space for space in seen})
        with self._parts.db.read(caller.tenant_id) as session:
            refreshed, last = self._refreshed(session, caller.tenant_id, seen)
            exclusive = negation_of_site(session) == "exclusive"
        rows = [self._row(policies, key, space, refreshed, exclusive) for key, space in spaces.items()]
        return Overview(
            stamps=policies.status_stamps,
            refreshed_at=last if viewer.space is None else refreshed.get(viewer.space.id),
            site_url=site_url,
            time_zone=site_zone(policies),
            statuses=_columns(policies, seen),
            items=rows,
        )

    @operation(
        "POST",
        "/overview/seen",
        body=SeenBody,
        answers={200: Seen},
        problems=(400, 401, 403, 413, 415, 422, 503),
        name="overview_seen",
    )
    def seen(self, caller: Caller, *, body: SeenBody) -> Seen:
        """Return how many of the items that the viewer sees the app sees too: a point for some 400 of them.

        What the app does not see has no status, so it must not be counted as having the default one.
        """
        viewer = self._access.scope(caller, body.space_key)
        if viewer.space is not None and viewer.space.key != body.key:
            raise Problem(422, "invalid", "A space's own overview is about that space: name no other.")
        with self._parts.confluence.client(caller.tenant_id) as client:
            seen = count_seen(client, body.key, body.ids)
        return Seen(seen=min(seen, len(body.ids)))

    def _refreshed(
        self, session: Session, tenant_id: TenantId, spaces: Collection[Space]
    ) -> tuple[dict[str, datetime], datetime | None]:
        """Return when each space (by id) was last refreshed, and when a refresh of the site last ended."""
        runs, _ = queries.history(session, tenant_id, job=JOB, limit=RUNS)
        ended = [row.ended_at for row in runs if row.scope == "site" and row.ended_at and row.status != "cancelled"]
        done = queries.done_at(session, [row.id for row in runs], [space.id for space in spaces])
        return done, max(ended, default=None)

    def _row(
        self,
        policies: PolicyDocument,
        key: str,
        space: Space | None,
        refreshed: Mapping[str, datetime],
        exclusive: bool,
    ) -> OverviewSpace:
        note = _UNSEEN if space is None else policies.exclusion(space)
        if space is None or note is not None:
            name, kind = (space.name, space.type) if space else (key, "unknown")
            return OverviewSpace(
                key=key,
                name=name,
                type=kind,
                note=note,
                refreshed_at=None,
                scheme=None,
                tracked=space is not None,
                total=in_spaces([key]) if space is None else None,
                cells=[],
            )
        scheme = policies.status_scheme(space)
        others = [entry.status for entry in scheme.entries if entry.status != scheme.default_status]
        cells = [
            Cell(status=slug, default=False, cql=in_spaces([space], f"{self._alias} = {quote(slug)}"))
            for slug in others
        ]
        # Where negation leaves out what has no stamp, no short CQL finds the default: then there is no link.
        rest = (
            None if exclusive else in_spaces([space], none_of(f"{self._alias} in {values(others)}") if others else None)
        )
        cells.append(Cell(status=scheme.default_status, default=True, cql=rest))
        return OverviewSpace(
            key=space.key,
            name=space.name,
            type=space.type,
            note=None,
            refreshed_at=refreshed.get(space.id),
            scheme=scheme.name,
            tracked=True,
            total=in_spaces([space]),
            others=in_spaces([space], f"{self._alias} in {values(others)}") if others else None,
            cells=cells,
        )


def _columns(policies: PolicyDocument, spaces: Collection[Space]) -> list[schemas.StatusInfo]:
    """Return the statuses of the spaces' schemes (of the default one without spaces), as the policies order them."""
    included = [policies.status_scheme(space) for space in spaces if policies.exclusion(space) is None]
    schemes = included or [next(scheme for scheme in policies.status_schemes if scheme.default)]
    used = {entry.status for scheme in schemes for entry in scheme.entries}
    return [
        schemas.StatusInfo(id=each.id, name=each.name, colour=each.colour)
        for each in policies.statuses
        if each.id in used
    ]
