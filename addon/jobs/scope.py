"""Which spaces does a run work on, and which of them take part now?

The list is fixed at the start. Schemes come from the policy version the run started with, exclusion alone is read
live: a space excluded meanwhile is skipped when its turn comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from addon.base import Space
from addon.confluence import SiteClient
from addon.engine.job import Run, RunSpace
from addon.jobs.census import taking_part
from addon.jobs.faults import reason_of
from addon.jobs.standing import labelled
from addon.policies import PolicyDocument

GONE = "no longer visible or deleted"


@dataclass(frozen=True, slots=True)
class Member:
    """A space of the run with what the site says of it, or the reason why it takes no part."""

    run_space: RunSpace
    space: Space
    skip: str | None = None


def list_spaces(run: Run, client: SiteClient, live: PolicyDocument) -> list[RunSpace]:
    """Return the spaces of a run: all current ones but the excluded, or the one of a space-scope run.

    Of a retry the engine keeps what its predecessor left undone; for it (and for a single space) excluded spaces are
    listed as skipped with the reason, so that nothing disappears without a word. Raises what the call raises.
    """
    named = run.scope == "space" or run.trigger == "retry" or "spaces" in run.params
    if run.scope == "space":
        assert run.space_id is not None
        shown = client.spaces(ids=[run.space_id])
        if not shown:
            key = run.space_key or run.space_id
            return [RunSpace(run.space_id, key, key, state="skipped", reason=GONE)]
    elif named:
        shown = client.spaces()
    else:
        shown = taking_part(run, client, live)
    listed = [_run_space(space, live.exclusion(space)) for space in labelled(client, shown, live)]
    return [space for space in listed if named or space.state != "skipped"]


def members(client: SiteClient, live: PolicyDocument, own: PolicyDocument, spaces: Sequence[RunSpace]) -> list[Member]:
    """Return each of `spaces` with its skip reason, if it has one: excluded meanwhile.

    Exclusion is that of the `live` policies, schemes are those of the run's `own`. Asks the site only when either needs
    what the run's list does not hold (labels).
    """
    plain = [Space(space.id, space.key, space.name, space.type) for space in spaces]
    seen = labelled(client, plain, live, own)
    return [Member(listed, space, live.exclusion(space)) for listed, space in zip(spaces, seen, strict=True)]


def skip(run: Run, found: Sequence[Member]) -> list[Member]:
    """End the spaces that take no part as skipped; return the others."""
    skipped = [member for member in found if member.skip is not None]
    if skipped:
        with run.write() as session:
            for member in skipped:
                run.skipped(session, member.run_space, member.skip or "")
    return [member for member in found if member.skip is None]


def vanished(client: SiteClient, space: RunSpace) -> bool:
    """Return whether the site does not show `space` (any more); asked when a space's queries fail."""
    try:
        return not client.spaces(ids=[space.id])
    except Exception as error:  # noqa: BLE001  (what concerns the run is raised; else the first failure stands)
        reason_of(error)
        return False


def _run_space(space: Space, exclusion: str | None) -> RunSpace:
    state = "pending" if exclusion is None else "skipped"
    return RunSpace(id=space.id, key=space.key, name=space.name, type=space.type, state=state, reason=exclusion)
