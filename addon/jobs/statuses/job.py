"""The job "Refresh content statuses", and the way of one call of its `work` through its spaces.

Spaces are read in groups of one scheme, several groups at a time, and each group's changes are written as soon as it is
read. A group whose queries fail is halved, down to single spaces, so that a space that cannot be read fails alone. All
database work happens here on the runner thread, all calls on the call threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from addon.confluence import HintKind, SiteClient, hints_since
from addon.confluence.cql import Spelling, spelling
from addon.engine import queries
from addon.engine.job import Run, RunSpace
from addon.jobs import ledger, site_facts
from addon.jobs.context import JobContext, SpaceJob
from addon.jobs.counting import Counting
from addon.jobs.faults import Reason, reason_of, translated
from addon.jobs.spaces import Absent, Presence, members, skip, vanished
from addon.jobs.statuses.ask.asking import read_group
from addon.jobs.statuses.ask.clauses import QueryTooLong
from addon.jobs.statuses.ask.listing import ListingRefused
from addon.jobs.statuses.ask.parallel_read import parallel_read
from addon.jobs.statuses.ask.planning import Planner, with_ancestors
from addon.jobs.statuses.ask.probe import probe, verdict
from addon.jobs.statuses.ask.reading import Plan, Reading
from addon.jobs.statuses.stamp import property_key, shown_statuses, status_alias
from addon.jobs.statuses.upkeep.drift import Drift
from addon.jobs.statuses.upkeep.excluded import clear_excluded
from addon.jobs.statuses.write.writing import UNCOUNTED, GroupWriter

LIMITED = 429
PERMISSIONS_CHANGED = "space_permissions_updated"
SPACES_ONLY: tuple[HintKind, ...] = ("space",)


class RefreshStatuses(SpaceJob):
    """Gives every page and blog post its status by enter and leave queries: costs what changed, not what exists."""

    type = "refresh-statuses"
    title = "Refresh content statuses"

    def work(self, run: Run, spaces: Sequence[RunSpace]) -> None:
        """Refresh the given spaces. Raises what ends or pauses the run (addon.engine.job.Job)."""
        with translated(), self._context.client(run) as client:
            _Refresh(self._context, run, client).work(spaces)

    def compile(self, totals: dict[str, Any]) -> dict[str, Any]:
        """Fill in zeros. The default's count is what was checked minus what has another status, never below zero.

        Where the site did not count some items, what follows from their number is left out rather than wrong; so are
        all counts by status of a run that was cancelled, where a group's items are counted and not what they are.
        """
        if totals.get("spacesCancelled"):
            totals = totals | {"statusCounts": {}}
        final = {"contentsChecked": 0, "statusesChanged": 0, "contentsReadOnly": 0} | totals
        uncounted = final.pop(UNCOUNTED, {})
        if uncounted:
            del final["contentsChecked"]
        counts: dict[str, int] = totals.get("statusCounts", {})
        final["statusCounts"] = {slug: max(0, number) for slug, number in counts.items() if slug not in uncounted}
        return final


class _Refresh:
    """One call of the job's `work`."""

    def __init__(self, context: JobContext, run: Run, client: SiteClient) -> None:
        """Read the policies of the run's version and what is known of the site."""
        self._context = context
        self._run = run
        self._client = client
        self._counting = Counting(client)
        self._namespace = context.settings.namespace
        self._key = property_key(self._namespace)
        self._policy = context.policy(run)
        with run.read() as session:
            self._slugs = frozenset(context.policies.slugs(session, run.tenant_id))
            began = queries.started_at(session, run.execution_id)
            trusting = ledger.empty_before(session, began)
            self._known = site_facts.load(session)
        self._presence = Presence(client, self._counting, run.clock, began)
        self._writer = GroupWriter(
            run=run,
            client=client,
            key=self._key,
            statuses=shown_statuses(self._policy, context.settings.base_url),
            began=began,
            trusting=trusting,
            stamps=self._policy.status_stamps,
        )

    def work(self, spaces: Sequence[RunSpace]) -> None:
        """Bring the spaces to done, failed or skipped.

        Each round reads its plans at the same time and writes each as it comes in. What could not be read as it was
        asked is left to the next round in smaller plans; their number of spaces falls each time, so the rounds end.
        """
        live = self._context.live_policy(self._run)
        taking_part = skip(self._run, members(self._client, live, self._policy, spaces))
        self._retry_read_only(spaces)
        spelled = self._spelling() if taking_part else self._known.spelling
        planner = Planner(self._run, self._policy, self._namespace, self._slugs, spelled)
        plans = with_ancestors(self._run, self._client, planner.plans(taking_part))
        while plans:
            smaller: list[Plan] = []
            for plan, reading in self._readings(planner, plans):
                if not isinstance(reading, Exception):
                    smaller += self._without(planner, plan, self._writer.write(plan, reading))
                elif isinstance(reading, Absent):
                    smaller += self._without(planner, plan, reading.reasons)
                elif len(plan.spaces) > 1 and _may_be_smaller(reading):
                    # One of its spaces may be at fault, or the group too large for a URL. Halving finds the one among
                    # fifty in six rounds; asking each alone would cost every space of the group its own queries.
                    smaller += planner.split(plan, 2)
                else:
                    self._not_read(plan, reading)
            plans = smaller
        if self._run.scope == "site" and self._run.trigger != "retry" and "spaces" not in self._run.params:
            self._keep_up()

    def _readings(self, planner: Planner, plans: Sequence[Plan]) -> Iterator[tuple[Plan, Reading | Exception]]:
        # No sweep yet: no refresh of the whole site has come to its end.
        first = self._policy.status_stamps and self._known.swept_at is None
        if first and len(plans) == 1 and len(plans[0].spaces) > 1:
            return parallel_read(self._run, self._counting, planner, plans[0], self._read)
        return self._run.map(self._read, plans)

    def _read(self, plan: Plan) -> Reading:
        self._presence.require(plan.spaces)
        return read_group(self._client, self._counting, self._run.clock, plan)

    def _keep_up(self) -> None:
        """Do what concerns the site beyond the run's spaces."""
        clear_excluded(self._context, self._run, self._client, self._key, stamps=self._policy.status_stamps)
        if self._policy.status_stamps:
            Drift(self._run, self._client, self._counting, status_alias(self._namespace), self._key).sweep()

    def _retry_read_only(self, spaces: Sequence[RunSpace]) -> None:
        """Let what refused its stamp be asked again where a webhook said that permissions changed."""
        with self._run.read() as session:
            since = self._run.clock.now() - ledger.READ_ONLY_REST
            hints = hints_since(session, self._run.tenant_id, since, SPACES_ONLY)
            changed = [hint for hint in hints if hint.event == PERMISSIONS_CHANGED]
            named = {name: hint.heard_at for hint in changed for name in (hint.subject_id, hint.space_key) if name}
        changed_at = {space.id: named.get(space.id) or named.get(space.key) for space in spaces}
        if any(changed_at.values()):
            with self._run.write() as session:
                for space_id, at in changed_at.items():
                    if at is not None:
                        ledger.retry_read_only(session, space_id, at)

    def _spelling(self) -> Spelling:
        """Return how negations are put to the site, asking how it reads them where that is not known or a week old."""
        now = self._run.clock.now()
        if not self._known.probe_due(now):
            return self._known.spelling
        negations = probe(self._counting, self._namespace, self._slugs)
        if negations is None:
            return self._known.spelling
        with self._run.write() as session:
            site_facts.save(
                session, self._run.tenant_id, negation=verdict(negations), readings=negations, probed_at=now
            )
        return spelling(negations)

    def _without(self, planner: Planner, plan: Plan, reasons: Mapping[str, str]) -> list[Plan]:
        """End the spaces that went since the run began; return the plan for the others, if there are any."""
        if not reasons:
            return []
        self._skip(plan, reasons)
        return planner.only(plan, [space for space in plan.spaces if space.id not in reasons])

    def _skip(self, plan: Plan, reasons: Mapping[str, str]) -> None:
        with self._run.write() as session:
            for space in plan.spaces:
                if space.id in reasons:
                    self._run.skipped(session, space, reasons[space.id])

    def _not_read(self, plan: Plan, error: Exception) -> None:
        """End the spaces of a group that could not be read."""
        ours = isinstance(error, QueryTooLong | ListingRefused)
        reason = Reason(str(error), False) if ours else reason_of(error)
        gone = vanished(self._client, plan.spaces[0]) if len(plan.spaces) == 1 else None
        if gone is not None:
            self._skip(plan, {plan.spaces[0].id: gone})
            return
        with self._run.write() as session:
            for space in plan.spaces:
                self._run.failed(session, space, reason.text, transient=reason.transient)


def _may_be_smaller(error: Exception) -> bool:
    """Return whether asking about fewer spaces may help; raises what concerns the whole run."""
    if isinstance(error, QueryTooLong):
        return True
    reason_of(error)
    return getattr(error, "status", None) != LIMITED
