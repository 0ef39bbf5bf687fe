"""An execution's way through its spaces: matches are read concurrently, then acted on one space after the other.

Acting is never concurrent between spaces: a site runs one archive job at a time, and the caps are counted exactly.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby

from addon.base import Space, chunks
from addon.confluence import Content, Kind, SiteClient, SystemInfo
from addon.engine import queries
from addon.engine.job import Item, Run, RunSpace
from addon.jobs import ledger, site_facts
from addon.jobs.automations import guards
from addon.jobs.automations.guards import Guards
from addon.jobs.automations.matches import ActiveAutomation, Match, active_automations, find_matches
from addon.jobs.automations.new_dates import NewDates
from addon.jobs.automations.outcomes import Limits, Recorder, items_logged, spaces_of
from addon.jobs.automations.submit import Submitter
from addon.jobs.context import JobContext
from addon.jobs.counting import Counting
from addon.jobs.facts import names_a_day, site_time
from addon.jobs.faults import SITE_FAULTS, Reason, reason_of
from addon.jobs.spaces import Absent, Member, members, presence, skip, vanished, why_absent

ROUND = 300
"""Items judged at a time: as many as one archive call may name."""
TRASH_BATCH = 50
"""Items trashed between two safe points, each with a call of its own."""


class Executing:
    """One call of the job's `work`: reads matches on the call threads, acts in the runner thread."""

    def __init__(self, context: JobContext, run: Run, client: SiteClient) -> None:
        """Read the policies of the run's version."""
        self._context = context
        self._run = run
        self._client = client
        self._policy = context.policy(run)
        self._names = {status.id: status.name for status in self._policy.statuses}
        self._submitter = Submitter(run, self._client)
        self._presence = presence(run, self._client, Counting(self._client))
        self._info: SystemInfo | None = None
        with run.read() as session:
            self._spelling = site_facts.load(session).spelling

    def work(self, spaces: Sequence[RunSpace]) -> None:
        """Bring the spaces to done, failed or skipped."""
        self.finish_submitted()
        # After it, because what an earlier owner submitted counts against the caps as well.
        limits = Limits.resumed(self._run, self._context.settings.execution_cap)
        live = self._context.live_policy(self._run)
        fresh = spaces_of(self._run)
        listed = [fresh.get(space.id, space) for space in spaces]
        taking_part = members(self._client, live, self._policy, listed)
        for member, found in self._run.map(self._matches, skip(self._run, taking_part)):
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
        self._submitter.finish_open(self._policy, limits)

    def _matches(self, member: Member) -> tuple[Space, list[Match]]:
        """Ask what the automations match in one space (on a call thread), and for the space as it is now.

        Raises Absent when the site does not show it any more.
        """
        self._presence.require([member.run_space])
        automations = active_automations(self._run, self._policy, member.space)
        namespace = self._context.settings.namespace
        if not automations:
            return member.space, []
        found = find_matches(self._client, member.space, automations, self._spelling, namespace)
        if not found:
            return member.space, []
        shown = self._client.spaces(ids=[member.space.id])
        if not shown:
            raise Absent(why_absent(self._client, [member.space.id]))
        return shown[0], found

    def _not_done(self, space: RunSpace, reason: Reason) -> None:
        gone = None if reason.transient else vanished(self._client, space)
        with self._run.write() as session:
            if gone is not None:
                self._run.skipped(session, space, gone)
            else:
                self._run.failed(session, space, reason.text, transient=reason.transient)

    def _space(self, run_space: RunSpace, found: tuple[Space, list[Match]], limits: Limits) -> None:
        space, matches = found
        with self._run.write() as session:
            self._run.begin(session, [run_space])
        known = items_logged(self._run, run_space.id) if matches else set()
        waiting = [match for match in matches if match.content.id not in known]
        recorder = Recorder(self._run, run_space, limits, len(waiting))
        for automation, own in groupby(waiting, key=lambda match: match.automation):
            self._automation(recorder, space, automation, list(own), limits)
        with self._run.write() as session:
            recorder.end(session)

    def _automation(
        self, recorder: Recorder, space: Space, automation: ActiveAutomation, own: list[Match], limits: Limits
    ) -> None:
        """Judge and act in rounds of as many items as one look-up takes."""
        planned: set[str] = set()
        for matches in _rounds(automation, own):
            acting, items = self._judged(recorder, space, automation, matches, limits, planned)
            recorder.write(items)
            self._run.safe_point()
            if acting and self._run.dry_run:
                planned |= {content.id for content in acting}
                shown = [recorder.item(content.id, automation.action.type, "planned") for content in acting]
                recorder.write(shown, automation_id=automation.id)
            elif acting:
                self._act(recorder, automation, acting)

    def _judged(
        self,
        recorder: Recorder,
        space: Space,
        automation: ActiveAutomation,
        matches: Sequence[Match],
        limits: Limits,
        planned: Collection[str],
    ) -> tuple[list[Content], list[Item]]:
        """Return the items to act on, and what the log says of all others. `planned`: what a dry run took for gone."""
        action = automation.action
        room = limits.left(automation.id, action.cap)
        # A verdict is the reason to skip an item, the Reason why it failed, or None: nothing speaks against it so far.
        # The guards go by what they cost: first those that need no call, then one call for 250 items, then two or more
        # calls for each item. Where there is no room left nothing is asked at all.
        verdicts: dict[str, str | Reason | None] = {}
        possible: list[Match] = []
        for match in matches:
            impossible = self._impossible(match) if action.type == "archive" else None
            verdicts[match.content.id] = impossible or (None if room else self._cap_reason(automation, limits))
            if verdicts[match.content.id] is None:
                possible.append(match)
        guard = self._guards(space, possible, planned)
        current = self._current(possible)
        for match in possible:
            verdicts[match.content.id] = guard.check_snapshot(match, current.get(match.content.id))
        looked = [match for match in possible if verdicts[match.content.id] is None]
        for match, verdict in self._run.map(lambda each: self._look(guard, each, current), looked):
            verdicts[match.content.id] = reason_of(verdict) if isinstance(verdict, Exception) else verdict
        acting = [current[id] for id, verdict in verdicts.items() if verdict is None]
        # The cap comes last: counted before the guards, skipped items would use it up. The cost: a round is looked at
        # whole although only a part of it is acted on.
        for content in acting[room:]:
            verdicts[content.id] = self._cap_reason(automation, limits, planned=room)
        return acting[:room], [
            recorder.failed(id, action.type, verdict)
            if isinstance(verdict, Reason)
            else recorder.item(id, action.type, "skipped", verdict)
            for id, verdict in verdicts.items()
            if verdict is not None
        ]

    def _look(self, guard: Guards, match: Match, current: Mapping[str, Content]) -> str | Reason | None:
        try:
            return guard.check_live(match, current[match.content.id])
        except SITE_FAULTS as error:
            return reason_of(error)

    def _impossible(self, match: Match) -> str | None:
        """Return why archiving cannot be done at all; such items stay claimed."""
        if match.content.kind == "blogpost":
            return guards.BLOG_POST
        return guards.FREE_EDITION if self._edition_of_site() == "free" else None

    def _edition_of_site(self) -> str:
        return self._site_info().edition

    def _now(self, matches: Sequence[Match]) -> datetime:
        """Return the time in the site's zone, which is asked for where a query names a day."""
        now = self._run.clock.now()
        if not any(names_a_day(match.automation.cql) for match in matches):
            return now
        return site_time(now, self._site_info().time_zone)

    def _site_info(self) -> SystemInfo:
        if self._info is None:
            self._info = self._client.system_info()
        return self._info

    def _cap_reason(self, automation: ActiveAutomation, limits: Limits, planned: int = 0) -> str:
        cap = automation.action.cap
        if limits.acted[automation.id] + planned >= cap:
            return guards.AUTOMATION_CAP.format(cap)
        return guards.EXECUTION_CAP.format(limits.execution_cap)

    def _guards(self, space: Space, matches: Sequence[Match], planned: Collection[str]) -> Guards:
        with self._run.read() as session:
            known = ledger.load(session, [match.content.id for match in matches])
            refreshed_at = queries.last_done_began(session, "refresh-statuses", space.id)
        now, namespace = self._now(matches), self._context.settings.namespace
        entries = self._policy.status_scheme(space).entries
        return Guards(
            client=self._client,
            namespace=namespace,
            space=space,
            names=self._names,
            ledger=known,
            refreshed_at=refreshed_at,
            now=now,
            dates=NewDates(self._client, namespace, space.id, entries, now),
            gone=frozenset(planned),
        )

    def _current(self, matches: Sequence[Match]) -> dict[str, Content]:
        """Read the items by id, 250 a call."""
        kinds: tuple[Kind, ...] = ("page", "blogpost")
        asked = [(kind, [match.content.id for match in matches if match.content.kind == kind]) for kind in kinds]
        return {content.id: content for kind, ids in asked if ids for content in self._client.contents(kind, ids)}

    def _act(self, recorder: Recorder, automation: ActiveAutomation, contents: Sequence[Content]) -> None:
        archiving = automation.action.type == "archive"
        size = self._archive_batch() if archiving else TRASH_BATCH
        for part in chunks(contents, size):
            if archiving:
                self._submitter.archive(recorder, automation.id, part)
            else:
                self._submitter.trash(recorder, automation.id, part)
            self._run.safe_point()

    def _archive_batch(self) -> int:
        bulk = self._edition_of_site() in ("premium", "enterprise")
        return self._context.settings.archive_batch if bulk else 1


def _rounds(automation: ActiveAutomation, own: list[Match]) -> Iterator[list[Match]]:
    """Yield matches in rounds.

    Parents come before their children, so that they are judged while these are there. With whole subtrees it is the
    other way round, one layer of the tree after the other.
    """

    def depth(match: Match) -> int:
        return len(match.content.ancestors)

    subtrees = automation.action.whole_subtree
    own.sort(key=depth, reverse=subtrees)
    layers = [list(layer) for _, layer in groupby(own, key=depth)] if subtrees else [own]
    for layer in layers:
        yield from chunks(layer, ROUND)
