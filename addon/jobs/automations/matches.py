"""Which content belongs to which automation? The first of the scheme that matches claims it, top to bottom.

A claimed content is never handed on, also when the claiming automation cannot act on it. Only automations that take
part in the run claim: the due ones of a scheduled run, all enabled ones of a manual run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from addon.base import Space
from addon.confluence import Content, SiteClient
from addon.confluence.cql import Spelling, base
from addon.engine.job import Run
from addon.jobs.plainly import plainly
from addon.policies import Automation, PolicyDocument

_EXPAND = ("space", "ancestors", "version", "history.lastUpdated")


@dataclass(frozen=True, slots=True)
class Due:
    """An automation that takes part, under the id its schedule has: `<scheme>/<automation>`."""

    id: str
    automation: Automation


@dataclass(frozen=True, slots=True)
class Claim:
    """One content in the hands of one automation, as search shows it: nothing is done on that word alone."""

    due: Due
    content: Content


def due_automations(run: Run, policy: PolicyDocument, space: Space) -> list[Due]:
    """Return the automations of the space's scheme that take part in the run, in their order.

    A personal space that no assignment names by its key has none.
    """
    scheme = policy.automation_scheme(space)
    if scheme is None:
        return []
    wanted = run.params.get("rules")
    enabled = [Due(f"{scheme.id}/{each.id}", each) for each in scheme.automations if each.enabled]
    return [due for due in enabled if wanted is None or due.id in wanted]


def claims(client: SiteClient, space: Space, due: Sequence[Due], spelling: Spelling, namespace: str) -> list[Claim]:
    """Return what each automation claims in a space. Calls only; raises SiteError as they do.

    `spelling`: how negations are put to the site.
    """
    found: dict[str, Claim] = {}
    for each in due:
        cql, query = each.automation.cql, partial(base, [space.key])
        for content in plainly(client, cql, spelling, namespace, query, expand=_EXPAND):
            found.setdefault(content.id, Claim(each, content))
    return list(found.values())
