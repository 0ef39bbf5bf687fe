"""The measured cases, in their order, and the target of each figure.

All on one large site, except the one with personal spaces: each case leaves the site as the next one expects it. What
happens between two cases (a new scheme, items that were closed) is settled by runs that are not shown; they are
compared with the plain model all the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.benchmarks.changes import change_some, close_some, label_sections, open_again
from tests.benchmarks.model import FRESHNESS, Wrong, below, either, older_than, stamped
from tests.benchmarks.profile import Profile
from tests.benchmarks.table import Row
from tests.benchmarks.world import Ran, World, world_of

GROUP = 50
"""Spaces asked for in one query (docs/rules/statuses.md 5.4)."""
LAG = 600.0
"""Seconds of index lag, below the quarter of an hour the add-on allows for."""
LABEL = "retired"
SCHEME_OF_FIVE: list[tuple[str, str]] = [
    ("front-page", 'title ~ "home"'),
    ("expired", ""),
    ("not-updated", ""),
    ("old-news", 'type = blogpost AND creator = "u-writer-1"'),
]
"""Status and CQL of the entries but the last; those without CQL keep the shipped one."""


class Cases:
    """The cases on the large site, one after the other. Each method yields or returns rows."""

    def __init__(self, world: World, profile: Profile) -> None:
        self._world = world
        self._profile = profile
        self._idle = Ran(0, 0, 0, 0.0)
        self._groups = math.ceil(profile.spaces / GROUP)
        self._one_percent = profile.contents // 100

    def rows(self) -> Iterator[Row]:
        """Yield the rows in their order."""
        yield self._first()
        yield from self._nothing_changed()
        yield self._statuses(3, self._idle)
        yield self._some_changed("1 % of the items changed status")
        yield self._lagging()
        yield from self._inherited()
        yield self._five_statuses()
        closed = close_some(self._world.site, self._profile.contents * 3 // 100)
        yield self._read_only(closed)
        open_again(self._world.site, closed)
        self._world.read_only = ()
        yield from self._exclusive()

    def _first(self) -> Row:
        case = "first refresh, 20 % non-default"
        ran = self._world.refresh(case)
        return self._row(case, ran, round(ran.points / self._profile.contents, 5), "points per item", 0.45, "first")

    def _nothing_changed(self) -> Iterator[Row]:
        case = "idle, nothing changed"
        ran = self._idle = self._world.refresh(case)
        _unchanged(case, ran)
        yield self._row(case, ran, ran.points, "points", 40)
        yield self._row(f"{case}: calls", ran, ran.calls, "calls", 40)

    def _statuses(self, number: int, ran: Ran) -> Row:
        most = 2 + self._groups * (2 * (number - 1) + 2)
        return self._row(f"idle, {number} statuses", ran, ran.calls, "calls", most)

    def _some_changed(self, case: str) -> Row:
        change_some(self._world.site, self._one_percent)
        ran = self._world.refresh(case)
        if ran.changed != self._one_percent:
            raise Wrong(f"{case}: {ran.changed} items changed, {self._one_percent} should have")
        above = (ran.points - self._idle.points) / ran.changed
        return self._row(case, ran, round(above, 3), "points per change above idle", 2.1, "changed")

    def _lagging(self) -> Row:
        """Run while search does not see the edits' stamps yet, and once more when it does."""
        case = f"index lag {LAG:g} s: 1 % changed, run, run again at once, run after the lag"
        world, site = self._world, self._world.site
        before = stamped(site)
        site.index_lag = LAG
        change_some(site, self._one_percent)
        world.house.clock.advance(LAG)
        ran = world.refresh(case)
        again = world.refresh(case, later=timedelta(0))
        world.house.clock.advance(LAG)
        settled = world.refresh(case, later=timedelta(0))
        site.index_lag = 0
        after = stamped(site)
        written = sum(version - before.get(id, ("", 0))[1] for id, (_, version) in after.items())
        if (ran.changed, again.changed, settled.changed, written) != (self._one_percent, 0, 0, self._one_percent):
            changes = f"{ran.changed}, then {again.changed}, then {settled.changed}"
            raise Wrong(f"{case}: {changes} changed and {written} stamps written for {self._one_percent} changes")
        total = Ran(
            ran.changed,
            ran.points + again.points + settled.points,
            ran.calls + again.calls + settled.calls,
            round(ran.seconds + again.seconds + settled.seconds, 1),
        )
        row = self._row(case, total, written, "stamps written for as many changes", self._one_percent)
        return replace(row, like=None)

    def _inherited(self) -> Iterator[Row]:
        """Let the first section of each space hand "expired" down to what is below it."""
        world = self._world
        found = label_sections(world.site, LABEL)
        case = f"idle, {found} items match an ancestor CQL"
        shipped = _entries(world)

        def inherit(document: dict[str, Any]) -> None:
            _scheme(document)["entries"][0]["ancestorCql"] = f'label = "{LABEL}"'

        self._settle(inherit, (("expired", either(older_than(730), below(LABEL))), FRESHNESS[1]))
        ran = world.refresh(case)
        _unchanged(case, ran)
        self._settle(lambda document: _scheme(document).update(entries=shipped), FRESHNESS)
        calls = math.ceil(found / 200)
        more = ran.points - self._idle.points, ran.calls - self._idle.calls
        # Each further call costs its one point as well.
        yield self._row(case, ran, more[0], "points above idle", found + calls)
        yield self._row(f"{case}: calls", ran, more[1], "calls above idle", calls)

    def _five_statuses(self) -> Row:
        world = self._world
        shipped = _entries(world)
        cql = {entry["status"]: entry.get("cql") for entry in shipped}
        fresh = [slug for slug, _ in SCHEME_OF_FIVE if slug not in cql]

        def extend(document: dict[str, Any]) -> None:
            like = document["statuses"][-1]
            document["statuses"] += [like | {"id": slug, "name": slug.replace("-", " ").title()} for slug in fresh]
            entries = [{"status": slug, "cql": own or cql[slug]} for slug, own in SCHEME_OF_FIVE]
            _scheme(document)["entries"] = [*entries, shipped[-1]]

        self._settle(
            extend,
            (
                ("front-page", lambda _site, content: content.title.endswith(" home")),
                *FRESHNESS,
                ("old-news", lambda _, content: content.kind == "blogpost" and content.author_id == "u-writer-1"),
            ),
        )
        ran = world.refresh("idle, 5 statuses")
        _unchanged("idle, 5 statuses", ran)
        row = self._statuses(5, ran)
        self._settle(lambda document: _scheme(document).update(entries=shipped), FRESHNESS)
        return row

    def _read_only(self, closed: list[str]) -> Row:
        """Let one run find out what it may not write; then nothing more is to be paid for it."""
        case = "idle, 3 % read-only for the app"
        world = self._world
        world.read_only = frozenset(closed)
        world.refresh(f"{case}: the run before")
        ran = world.refresh(case)
        _unchanged(case, ran)
        return self._row(case, ran, ran.points, "points", 40)

    def _exclusive(self) -> Iterator[Row]:
        """Turn the site into one where `!=` finds only what has the property; the add-on probes once a week."""
        case = 'idle, exclusive "!="'
        world = self._world
        world.site.negation = "exclusive"
        world.house.clock.advance(timedelta(days=8))
        world.refresh(f"{case}: the run before")
        ran = world.refresh(case)
        _unchanged(case, ran)
        yield self._above_idle(case, ran, 1.5)
        changed = self._some_changed('1 % changed, exclusive "!="')
        yield replace(changed, most=None)

    def _settle(self, change: Any, scheme: Any) -> None:
        self._world.change_policies(change)
        self._world.scheme = scheme
        self._world.refresh("after a change of the scheme")

    def _above_idle(self, case: str, ran: Ran, most: float) -> Row:
        return self._row(case, ran, round(ran.points / self._idle.points, 3), "x the idle row", most)

    def _row(self, case: str, ran: Ran, figure: float, unit: str, most: float | None, like: str = "idle") -> Row:
        contents = self._profile.contents
        return Row(case, contents, ran.changed, ran.points, ran.calls, figure, unit, most, ran.seconds, like)


def large_site(profile: Profile) -> Iterator[Row]:
    """Measure all cases of the large site. Raises Wrong at the first thing that is not right."""
    with world_of(profile.contents, profile.spaces) as world:
        yield from Cases(world, profile).rows()


def with_personal_spaces(profile: Profile) -> list[Row]:
    """Measure an idle refresh of a site most of whose spaces are personal, which the shipped policies exclude."""
    contents, common, personal = profile.crowd
    case = f"idle, {common} shared + {personal:,} personal spaces"
    with world_of(contents, common, personal=personal) as world:
        world.refresh(f"{case}: the run before")
        ran = world.refresh(case)
    _unchanged(case, ran)
    return [Row(case, contents, ran.changed, ran.points, ran.calls, ran.points, "points", 300, ran.seconds, "crowd")]


def _entries(world: World) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = _scheme(world.house.api("GET", "/api/policies").json())["entries"]
    return entries


def _scheme(document: dict[str, Any]) -> dict[str, Any]:
    """Return the scheme that all spaces have."""
    return next(scheme for scheme in document["statusSchemes"] if scheme["default"])


def _unchanged(case: str, ran: Ran) -> None:
    if ran.changed:
        raise Wrong(f"{case}: {ran.changed} items changed, none should have")
