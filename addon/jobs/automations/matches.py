"""The matches of one space: which item belongs to which automation.

The first automation of the scheme that matches an item claims it, top to bottom. A claimed item is never handed on, not
even when the automation that claimed it cannot act on it. Only automations that take part in the run claim: the due
ones of a scheduled run, all enabled ones of a manual run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from addon.base import Space
from addon.confluence import Content, SiteClient
from addon.confluence.cql import Spelling, in_spaces
from addon.engine.job import Run
from addon.jobs.policy_search import search_policy
from addon.policies import Action, PolicyDocument

_EXPAND = ("space", "ancestors", "version", "history.lastUpdated")


@dataclass(frozen=True, slots=True)
class ActiveAutomation:
    """An automation that takes part in the run, under the id its schedule has: `<scheme>/<automation>`."""

    id: str
    cql: str
    action: Action


@dataclass(frozen=True, slots=True)
class Match:
    """One item claimed by one automation. `content` is what search shows: nothing is done on that word alone."""

    automation: ActiveAutomation
    content: Content


def active_automations(run: Run, policy: PolicyDocument, space: Space) -> list[ActiveAutomation]:
    """Return the automations of the space's scheme that take part in the run, in their order.

    A personal space that no assignment names by its key has none.
    """
    scheme = policy.automation_scheme(space)
    if scheme is None:
        return []
    due = run.params.get("rules")
    enabled = [ActiveAutomation(f"{scheme.id}/{it.id}", it.cql, it.action) for it in scheme.automations if it.enabled]
    return [each for each in enabled if due is None or each.id in due]


def find_matches(
    client: SiteClient, space: Space, automations: Sequence[ActiveAutomation], spelling: Spelling, namespace: str
) -> list[Match]:
    """Return what each of `automations` claims in a space, in their order.

    Parameters: `spelling`, how negations are put to the site; `namespace`, the prefix of our CQL aliases. Costs a point
    for each item found. Raises SiteError as the calls do.
    """
    found: dict[str, Match] = {}
    for automation in automations:
        query = partial(in_spaces, [space.key])
        for content in search_policy(client, automation.cql, spelling, namespace, query, expand=_EXPAND):
            found.setdefault(content.id, Match(automation, content))
    return list(found.values())
