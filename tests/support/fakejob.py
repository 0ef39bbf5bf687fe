"""A job whose every step a test decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import TenantId
from addon.engine.job import Item, JobRefused, Metrics, Run, RunSpace
from addon.engine.models import ExecutionSpace
from addon.engine.worker.spaces import as_run_space


def spaces(*keys: str) -> list[RunSpace]:
    """Return run spaces with ids made from their keys."""
    return [RunSpace(id=f"id-{key}", key=key, name=f"Space {key}") for key in keys]


class Trouble(Exception):
    """What a fake call may raise; `transient` as of a 503."""

    def __init__(self, reason: str, *, transient: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.transient = transient


@dataclass
class FakeJob:
    """Works each space on the call threads with `call`, one safe point and one write per outcome.

    `call(run, space)` plays the HTTP of a space and returns its metrics; Trouble fails the space.
    """

    type: str = "refresh-statuses"
    title: str = "Refresh content statuses"
    listing: Callable[[Run], Sequence[RunSpace]] = lambda run: spaces("A", "B", "C")
    call: Callable[[Run, RunSpace], Metrics] = lambda run, space: {"contentsChecked": 10}
    finalizing: Callable[[Run], Metrics] = lambda run: {}
    settling: Callable[[Run], None] = lambda run: None
    refusal: str | None = None
    side_by_side: bool = False
    worked: list[str] = field(default_factory=list)
    """Keys of the spaces whose call returned, over all executions."""
    runs: list[Any] = field(default_factory=list)
    groups: list[list[str]] = field(default_factory=list)

    def admit(self, session: Session, tenant_id: TenantId) -> None:
        if self.refusal is not None:
            raise JobRefused(self.refusal)

    def list_spaces(self, run: Run) -> Sequence[RunSpace]:
        if run.scope == "space":
            assert run.space_id is not None
            assert run.space_key is not None
            return [RunSpace(id=run.space_id, key=run.space_key, name="")]
        return self.listing(run)

    def work(self, run: Run, spaces: Sequence[RunSpace]) -> None:
        self.runs.append(run)
        self.groups.append([space.key for space in spaces])

        def one(space: RunSpace) -> Metrics:
            run.call_seconds(write=True)
            result = self.call(run, space)
            run.used(points=3, calls=1)
            self.worked.append(space.key)
            return result

        if self.side_by_side:
            with run.write() as session:
                run.begin(session, spaces)
            for space, outcome in run.map(one, spaces):
                self.record(run, space, outcome)
                run.safe_point()
            return
        for space in spaces:
            with run.write() as session:
                run.begin(session, [space])
            for _, outcome in run.map(one, [space]):
                self.record(run, space, outcome)
            run.safe_point()

    def record(self, run: Run, space: RunSpace, outcome: Metrics | Exception) -> None:
        if isinstance(outcome, Exception) and not isinstance(outcome, Trouble):
            raise outcome
        with run.write() as session:
            if isinstance(outcome, Trouble):
                run.failed(session, space, outcome.reason, transient=outcome.transient)
            else:
                self.ended(run, session, space, outcome)

    def ended(self, run: Run, session: Session, space: RunSpace, metrics: Metrics) -> None:
        """Record a space that is done."""
        run.done(session, space, metrics)

    def finalize(self, run: Run) -> Metrics:
        return self.finalizing(run)

    def settle(self, run: Run) -> None:
        self.settling(run)

    def compile(self, totals: dict[str, Any]) -> dict[str, Any]:
        return {"contentsChecked": 0} | totals


@dataclass
class SubmittingJob(FakeJob):
    """Submits something of the spaces in `submits` to the site, which continues without it, and reads back the outcome.

    The checkpoint of a space remembers it, `reading` plays the HTTP of reading back, each outcome is an item.
    Nothing is submitted twice, also where a space was still open when its outcome was read back.
    """

    submits: set[str] = field(default_factory=set)
    reading: Callable[[Run, RunSpace], None] = lambda run, space: None

    def work(self, run: Run, spaces: Sequence[RunSpace]) -> None:
        open_ = {space.id for space in self.submitted(run)}
        for space in spaces:
            if space.id in open_:
                self.reading(run, space)
                self.record(run, space, {})
        self.settle(run)
        known = self.known(run)
        left = [space for space in spaces if space.id not in open_ | known.keys()]
        for space in spaces:
            if space.id in known and space.id not in open_:
                with run.write() as session:
                    run.done(session, space, known[space.id])
        for space in left:
            if space.key in self.submits:
                with run.write() as session:
                    self.submit(run, session, space)
        super().work(run, left)

    def submit(self, run: Run, session: Session, space: RunSpace) -> None:
        """Remember what is handed to the site now."""
        run.save(session, space, {"submitted": True})

    def ended(self, run: Run, session: Session, space: RunSpace, metrics: Metrics) -> None:
        super().ended(run, session, space, metrics)
        self.read_back(run, session, space, "done")

    def read_back(self, run: Run, session: Session, space: RunSpace, outcome: str, reason: str | None = None) -> None:
        run.items(session, [Item(space, f"content-of-{space.key}", "archive", outcome, reason)])
        run.save(session, space, {"outcome": outcome}, {"contentsArchived": int(outcome == "done")})

    def known(self, run: Run) -> dict[str, Metrics]:
        """Return the metrics of the spaces whose outcome was read back, by id."""
        with run.read() as session:
            rows = _listed(session, run.execution_id)
            return {row.space_id: dict(row.metrics) for row in rows if "outcome" in (row.checkpoint or {})}

    def submitted(self, run: Run) -> list[RunSpace]:
        with run.read() as session:
            return [as_run_space(row) for row in _submitted(session, run.execution_id)]

    def settle(self, run: Run) -> None:
        self.settling(run)
        for space in self.submitted(run):
            self.reading(run, space)
            with run.write() as session:
                self.read_back(run, session, space, "done")

    def unsettled(self, session: Session, execution_id: str) -> bool:
        return bool(_submitted(session, execution_id))

    def give_up(self, run: Run, reason: str) -> None:
        for space in self.submitted(run):
            with run.write() as session:
                self.read_back(run, session, space, "failed", reason)


def _submitted(session: Session, execution_id: str) -> list[ExecutionSpace]:
    return [row for row in _listed(session, execution_id) if (row.checkpoint or {}).get("submitted")]


def _listed(session: Session, execution_id: str) -> Sequence[ExecutionSpace]:
    of_this = sa.select(ExecutionSpace).where(ExecutionSpace.execution_id == execution_id)
    return session.scalars(of_this.execution_options(populate_existing=True)).all()
