"""What bounded schedules, suspected spaces and remembered space lists need."""

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
