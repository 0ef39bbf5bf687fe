"""First light: every table of the house."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "account_report",
        sa.Column("account_id", sa.String(length=128), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("refreshed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_account_report")),
    )
    op.create_table(
        "quota_hour",
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("scope", sa.String(length=36), nullable=False),
        sa.Column("reserved", sa.Integer(), nullable=False),
        sa.Column("limit", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=True),
        sa.Column("closed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('drawing', 'waiting', 'refused')", name=op.f("ck_quota_hour_state")),
        sa.PrimaryKeyConstraint("hour", "scope", name=op.f("pk_quota_hour")),
    )
    op.create_table(
        "report_cycle",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_report_cycle_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_cycle")),
    )
    op.create_table(
        "tenant",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("client_key", sa.String(length=255), nullable=False),
        sa.Column("base_url", sa.String(length=500), nullable=False),
        sa.Column("display_url", sa.String(length=500), nullable=True),
        sa.Column("oauth_client_id", sa.String(length=255), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("needs_reinstall", sa.Boolean(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        sa.Column("secret_version", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("lifecycle_iat", sa.BigInteger(), nullable=False),
        sa.Column("installed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uninstalled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(state = 'installed') = (secret IS NOT NULL)", name=op.f("ck_tenant_secret_while_installed")
        ),
        sa.CheckConstraint("state IN ('installed', 'uninstalled')", name=op.f("ck_tenant_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenant")),
        sa.UniqueConstraint("client_key", name=op.f("uq_tenant_client_key")),
    )
    op.create_table(
        "worker",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("draining", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker")),
    )
    op.create_table(
        "content_stamp",
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.Column("content_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("space_id", sa.String(length=32), nullable=False),
        sa.Column("slug", sa.String(length=64), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=True),
        sa.Column("changed_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("property_id", sa.String(length=32), nullable=True),
        sa.Column("property_version", sa.Integer(), nullable=True),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_only_since", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('page', 'blogpost')", name=op.f("ck_content_stamp_kind")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_content_stamp_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "content_id", name=op.f("pk_content_stamp")),
    )
    op.create_index("ix_content_stamp_space", "content_stamp", ["tenant_id", "space_id", "slug"], unique=False)
    op.create_table(
        "indicator_switch",
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("spaces", sa.Integer(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_indicator_switch_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_indicator_switch")),
    )
    op.create_table(
        "job_execution",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("job_type", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.String(length=8), nullable=False),
        sa.Column("space_id", sa.String(length=32), nullable=True),
        sa.Column("space_key", sa.String(length=255), nullable=True),
        sa.Column("trigger", sa.String(length=16), nullable=False),
        sa.Column("started_by", sa.String(length=128), nullable=True),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("owner", sa.String(length=36), nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("losses", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pause_reason", sa.Text(), nullable=True),
        sa.Column("cancel_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_requested_by", sa.String(length=128), nullable=True),
        sa.Column("listed", sa.Boolean(), nullable=False),
        sa.Column("spaces_total", sa.Integer(), nullable=True),
        sa.Column("spaces_done", sa.Integer(), nullable=False),
        sa.Column("spaces_failed", sa.Integer(), nullable=False),
        sa.Column("percent", sa.Integer(), nullable=False),
        sa.Column("expected_end_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("progress_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("extra_metrics", sa.JSON(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("error_transient", sa.Boolean(), nullable=False),
        sa.Column("retry_of", sa.String(length=36), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("item_seq", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.CheckConstraint(
            "(status IN ('successful', 'failed', 'cancelled')) = (ended_at IS NOT NULL)",
            name=op.f("ck_job_execution_ended"),
        ),
        sa.CheckConstraint("scope IN ('site', 'space')", name=op.f("ck_job_execution_scope")),
        sa.CheckConstraint(
            "status <> 'cancelling' OR owner IS NOT NULL", name=op.f("ck_job_execution_cancelling_owned")
        ),
        sa.CheckConstraint(
            "status IN ('running', 'finalizing', 'cancelling', 'successful', 'failed', 'cancelled')",
            name=op.f("ck_job_execution_status"),
        ),
        sa.CheckConstraint("trigger IN ('scheduled', 'manual', 'retry')", name=op.f("ck_job_execution_trigger")),
        sa.CheckConstraint("(owner IS NULL) = (lease_until IS NULL)", name=op.f("ck_job_execution_owned_with_lease")),
        sa.ForeignKeyConstraint(
            ["retry_of"], ["job_execution.id"], name=op.f("fk_job_execution_retry_of"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_job_execution_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_execution")),
    )
    op.create_index(
        "ix_job_execution_claimable",
        "job_execution",
        ["status", "owner", "lease_until"],
        unique=False,
        postgresql_where=sa.text("status IN ('running', 'finalizing', 'cancelling')"),
        sqlite_where=sa.text("status IN ('running', 'finalizing', 'cancelling')"),
    )
    op.create_index("ix_job_execution_ended", "job_execution", ["tenant_id", "ended_at"], unique=False)
    op.create_index("ix_job_execution_history", "job_execution", ["tenant_id", "id"], unique=False)
    op.create_index("ix_job_execution_retry_of", "job_execution", ["retry_of"], unique=False)
    op.create_index(
        "uq_job_execution_active",
        "job_execution",
        ["tenant_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('running', 'finalizing', 'cancelling')"),
        sqlite_where=sa.text("status IN ('running', 'finalizing', 'cancelling')"),
    )
    op.create_table(
        "job_schedule",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("job_type", sa.String(length=64), nullable=False),
        sa.Column("rule_id", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("cron", sa.String(length=100), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("next_fire_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("max_lateness_s", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.CheckConstraint("removed_at IS NULL OR NOT enabled", name=op.f("ck_job_schedule_removed")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_job_schedule_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_schedule")),
        sa.UniqueConstraint(
            "tenant_id", "job_type", "rule_id", name=op.f("uq_job_schedule_tenant_id_job_type_rule_id")
        ),
    )
    op.create_index(
        "ix_job_schedule_due",
        "job_schedule",
        ["next_fire_at"],
        unique=False,
        postgresql_where=sa.text("enabled"),
        sqlite_where=sa.text("enabled"),
    )
    op.create_table(
        "lane",
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("first_run", sa.Boolean(), nullable=False),
        sa.Column("hold", sa.Boolean(), nullable=False),
        sa.Column("hold_reason", sa.Text(), nullable=True),
        sa.Column("hold_by", sa.String(length=128), nullable=True),
        sa.Column("hold_until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_lane_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_lane")),
    )
    op.create_table(
        "policy_version",
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("by", sa.String(length=128), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_policy_version_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "version", name=op.f("pk_policy_version")),
    )
    op.create_table(
        "site_hint",
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject_id", sa.String(length=255), nullable=False),
        sa.Column("space_key", sa.String(length=255), nullable=True),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("heard_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('page', 'blogpost', 'space')", name=op.f("ck_site_hint_kind")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_site_hint_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "kind", "subject_id", name=op.f("pk_site_hint")),
    )
    op.create_index("ix_site_hint_heard", "site_hint", ["tenant_id", "heard_at"], unique=False)
    op.create_table(
        "site_trait",
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.Column("negation", sa.String(length=16), nullable=False),
        sa.Column("probed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("census", sa.JSON(), nullable=False),
        sa.Column("unfound", sa.JSON(), nullable=False),
        sa.Column("census_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("swept_to", sa.String(length=32), nullable=True),
        sa.Column("swept_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("negation IN ('inclusive', 'exclusive', 'unknown')", name=op.f("ck_site_trait_negation")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_site_trait_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_site_trait")),
    )
    op.create_table(
        "status_slug",
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.Column("slug", sa.String(length=64), nullable=False),
        sa.Column("first_version", sa.Integer(), nullable=False),
        sa.Column("removed_version", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_status_slug_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "slug", name=op.f("pk_status_slug")),
    )
    op.create_table(
        "archive_task",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("execution_id", sa.String(length=36), nullable=False),
        sa.Column("space_id", sa.String(length=32), nullable=False),
        sa.Column("automation_id", sa.String(length=200), nullable=False),
        sa.Column("page_ids", sa.JSON(), nullable=False),
        sa.Column("titles", sa.JSON(), nullable=False),
        sa.Column("task_id", sa.String(length=64), nullable=True),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["job_execution.id"], name=op.f("fk_archive_task_execution_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_archive_task_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_archive_task")),
    )
    op.create_index("ix_archive_task_open", "archive_task", ["execution_id", "ended_at"], unique=False)
    op.create_table(
        "audit_event",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("execution_id", sa.String(length=36), nullable=True),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_type", sa.String(length=16), nullable=False),
        sa.Column("actor_id", sa.String(length=128), nullable=True),
        sa.Column("tag", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["job_execution.id"], name=op.f("fk_audit_event_execution_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_audit_event_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_event")),
        sa.UniqueConstraint("execution_id", "seq", name=op.f("uq_audit_event_execution_id_seq")),
    )
    op.create_index(
        "ix_audit_event_lane",
        "audit_event",
        ["tenant_id", "id"],
        unique=False,
        postgresql_where=sa.text("execution_id IS NULL"),
        sqlite_where=sa.text("execution_id IS NULL"),
    )
    op.create_table(
        "execution_item",
        sa.Column("execution_id", sa.String(length=36), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("space_id", sa.String(length=32), nullable=False),
        sa.Column("space_key", sa.String(length=255), nullable=False),
        sa.Column("content_id", sa.String(length=32), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["job_execution.id"], name=op.f("fk_execution_item_execution_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_execution_item_tenant_id")),
        sa.PrimaryKeyConstraint("execution_id", "seq", name=op.f("pk_execution_item")),
    )
    op.create_table(
        "execution_space",
        sa.Column("execution_id", sa.String(length=36), nullable=False),
        sa.Column("space_id", sa.String(length=32), nullable=False),
        sa.Column("space_key", sa.String(length=255), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("losses", sa.Integer(), nullable=False),
        sa.Column("checkpoint", sa.JSON(), nullable=True),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("transient", sa.Boolean(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.CheckConstraint(
            "state IN ('pending', 'running', 'done', 'failed', 'skipped', 'cancelled')",
            name=op.f("ck_execution_space_state"),
        ),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["job_execution.id"], name=op.f("fk_execution_space_execution_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_execution_space_tenant_id")),
        sa.PrimaryKeyConstraint("execution_id", "space_id", name=op.f("pk_execution_space")),
    )
    op.create_index(
        "ix_execution_space_key", "execution_space", ["tenant_id", "space_key", "execution_id"], unique=False
    )
    op.create_table(
        "notification_match",
        sa.Column("execution_id", sa.String(length=36), nullable=False),
        sa.Column("rule_id", sa.String(length=200), nullable=False),
        sa.Column("content_id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=128), nullable=False),
        sa.Column("space_id", sa.String(length=32), nullable=False),
        sa.Column("space_key", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("slug", sa.String(length=64), nullable=True),
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["job_execution.id"], name=op.f("fk_notification_match_execution_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_notification_match_tenant_id")),
        sa.PrimaryKeyConstraint(
            "execution_id", "rule_id", "content_id", "account_id", name=op.f("pk_notification_match")
        ),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("execution_id", sa.String(length=36), nullable=True),
        sa.Column("dedupe_key", sa.String(length=255), nullable=False),
        sa.Column("account_id", sa.String(length=128), nullable=False),
        sa.Column("message_id", sa.String(length=255), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_owner", sa.String(length=36), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.CheckConstraint("state IN ('pending', 'sent', 'suppressed', 'dead')", name=op.f("ck_outbox_state")),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["job_execution.id"], name=op.f("fk_outbox_execution_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_outbox_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("dedupe_key", name=op.f("uq_outbox_dedupe_key")),
    )
    op.create_index(
        "ix_outbox_due",
        "outbox",
        ["not_before"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
        sqlite_where=sa.text("state = 'pending'"),
    )
    op.create_index("ix_outbox_ended", "outbox", ["tenant_id", "ended_at"], unique=False)
    op.create_index("ix_outbox_execution", "outbox", ["execution_id", "state"], unique=False)
    op.create_table(
        "retry_due",
        sa.Column("failed_execution_id", sa.String(length=36), nullable=False),
        sa.Column("job_type", sa.String(length=64), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["failed_execution_id"],
            ["job_execution.id"],
            name=op.f("fk_retry_due_failed_execution_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_retry_due_tenant_id")),
        sa.PrimaryKeyConstraint("failed_execution_id", name=op.f("pk_retry_due")),
    )
    op.create_table(
        "schedule_fire",
        sa.Column("schedule_id", sa.String(length=36), nullable=False),
        sa.Column("scheduled_for", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("execution_id", sa.String(length=36), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=True),
        sa.Column("blocked_by", sa.String(length=36), nullable=True),
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.CheckConstraint(
            "(outcome = 'started') = (reason IS NULL)", name=op.f("ck_schedule_fire_missed_for_a_reason")
        ),
        sa.CheckConstraint(
            "(outcome = 'withdrawn') = (reason IN ('changed', 'switched_off', 'removed', 'installed'))",
            name=op.f("ck_schedule_fire_withdrawn"),
        ),
        sa.CheckConstraint(
            "outcome = 'withdrawn' OR reason IN ('busy', 'retry_waiting', 'hold', 'first_run', 'closed', 'unknown')",
            name=op.f("ck_schedule_fire_in_the_way"),
        ),
        sa.CheckConstraint(
            "outcome IN ('started', 'coalesced', 'skipped_late', 'withdrawn')", name=op.f("ck_schedule_fire_outcome")
        ),
        sa.ForeignKeyConstraint(
            ["blocked_by"], ["job_execution.id"], name=op.f("fk_schedule_fire_blocked_by"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["job_execution.id"], name=op.f("fk_schedule_fire_execution_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["schedule_id"], ["job_schedule.id"], name=op.f("fk_schedule_fire_schedule_id")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_schedule_fire_tenant_id")),
        sa.PrimaryKeyConstraint("schedule_id", "scheduled_for", name=op.f("pk_schedule_fire")),
    )
    op.create_index("ix_schedule_fire_at", "schedule_fire", ["tenant_id", "at"], unique=False)
    op.create_index(
        "ix_schedule_fire_blocked_by",
        "schedule_fire",
        ["blocked_by"],
        unique=False,
        postgresql_where=sa.text("blocked_by IS NOT NULL"),
        sqlite_where=sa.text("blocked_by IS NOT NULL"),
    )
    op.create_index("ix_schedule_fire_execution", "schedule_fire", ["execution_id", "tenant_id"], unique=False)
    op.create_index(
        "ix_schedule_fire_missed",
        "schedule_fire",
        ["tenant_id", "scheduled_for", "schedule_id"],
        unique=False,
        postgresql_where=sa.text("outcome IN ('coalesced', 'skipped_late', 'withdrawn')"),
        sqlite_where=sa.text("outcome IN ('coalesced', 'skipped_late', 'withdrawn')"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_schedule_fire_missed",
        table_name="schedule_fire",
        postgresql_where=sa.text("outcome IN ('coalesced', 'skipped_late', 'withdrawn')"),
        sqlite_where=sa.text("outcome IN ('coalesced', 'skipped_late', 'withdrawn')"),
    )
    op.drop_index("ix_schedule_fire_execution", table_name="schedule_fire")
    op.drop_index(
        "ix_schedule_fire_blocked_by",
        table_name="schedule_fire",
        postgresql_where=sa.text("blocked_by IS NOT NULL"),
        sqlite_where=sa.text("blocked_by IS NOT NULL"),
    )
    op.drop_index("ix_schedule_fire_at", table_name="schedule_fire")
    op.drop_table("schedule_fire")
    op.drop_table("retry_due")
    op.drop_index("ix_outbox_execution", table_name="outbox")
    op.drop_index("ix_outbox_ended", table_name="outbox")
    op.drop_index(
        "ix_outbox_due",
        table_name="outbox",
        postgresql_where=sa.text("state = 'pending'"),
        sqlite_where=sa.text("state = 'pending'"),
    )
    op.drop_table("outbox")
    op.drop_table("notification_match")
    op.drop_index("ix_execution_space_key", table_name="execution_space")
    op.drop_table("execution_space")
    op.drop_table("execution_item")
    op.drop_index(
        "ix_audit_event_lane",
        table_name="audit_event",
        postgresql_where=sa.text("execution_id IS NULL"),
        sqlite_where=sa.text("execution_id IS NULL"),
    )
    op.drop_table("audit_event")
    op.drop_index("ix_archive_task_open", table_name="archive_task")
    op.drop_table("archive_task")
    op.drop_table("status_slug")
    op.drop_table("site_trait")
    op.drop_index("ix_site_hint_heard", table_name="site_hint")
    op.drop_table("site_hint")
    op.drop_table("policy_version")
    op.drop_table("lane")
    op.drop_index(
        "ix_job_schedule_due",
        table_name="job_schedule",
        postgresql_where=sa.text("enabled"),
        sqlite_where=sa.text("enabled"),
    )
    op.drop_table("job_schedule")
    op.drop_index(
        "uq_job_execution_active",
        table_name="job_execution",
        postgresql_where=sa.text("status IN ('running', 'finalizing', 'cancelling')"),
        sqlite_where=sa.text("status IN ('running', 'finalizing', 'cancelling')"),
    )
    op.drop_index("ix_job_execution_retry_of", table_name="job_execution")
    op.drop_index("ix_job_execution_history", table_name="job_execution")
    op.drop_index("ix_job_execution_ended", table_name="job_execution")
    op.drop_index(
        "ix_job_execution_claimable",
        table_name="job_execution",
        postgresql_where=sa.text("status IN ('running', 'finalizing', 'cancelling')"),
        sqlite_where=sa.text("status IN ('running', 'finalizing', 'cancelling')"),
    )
    op.drop_table("job_execution")
    op.drop_table("indicator_switch")
    op.drop_index("ix_content_stamp_space", table_name="content_stamp")
    op.drop_table("content_stamp")
    op.drop_table("worker")
    op.drop_table("tenant")
    op.drop_table("report_cycle")
    op.drop_table("quota_hour")
    op.drop_table("account_report")
