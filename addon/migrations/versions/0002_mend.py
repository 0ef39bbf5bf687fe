"""What bounded schedules, suspected spaces and remembered space lists need."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("execution_space", sa.Column("suspect", sa.Boolean(), nullable=False, server_default=sa.false()))
    # Losses were counted against every space of a group: whoever has some is suspected now, and nothing more.
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
    with op.batch_alter_table("site_trait") as site_trait:
        site_trait.add_column(sa.Column("readings", sa.JSON(), nullable=True))
        site_trait.add_column(sa.Column("time_zone", sa.String(length=64), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("site_trait") as site_trait:
        site_trait.drop_column("time_zone")
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
