"""The census: the spaces of a site, for the fewest points. A listed space costs a point, also one that is excluded.

The spaces are listed once a day and remembered. In between search counts them: all, and those that were listed. They
are listed at once where one of the two numbers differs from that at the listing, a webhook has named a space since, or
the policies name a key that was never looked for. Where search does not count spaces, they are listed at every start.

Where whole types are excluded (personal spaces, by the shipped rule) and there are many of them, only the other types
are listed. All spaces are listed once a week, so that a type unknown to us is missed for a week at most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import Space, TenantId, chunks, insert, within
from addon.confluence import HintKind, SiteClient, hints_since
from addon.confluence.cql import all_of, encoded_length, group_spaces, values
from addon.engine.job import Run, RunSpace
from addon.jobs import site_facts
from addon.jobs.counting import Counting, total
from addon.jobs.models import SiteSpace, SpaceListing
from addon.jobs.site_facts import SiteFacts
from addon.policies import PolicyDocument

NEGATION_TYPES = ("global", "collaboration", "knowledge_base", "personal", "system", "onboarding", "xflow_sample_space")
"""The types that Confluence lists on their own (docs/rules/confluence-api.md 2.1)."""
DAY = timedelta(hours=23)
"""Four refreshes a day: the first that begins so long after a listing lists."""
WEEK = timedelta(days=7)
WORTH = 25
"""So many excluded spaces more than listings by type cost are worth listing by type."""
EVERY_SPACE = "type = space"
SPACES_ONLY: tuple[HintKind, ...] = ("space",)
_BATCH = 500


@dataclass(frozen=True, slots=True)
class _Remembered:
    """The last listing. `hinted`: whether a webhook has named a space since."""

    listed_at: datetime
    types: list[str]
    counts: tuple[int | None, int | None]
    spaces: list[Space]
    hinted: bool


def taking_part(run: Run, client: SiteClient, live: PolicyDocument) -> list[Space]:
    """Return all current spaces but those that are excluded for their type. Raises what the calls raise.

    `live`: the newest policies. A space that is gone may still be among them: search may not know yet, so each is
    looked for when its turn comes.
    """
    now = run.clock.now()
    with run.read() as session:
        known = site_facts.load(session)
        before = _remembered(session, run.tenant_id)
    counting = Counting(client)
    types = _types_to_list(known, live)
    by_type = types is not None and known.census_at is not None and within(WEEK, known.census_at, now)
    wanted = types if by_type and types is not None else []
    # Three ways, the cheapest first: the last listing where counts say that it is still right (a point, and one for
    # some two hundred spaces), a listing by type (a point for each space shown), a listing of everything (a point for
    # each space there is). The cost of the first: a space that came while one went that was not listed is missed for a
    # day, unless a webhook names it.
    if before is not None and _holds(before, wanted, known, live, now):
        counts = _counts(run, counting, before.spaces)
        if counts[0] and counts == before.counts:
            return before.spaces
    if by_type:
        shown = client.spaces(types=wanted)
        named = _named(live, shown)
        shown += client.spaces(keys=named) if named else []
        if set(_unfound(live, shown)) <= set(known.unfound):
            _remember(run, _Remembered(now, wanted, _counts(run, counting, shown), shown, hinted=False))
            return shown
    shown = client.spaces()
    census = dict(Counter(space.type for space in shown))
    with run.write() as session:
        site_facts.save(session, run.tenant_id, census=census, unfound=_unfound(live, shown), census_at=now)
    kept, types = _worth_keeping(shown, census, live)
    _remember(run, _Remembered(now, types, _counts(run, counting, kept), kept, hinted=False))
    return shown


def still_counted(counting: Counting, spaces: Sequence[Space | RunSpace]) -> int | None:
    """Return how many of `spaces` search finds, a point for some two hundred; None where it does not say."""
    return total([counting.count(cql) for cql in _naming(spaces)])


def _counts(run: Run, counting: Counting, spaces: Sequence[Space]) -> tuple[int | None, int | None]:
    every, *named = counting.count_all(run, [EVERY_SPACE, *_naming(spaces)])
    return (every, total(named)) if every else (None, None)


def _naming(spaces: Sequence[Space | RunSpace]) -> list[str]:
    groups = group_spaces(spaces, encoded_length(EVERY_SPACE), most=len(spaces))
    return [all_of(EVERY_SPACE, f"space in {values(space.key for space in group)}") for group in groups]


def _holds(before: _Remembered, types: list[str], known: SiteFacts, document: PolicyDocument, now: datetime) -> bool:
    """Return whether the last listing would do if search counts as it did."""
    young = timedelta(0) <= now - before.listed_at < DAY
    same = before.types == types and set(_unfound(document, before.spaces)) <= set(known.unfound)
    return young and same and not before.hinted and before.counts[0] is not None


def _remembered(session: Session, tenant_id: TenantId) -> _Remembered | None:
    row = session.scalars(sa.select(SpaceListing)).one_or_none()
    if row is None:
        return None
    rows = session.scalars(sa.select(SiteSpace).order_by(SiteSpace.position))
    return _Remembered(
        row.listed_at,
        list(row.types),
        (row.counted, row.named),
        [Space(each.space_id, each.key, each.name, each.type) for each in rows],
        hinted=bool(hints_since(session, tenant_id, row.listed_at, SPACES_ONLY)),
    )


def _remember(run: Run, listing: _Remembered) -> None:
    rows = [
        {
            "tenant_id": run.tenant_id,
            "space_id": space.id,
            "position": position,
            "key": space.key,
            "name": space.name,
            "type": space.type,
        }
        for position, space in enumerate(listing.spaces)
    ]
    fields = {"listed_at": listing.listed_at, "types": listing.types}
    fields |= {"counted": listing.counts[0], "named": listing.counts[1]}
    with run.write() as session:
        session.execute(sa.delete(SiteSpace).where(SiteSpace.tenant_id == run.tenant_id))
        for some in chunks(rows, _BATCH):
            session.execute(sa.insert(SiteSpace), some)
        statement = insert(session, SpaceListing).values(tenant_id=run.tenant_id, **fields)
        session.execute(statement.on_conflict_do_update(index_elements=["tenant_id"], set_=fields))


def _worth_keeping(
    shown: list[Space], census: dict[str, int], document: PolicyDocument
) -> tuple[list[Space], list[str]]:
    """Return what the next run would list, and which types these are: all of them where that is as cheap."""
    types = _types_to_list(SiteFacts(census=census), document)
    if types is None:
        return shown, []
    named = document.named_keys
    return [space for space in shown if space.type in types or space.key.casefold() in named], types


def _types_to_list(known: SiteFacts, document: PolicyDocument) -> list[str] | None:
    """Return the types to list one by one, None where it is as cheap to list everything."""
    excluded = {selector.type.casefold() for selector in document.exclusion_rules if selector.type is not None}
    types = sorted({*NEGATION_TYPES, *known.census} - excluded)
    if not set(types) <= set(NEGATION_TYPES):
        return None
    saved = sum(number for kind, number in known.census.items() if kind in excluded)
    return types if saved - len(types) >= WORTH else None


def _named(document: PolicyDocument, shown: Sequence[Space]) -> list[str]:
    """Return the keys that assignments name and that are not among the listed, as they were typed."""
    found = {space.key.casefold() for space in shown}
    keys = [assignment.space.key for assignment in document.assignments if assignment.space.key is not None]
    return list(dict.fromkeys(key for key in keys if key.casefold() not in found))


def _unfound(document: PolicyDocument, shown: Sequence[Space]) -> list[str]:
    return sorted(key.casefold() for key in _named(document, shown))
