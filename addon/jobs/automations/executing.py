"""How does an execution of automations go through its spaces? Claims are read concurrently, then acted on one by one.

Acting is never concurrent between spaces: a site runs one archive job at a time, and the caps are counted exactly.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby

from addon.base import Space
from addon.confluence import Content, Kind, SiteClient, SystemInfo
from addon.engine.job import Item, Run, RunSpace
from addon.jobs import ledger
from addon.jobs import site_facts as traits
from addon.jobs import spaces as scope
from addon.jobs.automations import guards, submitted
from addon.jobs.automations.guards import Judge
from addon.jobs.automations.matches import Claim, Due, claims, due_automations
from addon.jobs.automations.new_dates import NewDates
from addon.jobs.automations.outcomes import Limits, Recorder
from addon.jobs.automations.submit import Actor
from addon.jobs.context import JobContext
from addon.jobs.counting import Counting
from addon.jobs.facts import names_a_day, site_time
from addon.jobs.faults import SITE_FAULTS, Reason, reason_of
from addon.jobs.presence import Absent, presence, why_absent

ROUND = 300
"""Contents judged at a time: as many as one archive call may name."""
TRASH_BATCH = 50


class Executing:
    """One call of the job's `work`."""

    def __init__(self, context: JobContext, run: Run, client: SiteClient) -> None:
        """Read the policies of the run's version."""
        self._context = context
        self._run = run
        self._client = client
        self._policy = context.policy(run)
        self._names = {status.id: status.name for status in self._policy.statuses}
        self._actor = Actor(run, self._client)
        self._presence = presence(run, self._client, Counting(self._client))
        self._info: SystemInfo | None = None
        with run.read() as session:
            self._spelling = traits.load(session).spelling

    def work(self, spaces: Sequence[RunSpace]) -> None:
        """Bring the spaces to done, failed or skipped."""
        self.finish_submitted()
        limits = Limits.resumed(self._run, self._context.settings.execution_cap)
        live = self._context.live_policy(self._run)
        fresh = submitted.run_spaces(self._run)
        listed = [fresh.get(space.id, space) for space in spaces]
        taking_part = scope.members(self._client, live, self._policy, listed)
        for member, found in self._run.map(self._claims, scope.skip(self._run, taking_part)):
            try:
                if isinstance(found, Exception):
                    raise found
                self._space(member.run_space, found, limits)
            except Absent as gone:
                with self._run.write() as session:
                    self._run.skipped(session, member.run_space, gone.reasons[member.run_space.id])
            except Exception as error:  # noqa: BLE001  (what concerns the whole run is raised by reason_of)
                self._not_done(member.run_space, reason_of(error))
            self._run.safe_point()

    def finish_submitted(self) -> None:
        """Close what an earlier owner submitted, before anything else is done."""
        limits = Limits.resumed(self._run, self._context.settings.execution_cap)
        for batch in submitted.still_open(self._run):
            space = submitted.run_spaces(self._run)[batch.space_id]
            self._actor.take_over(Recorder(self._run, space, limits), batch, submitted.action_of(self._policy, batch))

    def _claims(self, member: scope.Member) -> tuple[Space, list[Claim]]:
        """Ask what the due automations match in one space (on a call thread), and for the space as it is now.

        Raises Absent when the site does not show it any more.
        """
        self._presence.require([member.run_space])
        due = due_automations(self._run, self._policy, member.space)
        namespace = self._context.settings.namespace
        found = claims(self._client, member.space, due, self._spelling, namespace) if due else []
        if not found:
            return member.space, []
        shown = self._client.spaces(ids=[member.space.id])
        if not shown:
            raise Absent(why_absent(self._client, [member.space.id]))
        return shown[0], found

    def _not_done(self, space: RunSpace, reason: Reason) -> None:
        gone = None if reason.transient else scope.vanished(self._client, space)
        with self._run.write() as session:
            if gone is not None:
                self._run.skipped(session, space, gone)
            else:
                self._run.failed(session, space, reason.text, transient=reason.transient)

    def _space(self, run_space: RunSpace, found: tuple[Space, list[Claim]], limits: Limits) -> None:
        space, claimed = found
        with self._run.write() as session:
            self._run.begin(session, [run_space])
        known = submitted.logged(self._run, run_space.id) if claimed else set()
        waiting = [claim for claim in claimed if claim.content.id not in known]
        recorder = Recorder(self._run, run_space, limits, len(waiting))
        for due, own in groupby(waiting, key=lambda claim: claim.due):
            self._automation(recorder, space, due, list(own), limits)
        with self._run.write() as session:
            recorder.end(session)

    def _automation(self, recorder: Recorder, space: Space, due: Due, own: list[Claim], limits: Limits) -> None:
        """Judge and act in rounds of as many contents as one look-up takes."""
        planned: set[str] = set()
        for claimed in _rounds(due, own):
            acting, items = self._judged(recorder, space, due, claimed, limits, planned)
            recorder.write(items)
            self._run.safe_point()
            if acting and self._run.dry_run:
                planned |= {content.id for content in acting}
                shown = [recorder.item(content.id, due.automation.action.type, "planned") for content in acting]
                recorder.write(shown, automation_id=due.id)
            elif acting:
                self._act(recorder, due, acting)

    def _judged(
        self,
        recorder: Recorder,
        space: Space,
        due: Due,
        claimed: Sequence[Claim],
        limits: Limits,
        planned: Collection[str],
    ) -> tuple[list[Content], list[Item]]:
        """Return the contents to act on, and the items of all others. `planned`: what a dry run took for gone."""
        action = due.automation.action
        room = limits.left(due.id, action.cap)
        verdicts: dict[str, str | Reason | None] = {}
        possible: list[Claim] = []
        for claim in claimed:
            impossible = self._impossible(claim) if action.type == "archive" else None
            verdicts[claim.content.id] = impossible or (None if room else self._cap_reason(due, limits))
            if verdicts[claim.content.id] is None:
                possible.append(claim)
        judge = self._judge(space, possible, planned)
        current = self._current(possible)
        for claim in possible:
            verdicts[claim.content.id] = judge.first_look(claim, current.get(claim.content.id))
        looked = [claim for claim in possible if verdicts[claim.content.id] is None]
        for claim, verdict in self._run.map(lambda each: self._look(judge, each, current), looked):
            verdicts[claim.content.id] = reason_of(verdict) if isinstance(verdict, Exception) else verdict
        acting = [current[id] for id, verdict in verdicts.items() if verdict is None]
        for content in acting[room:]:
            verdicts[content.id] = self._cap_reason(due, limits, planned=room)
        return acting[:room], [
            recorder.failed(id, action.type, verdict)
            if isinstance(verdict, Reason)
            else recorder.item(id, action.type, "skipped", verdict)
            for id, verdict in verdicts.items()
            if verdict is not None
        ]

    def _look(self, judge: Judge, claim: Claim, current: Mapping[str, Content]) -> str | Reason | None:
        try:
            return judge.closer_look(claim, current[claim.content.id])
        except SITE_FAULTS as error:
            return reason_of(error)

    def _impossible(self, claim: Claim) -> str | None:
        """Return why archiving cannot be done at all; such contents stay claimed."""
        if claim.content.kind == "blogpost":
            return guards.BLOG_POST
        return guards.FREE_EDITION if self._edition_of_site() == "free" else None

    def _edition_of_site(self) -> str:
        return self._site_info().edition

    def _now(self, claimed: Sequence[Claim]) -> datetime:
        """Return the time in the site's zone, which is asked for where a query names a day."""
        now = self._run.clock.now()
        if not any(names_a_day(claim.due.automation.cql) for claim in claimed):
            return now
        return site_time(now, self._site_info().time_zone)

    def _site_info(self) -> SystemInfo:
        if self._info is None:
            self._info = self._client.system_info()
        return self._info

    def _cap_reason(self, due: Due, limits: Limits, planned: int = 0) -> str:
        cap = due.automation.action.cap
        if limits.acted[due.id] + planned >= cap:
            return guards.AUTOMATION_CAP.format(cap)
        return guards.EXECUTION_CAP.format(limits.execution_cap)

    def _judge(self, space: Space, claimed: Sequence[Claim], planned: Collection[str]) -> Judge:
        with self._run.read() as session:
            rows = ledger.load(session, [claim.content.id for claim in claimed])
            refresh = submitted.last_refresh(session, space.id)
        now, namespace = self._now(claimed), self._context.settings.namespace
        entries = self._policy.status_scheme(space).entries
        return Judge(
            client=self._client,
            namespace=namespace,
            space=space,
            names=self._names,
            rows=rows,
            refreshed_at=refresh.started_at if refresh is not None else None,
            now=now,
            dates=NewDates(self._client, namespace, space.id, entries, now),
            gone=frozenset(planned),
        )

    def _current(self, claimed: Sequence[Claim]) -> dict[str, Content]:
        """Read the contents by id, 250 a call."""
        kinds: tuple[Kind, ...] = ("page", "blogpost")
        asked = [(kind, [claim.content.id for claim in claimed if claim.content.kind == kind]) for kind in kinds]
        return {content.id: content for kind, ids in asked if ids for content in self._client.contents(kind, ids)}

    def _act(self, recorder: Recorder, due: Due, contents: Sequence[Content]) -> None:
        action = due.automation.action.type
        archiving = action == "archive"
        size = self._archive_batch() if archiving else TRASH_BATCH
        for start in range(0, len(contents), size):
            part = contents[start : start + size]
            batch = submitted.store(self._run, recorder.space, due.id, action, part)
            if archiving:
                self._actor.archive(recorder, batch)
            else:
                self._actor.trash(recorder, batch, part)
            self._run.safe_point()

    def _archive_batch(self) -> int:
        bulk = self._edition_of_site() in ("premium", "enterprise")
        return self._context.settings.archive_batch if bulk else 1


def _rounds(due: Due, own: list[Claim]) -> Iterator[list[Claim]]:
    """Yield claims in rounds.

    Parents come before their children, so that they are judged while these are there. With whole subtrees it is the
    other way round, one layer of the tree after the other.
    """

    def depth(claim: Claim) -> int:
        return len(claim.content.ancestors)

    subtrees = due.automation.action.whole_subtree
    own.sort(key=depth, reverse=subtrees)
    layers = [list(layer) for _, layer in groupby(own, key=depth)] if subtrees else [own]
    for layer in layers:
        yield from (layer[start : start + ROUND] for start in range(0, len(layer), ROUND))
