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


def downgrade() -> None:
    with op.batch_alter_table("archive_task") as batch:
        batch.drop_column("action")
    with op.batch_alter_table("execution_space") as batch:
        batch.drop_column("suspect")
