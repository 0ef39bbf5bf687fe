"""The engine's tables. The execution's row is the lock: at most one is active per tenant, by a unique partial index.

Each CHECK and each partial index has its reason next to it. No other room queries these tables; it asks `queries`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from addon.base import Base, TenantId, TenantScoped

ACTIVE = ("running", "finalizing", "cancelling")
TERMINAL = ("successful", "failed", "cancelled")
MISSED = ("coalesced", "skipped_late", "withdrawn")
IN_THE_WAY = ("busy", "retry_waiting", "hold", "first_run", "closed", "unknown")
"""Why nothing could start at a slot that was coalesced or skipped."""
WITHDRAWN = ("changed", "switched_off", "removed", "installed", "unreadable")
"""What happened to a schedule while a slot of it was pending."""


def _one_of(column: str, *values: str) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


def is_active() -> sa.ColumnElement[bool]:
    """Say of an execution that it is active, word for word as the partial indexes do.

    With bound parameters SQLite, and PostgreSQL in a generic plan, cannot know that those indexes hold all such rows.
    """
    words: sa.BindParameter[Any] = sa.bindparam("active", ACTIVE, expanding=True, literal_execute=True, unique=True)
    return JobExecution.status.in_(words)


def is_missed() -> sa.ColumnElement[bool]:
    """Say of a slot that nothing started at it, word for word as the partial index does."""
    words: sa.BindParameter[Any] = sa.bindparam("missed", MISSED, expanding=True, literal_execute=True, unique=True)
    return ScheduleFire.outcome.in_(words)


class Lane(TenantScoped, Base):
    """A tenant's one place to run, and what the engine must know before it starts anything there.

    The lifecycle opens and closes it, the policies put it on hold.
    """

    __tablename__ = "lane"

    tenant_id: Mapped[TenantId] = mapped_column(sa.String(36), sa.ForeignKey("tenant.id"), primary_key=True)
    open: Mapped[bool]
    """Installed and enabled: otherwise nothing starts."""
    first_run: Mapped[bool]
    """No administrator has confirmed the first-run panel yet: nothing at all starts."""
    hold: Mapped[bool] = mapped_column(default=False)
    """Schedules are on hold; manual starts work."""
    hold_reason: Mapped[str | None] = mapped_column(sa.Text)
    hold_by: Mapped[str | None] = mapped_column(sa.String(128))
    hold_until: Mapped[datetime | None]


class JobSchedule(TenantScoped, Base):
    """One cron of one job type. A slot is pending while next_fire_at <= now; a busy lane writes nothing.

    One that was removed stays, switched off, as long as there is a record of its slots.
    """

    __tablename__ = "job_schedule"
    __table_args__ = (
        sa.UniqueConstraint("tenant_id", "job_type", "rule_id"),
        # A removed schedule stays for the record of its slots and must never be due again.
        sa.CheckConstraint("removed_at IS NULL OR NOT enabled", name="removed"),
        # Every tick of every process looks for due schedules; those that are switched off never are.
        sa.Index(
            "ix_job_schedule_due", "next_fire_at", postgresql_where=sa.text("enabled"), sqlite_where=sa.text("enabled")
        ),
    )

    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    job_type: Mapped[str] = mapped_column(sa.String(64))
    rule_id: Mapped[str] = mapped_column(sa.String(200))
    name: Mapped[str] = mapped_column(sa.String(200))
    cron: Mapped[str] = mapped_column(sa.String(100))
    time_zone: Mapped[str] = mapped_column(sa.String(64))
    enabled: Mapped[bool]
    next_fire_at: Mapped[datetime | None]
    recorded_until: Mapped[datetime | None] = mapped_column("settled_until")
    """What was due before then is recorded: set where the next time was taken back because of a wrong clock."""
    max_lateness_s: Mapped[int]
    version: Mapped[int] = mapped_column(default=1)
    removed_at: Mapped[datetime | None]
    unreadable: Mapped[str | None] = mapped_column(sa.Text)
    """Why its cron or time zone cannot be read here: it is never due then."""


class ScheduleFire(TenantScoped, Base):
    """What became of one slot. The primary key is what lets exactly one process fire it."""

    __tablename__ = "schedule_fire"
    __table_args__ = (
        # An outcome that no reader knows would drop out of both lists: what started, and what was missed.
        sa.CheckConstraint(_one_of("outcome", "started", *MISSED), name="outcome"),
        # Nothing is missed without a reason that people can read, and what started needs none.
        sa.CheckConstraint("(outcome = 'started') = (reason IS NULL)", name="missed_for_a_reason"),
        # Only what was in the way can make a slot late or covered by another: NULL passes, as for what started.
        sa.CheckConstraint(f"outcome = 'withdrawn' OR {_one_of('reason', *IN_THE_WAY)}", name="in_the_way"),
        # A slot is withdrawn by what happened to its schedule, and by nothing else.
        sa.CheckConstraint(f"(outcome = 'withdrawn') = ({_one_of('reason', *WITHDRAWN)})", name="withdrawn"),
        # A record that covers earlier slots as well says since when; one of a single slot does not.
        sa.CheckConstraint("(earlier > 0) = (earlier_since IS NOT NULL)", name="earlier"),
        sa.Index("ix_schedule_fire_execution", "execution_id", "tenant_id"),
        # For the SET NULL when an execution is deleted. Partial, because most slots were blocked by none.
        sa.Index(
            "ix_schedule_fire_blocked_by",
            "blocked_by",
            postgresql_where=sa.text("blocked_by IS NOT NULL"),
            sqlite_where=sa.text("blocked_by IS NOT NULL"),
        ),
        sa.Index("ix_schedule_fire_at", "tenant_id", "at"),
        # The list of missed slots, page by page in this order. Without the condition SQLite, which has no statistics
        # here, would read all that started as well.
        sa.Index(
            "ix_schedule_fire_missed",
            "tenant_id",
            "scheduled_for",
            "schedule_id",
            postgresql_where=sa.text(_one_of("outcome", *MISSED)),
            sqlite_where=sa.text(_one_of("outcome", *MISSED)),
        ),
    )

    schedule_id: Mapped[str] = mapped_column(sa.ForeignKey("job_schedule.id"), primary_key=True)
    scheduled_for: Mapped[datetime] = mapped_column(primary_key=True)
    outcome: Mapped[str] = mapped_column(sa.String(16))
    execution_id: Mapped[str | None] = mapped_column(sa.ForeignKey("job_execution.id", ondelete="SET NULL"))
    """What was started for it, or covered it."""
    at: Mapped[datetime]
    reason: Mapped[str | None] = mapped_column(sa.String(16))
    """Why it was missed; NULL for what was started."""
    blocked_by: Mapped[str | None] = mapped_column(sa.ForeignKey("job_execution.id", ondelete="SET NULL"))
    """The execution that was in the way at that time."""
    earlier: Mapped[int] = mapped_column(default=0, server_default="0")
    """Slots before this one that share its record, as they are too many for one each."""
    earlier_since: Mapped[datetime | None]
    """The first of these."""


class JobExecution(TenantScoped, Base):
    """One execution of one job. Accepted but not claimed is running with no owner."""

    __tablename__ = "job_execution"
    __table_args__ = (
        # The six statuses of the transition table: every index and trigger below spells them out.
        sa.CheckConstraint(_one_of("status", *ACTIVE, *TERMINAL), name="status"),
        # Retention goes by ended_at, so nothing that is active may have one and nothing that ended may lack it.
        sa.CheckConstraint(f"({_one_of('status', *TERMINAL)}) = (ended_at IS NOT NULL)", name="ended"),
        # An owner without an end of its lease could never be reaped and would block its tenant permanently.
        sa.CheckConstraint("(owner IS NULL) = (lease_until IS NULL)", name="owned_with_lease"),
        # Cancelling means that someone still has to stop or read back: without any owner it ends at once instead.
        sa.CheckConstraint("status <> 'cancelling' OR owner IS NOT NULL", name="cancelling_owned"),
        # Who may see and cancel an execution is decided by its scope: a third one would be decided by accident.
        sa.CheckConstraint(_one_of("scope", "site", "space"), name="scope"),
        # Holds, retry chains and lateness are decided by the trigger.
        sa.CheckConstraint(_one_of("trigger", "scheduled", "manual", "retry"), name="trigger"),
        # The lock itself: one active execution per tenant, whatever the processes believe. Partial, because those that
        # ended pile up. No second index or row repeats it, so nothing can drift (docs/adr/0001).
        sa.Index(
            "uq_job_execution_active",
            "tenant_id",
            unique=True,
            postgresql_where=sa.text(_one_of("status", *ACTIVE)),
            sqlite_where=sa.text(_one_of("status", *ACTIVE)),
        ),
        sa.Index("ix_job_execution_history", "tenant_id", "id"),
        sa.Index("ix_job_execution_ended", "tenant_id", "ended_at"),
        sa.Index("ix_job_execution_retry_of", "retry_of"),
        # Runners and the reaper look over all tenants every few seconds; few rows are active, many have ended.
        sa.Index(
            "ix_job_execution_claimable",
            "status",
            "owner",
            "lease_until",
            postgresql_where=sa.text(_one_of("status", *ACTIVE)),
            sqlite_where=sa.text(_one_of("status", *ACTIVE)),
        ),
    )

    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    job_type: Mapped[str] = mapped_column(sa.String(64))
    scope: Mapped[str] = mapped_column(sa.String(8))
    space_id: Mapped[str | None] = mapped_column(sa.String(32))
    space_key: Mapped[str | None] = mapped_column(sa.String(255))
    trigger: Mapped[str] = mapped_column(sa.String(16))
    started_by: Mapped[str | None] = mapped_column(sa.String(128))
    """Account id of the person, NULL for scheduled runs and their retries."""
    params: Mapped[dict[str, Any]]
    """`rules`: the rule ids of the due schedules, absent when all take part; `spaces`: a retry's space ids."""
    policy_version: Mapped[int]
    generation: Mapped[int] = mapped_column(default=1)
    dry_run: Mapped[bool] = mapped_column(default=False)
    status: Mapped[str] = mapped_column(sa.String(16))
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    owner: Mapped[str | None] = mapped_column(sa.String(36))
    fence: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    lease_until: Mapped[datetime | None]
    lease_losses: Mapped[int] = mapped_column("losses", default=0)
    not_before: Mapped[datetime | None]
    pause_reason: Mapped[str | None] = mapped_column(sa.Text)
    cancel_requested_at: Mapped[datetime | None]
    cancel_requested_by: Mapped[str | None] = mapped_column(sa.String(128))
    listed: Mapped[bool] = mapped_column(default=False)
    """Whether the space list has been fixed."""
    spaces_total: Mapped[int | None]
    spaces_done: Mapped[int] = mapped_column(default=0)
    spaces_failed: Mapped[int] = mapped_column(default=0)
    spaces_unseen: Mapped[int | None]
    """How many were skipped because the app could not see them (any more); NULL while active."""
    percent: Mapped[int] = mapped_column(default=0)
    expected_end_at: Mapped[datetime | None]
    """Estimated from the rate at which spaces ended when one was last recorded; NULL while there is no estimate."""
    progress_at: Mapped[datetime | None]
    """When a safe point was last passed; older than ten minutes means no progress."""
    points: Mapped[int] = mapped_column(default=0)
    calls: Mapped[int] = mapped_column(default=0)
    extra_metrics: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Metrics that belong to the execution and to no single space, such as contentsChecked of a group."""
    metrics: Mapped[dict[str, Any] | None]
    """The final sums, written once, with the terminal transition."""
    error: Mapped[str | None] = mapped_column(sa.Text)
    error_transient: Mapped[bool] = mapped_column(default=False)
    """Whether what `error` says is temporary: only then is the execution retried."""
    retry_of: Mapped[str | None] = mapped_column(sa.ForeignKey("job_execution.id", ondelete="SET NULL"))
    attempt: Mapped[int] = mapped_column(default=1)
    seq: Mapped[int] = mapped_column(default=0)
    """Version counter: the number of audit events written."""
    item_seq: Mapped[int] = mapped_column(default=0)
    """The number of item rows written."""


class ExecutionSpace(TenantScoped, Base):
    """One space of one execution; the list is fixed at the start, a finished space is never redone."""

    __tablename__ = "execution_space"
    __table_args__ = (
        # Progress, retries and the reaper count spaces by state: one in an unknown state would never end.
        sa.CheckConstraint(
            _one_of("state", "pending", "running", "done", "failed", "skipped", "cancelled"), name="state"
        ),
        sa.Index("ix_execution_space_key", "tenant_id", "space_key", "execution_id"),
    )

    execution_id: Mapped[str] = mapped_column(sa.ForeignKey("job_execution.id", ondelete="CASCADE"), primary_key=True)
    space_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    space_key: Mapped[str] = mapped_column(sa.String(255))
    name: Mapped[str] = mapped_column(sa.Text, default="")
    type: Mapped[str] = mapped_column(sa.String(32), default="global")
    position: Mapped[int]
    weight: Mapped[int] = mapped_column(default=1)
    state: Mapped[str] = mapped_column(sa.String(16), default="pending")
    suspect: Mapped[bool] = mapped_column(default=False)
    """It was in work, with others or alone, when a lease was lost: it runs alone from then on."""
    lease_losses: Mapped[int] = mapped_column("losses", default=0)
    """Leases lost while it was in work alone."""
    checkpoint: Mapped[dict[str, Any] | None]
    metrics: Mapped[dict[str, Any]] = mapped_column(default=dict)
    reason: Mapped[str | None] = mapped_column(sa.Text)
    transient: Mapped[bool] = mapped_column(default=False)
    """Whether the failure is temporary: only such spaces are retried."""
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class ExecutionItem(TenantScoped, Base):
    """What one execution did to one page or post, and why. Titles are kept only for what an action removed."""

    __tablename__ = "execution_item"

    execution_id: Mapped[str] = mapped_column(sa.ForeignKey("job_execution.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    space_id: Mapped[str] = mapped_column(sa.String(32))
    space_key: Mapped[str] = mapped_column(sa.String(255))
    content_id: Mapped[str] = mapped_column(sa.String(32))
    title: Mapped[str | None] = mapped_column(sa.Text)
    action: Mapped[str] = mapped_column(sa.String(32))
    outcome: Mapped[str] = mapped_column(sa.String(16))
    reason: Mapped[str | None] = mapped_column(sa.Text)
    at: Mapped[datetime]


class AuditEvent(TenantScoped, Base):
    """Append-only history of transitions, in the same transaction as the transition itself."""

    __tablename__ = "audit_event"
    __table_args__ = (
        sa.UniqueConstraint("execution_id", "seq"),
        # Why slots were missed is read from the lane's own events, a handful among the events of all executions.
        sa.Index(
            "ix_audit_event_lane",
            "tenant_id",
            "id",
            postgresql_where=sa.text("execution_id IS NULL"),
            sqlite_where=sa.text("execution_id IS NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    execution_id: Mapped[str | None] = mapped_column(sa.ForeignKey("job_execution.id", ondelete="CASCADE"))
    seq: Mapped[int]
    at: Mapped[datetime]
    actor_type: Mapped[str] = mapped_column(sa.String(16))
    actor_id: Mapped[str | None] = mapped_column(sa.String(128))
    tag: Mapped[str] = mapped_column(sa.String(64))
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)


class RetryDue(TenantScoped, Base):
    """A retry that waits: inserted with the failure, deleted with the start or the end of the chain."""

    __tablename__ = "retry_due"

    failed_execution_id: Mapped[str] = mapped_column(
        sa.ForeignKey("job_execution.id", ondelete="CASCADE"), primary_key=True
    )
    job_type: Mapped[str] = mapped_column(sa.String(64))
    due_at: Mapped[datetime]
    attempt: Mapped[int]


class Worker(Base):
    """One process that runs executions, under an id that is new at every start."""

    __tablename__ = "worker"

    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    host: Mapped[str] = mapped_column(sa.String(255))
    pid: Mapped[int]
    version: Mapped[str] = mapped_column(sa.String(64))
    started_at: Mapped[datetime]
    heartbeat_at: Mapped[datetime]
    draining: Mapped[bool] = mapped_column(default=False)
    runners: Mapped[int | None]
    """How many executions it runs at once; none where it only serves, unknown for a process of an older version."""
