"""What bounded schedules, suspected spaces and remembered space lists need."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

WITHDRAWN = "(outcome = 'withdrawn') = (reason IN ('changed', 'switched_off', 'removed', 'installed'{more}))"


def upgrade() -> None:
    op.add_column("execution_space", sa.Column("suspect", sa.Boolean(), nullable=False, server_default=sa.false()))
    # Losses were counted against every space of a group: one that has some is suspected now, and nothing more.
    op.execute("UPDATE execution_space SET suspect = (losses > 0), losses = 0 WHERE state IN ('pending', 'running')")
    op.add_column("archive_task", sa.Column("action", sa.String(length=16), nullable=True))
    op.create_table(
        "space_listing",
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.Column("listed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("types", sa.JSON(), nullable=False),
        sa.Column("counted", sa.BigInteger(), nullable=True),
        sa.Column("named", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_space_listing_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_space_listing")),
    )
    op.create_table(
        "site_space",
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.Column("space_id", sa.String(length=32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_site_space_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "space_id", name=op.f("pk_site_space")),
    )
    op.create_table(
        "spent_token",
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("body", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_spent_token")),
    )
    op.create_index(op.f("ix_spent_token_expires_at"), "spent_token", ["expires_at"])
    op.create_table(
        "rights_change",
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.Column("changes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_rights_change_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_rights_change")),
    )
    op.add_column("job_execution", sa.Column("spaces_unseen", sa.Integer(), nullable=True))
    op.add_column("content_stamp", sa.Column("single", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("site_trait") as site_trait:
        site_trait.add_column(sa.Column("readings", sa.JSON(), nullable=True))
    op.create_index("ix_outbox_begun", "outbox", ["begun_at"])
    op.execute("UPDATE outbox SET subject = '' WHERE state <> 'pending'")
    _bound_schedules()


def downgrade() -> None:
    _unbound_schedules()
    op.drop_index("ix_outbox_begun", table_name="outbox")
    with op.batch_alter_table("content_stamp") as content_stamp:
        content_stamp.drop_column("single")
    with op.batch_alter_table("site_trait") as site_trait:
        site_trait.drop_column("readings")
    op.drop_table("spent_token")
    op.drop_column("job_execution", "spaces_unseen")
    op.drop_table("rights_change")
    op.drop_table("site_space")
    op.drop_table("space_listing")
    with op.batch_alter_table("archive_task") as batch:
        batch.drop_column("action")
    with op.batch_alter_table("execution_space") as batch:
        batch.drop_column("suspect")


def _bound_schedules() -> None:
    op.add_column("job_schedule", sa.Column("settled_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("job_schedule", sa.Column("unreadable", sa.Text(), nullable=True))
    op.add_column("worker", sa.Column("runners", sa.Integer(), nullable=True))
    with op.batch_alter_table("schedule_fire") as batch:
        batch.add_column(sa.Column("earlier", sa.Integer(), server_default="0", nullable=False))
        batch.add_column(sa.Column("earlier_since", sa.DateTime(timezone=True), nullable=True))
        batch.drop_constraint(op.f("ck_schedule_fire_withdrawn"), type_="check")
        batch.create_check_constraint(op.f("ck_schedule_fire_withdrawn"), WITHDRAWN.format(more=", 'unreadable'"))
        batch.create_check_constraint(op.f("ck_schedule_fire_earlier"), "(earlier > 0) = (earlier_since IS NOT NULL)")


def _unbound_schedules() -> None:
    op.execute("UPDATE schedule_fire SET reason = 'changed' WHERE reason = 'unreadable'")
    with op.batch_alter_table("schedule_fire") as batch:
        batch.drop_constraint(op.f("ck_schedule_fire_earlier"), type_="check")
        batch.drop_constraint(op.f("ck_schedule_fire_withdrawn"), type_="check")
        batch.create_check_constraint(op.f("ck_schedule_fire_withdrawn"), WITHDRAWN.format(more=""))
        batch.drop_column("earlier_since")
        batch.drop_column("earlier")
    op.drop_column("worker", "runners")
    op.drop_column("job_schedule", "unreadable")
    op.drop_column("job_schedule", "settled_until")
