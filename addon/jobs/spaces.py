"""The spaces of a run: the list made at its start, what of it takes part when its turn comes, and what has gone.

The list is fixed. Schemes come from the policy version the run started with, exclusion alone is read live: a space
excluded meanwhile is skipped when its turn comes. The policies decide both from a space's key, type and labels, and
refuse to for a space whose labels were never asked for; `with_labels` is the one place that asks for them.

A space that the site no longer shows is skipped with the reason that people read. One run reports it: the one during
which it went, or the next full run of the same kind after it. From then on it is on no list (docs/adr/0022).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from addon.base import Clock, Space
from addon.confluence import SiteClient
from addon.engine import queries
from addon.engine.job import ARCHIVED, MISSING, UNSEEN, Run, RunSpace
from addon.jobs.census import still_counted, taking_part
from addon.jobs.counting import Counting
from addon.jobs.faults import reason_of
from addon.policies import PolicyDocument

FRESH = timedelta(minutes=1)
"""How long after its start a run's list is not doubted."""
NAMED = 250
"""So many spaces fit into one call that names them; more are found in the listing of all spaces of a label."""


@dataclass(frozen=True, slots=True)
class Member:
    """A space of the run with what the site says of it, or the reason why it takes no part."""

    run_space: RunSpace
    space: Space
    skip: str | None = None


class Absent(Exception):
    """Some spaces that were to be read are not there. `reasons`: why, by space id."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__("spaces are gone")
        self.reasons = reasons


@dataclass(frozen=True, slots=True)
class Presence:
    """Finds out which spaces of one run went since it began, when their turn comes. For call threads."""

    client: SiteClient
    counting: Counting
    clock: Clock
    began: datetime

    def require(self, spaces: Sequence[RunSpace]) -> None:
        """Raise Absent when some of `spaces` are not to be seen now; SiteError as the calls do.

        Costs nothing in a run's first minute, then a point for some two hundred spaces while all of them are there.
        """
        if self.clock.now() - self.began < FRESH or still_counted(self.counting, spaces) == len(spaces):
            return
        reasons = absent(self.client, [space.id for space in spaces])
        if reasons:
            raise Absent(reasons)


def list_spaces(run: Run, client: SiteClient, live: PolicyDocument) -> list[RunSpace]:
    """Return the spaces of a run: all current ones but the excluded, or the one of a space-scope run.

    A retry asks the site for its own spaces only. For it and for a single space excluded spaces are listed as skipped
    with the reason. In every run what the last one worked on and the site shows no more is skipped with the reason, so
    that nothing disappears without a word (docs/adr/0022). Raises what the call raises.
    """
    if run.scope == "space":
        assert run.space_id is not None
        key = run.space_key or run.space_id
        return _named(client, live, [RunSpace(run.space_id, key, key)])
    if "spaces" in run.params:
        return _named(client, live, [RunSpace(space_id, space_id, "") for space_id in run.params["spaces"]])
    shown = taking_part(run, client, live)
    listed = [_run_space(space, live.exclusion(space)) for space in with_labels(client, shown, live)]
    here = {space.id for space in shown}
    strange = _named(client, live, [space for space in _worked_on_before(run) if space.id not in here])
    return [space for space in (*listed, *strange) if space.state != "skipped" or space.reason in UNSEEN]


def _named(client: SiteClient, live: PolicyDocument, spaces: Sequence[RunSpace]) -> list[RunSpace]:
    """Return `spaces` as the site shows them, asked by id: pending, or skipped with the reason."""
    if not spaces:
        return []
    shown = {space.id: space for space in with_labels(client, client.spaces(ids=[space.id for space in spaces]), live)}
    reasons = why_absent(client, [space.id for space in spaces if space.id not in shown])
    return [
        _run_space(shown[space.id], live.exclusion(shown[space.id]))
        if space.id in shown
        else replace(space, state="skipped", reason=reasons[space.id])
        for space in spaces
    ]


def members(client: SiteClient, live: PolicyDocument, own: PolicyDocument, spaces: Sequence[RunSpace]) -> list[Member]:
    """Return each of `spaces` with its skip reason, if it has one: excluded meanwhile.

    Exclusion is that of the `live` policies, schemes are those of the run's `own`. Asks the site only when either needs
    what is not in the run's list (labels).
    """
    plain = [Space(space.id, space.key, space.name, space.type) for space in spaces]
    seen = with_labels(client, plain, live, own)
    return [Member(listed, space, live.exclusion(space)) for listed, space in zip(spaces, seen, strict=True)]


def with_labels(client: SiteClient, spaces: Sequence[Space], *documents: PolicyDocument) -> list[Space]:
    """Return `spaces` with those of their labels that any of `documents` asks for.

    Costs nothing where no selector is a label, else a call for each such label and a point for each space it finds.
    Raises what the calls raise.
    """
    wanted = sorted(frozenset[str]().union(*(document.labels_asked for document in documents)))
    if not spaces:
        return []
    # No listing shows labels, so the spaces of each label are asked for. Past NAMED all spaces of the label are listed,
    # which costs points for spaces that were not asked about and is still one listing instead of many calls.
    ids = [space.id for space in spaces] if len(spaces) <= NAMED else None
    found: dict[str, set[str]] = {}
    for label in wanted:
        for space in client.spaces(ids=ids, labels=[label]):
            found.setdefault(space.id, set()).add(label)
    return [replace(space, labels=frozenset(found.get(space.id, ()))) for space in spaces]


def skip(run: Run, found: Sequence[Member]) -> list[Member]:
    """End the spaces that take no part as skipped; return the others."""
    skipped = [member for member in found if member.skip is not None]
    if skipped:
        with run.write() as session:
            for member in skipped:
                run.skipped(session, member.run_space, member.skip or "")
    return [member for member in found if member.skip is None]


def vanished(client: SiteClient, space: RunSpace) -> str | None:
    """Return why the site does not show `space` (any more), None when it does; asked when a space's queries fail."""
    try:
        return absent(client, [space.id]).get(space.id)
    except Exception as error:  # noqa: BLE001  (what concerns the run is raised; else the first failure counts)
        reason_of(error)
        return None


def presence(run: Run, client: SiteClient, counting: Counting) -> Presence:
    """Return the presence of a run's spaces, for which `counting` counts."""
    with run.read() as session:
        began = queries.started_at(session, run.execution_id)
    return Presence(client, counting, run.clock, began)


def absent(client: SiteClient, ids: Sequence[str]) -> dict[str, str]:
    """Return {space id: reason} of those spaces that the site does not show as current. Raises as the calls do."""
    shown = {space.id for space in client.spaces(ids=ids)} if ids else set()
    return why_absent(client, [space_id for space_id in ids if space_id not in shown])


def why_absent(client: SiteClient, ids: Sequence[str]) -> dict[str, str]:
    """Return {space id: reason} of spaces that the site does not show as current. Raises as the calls do."""
    archived = {space.id for space in client.spaces(ids=ids, status="archived")} if ids else set()
    return {space_id: ARCHIVED if space_id in archived else MISSING for space_id in ids}


def _run_space(space: Space, exclusion: str | None) -> RunSpace:
    state = "pending" if exclusion is None else "skipped"
    return RunSpace(id=space.id, key=space.key, name=space.name, type=space.type, state=state, reason=exclusion)


def _worked_on_before(run: Run) -> list[RunSpace]:
    """Return the spaces that the last full run of the same kind was to work on and that no run has reported since."""
    with run.read() as session:
        return queries.last_worked_on(session, run)
