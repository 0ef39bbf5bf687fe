"""Alembic's entry: runs the migrations on the connection that addon.schema hands over."""

from alembic import context

import addon.models  # noqa: F401  (registers every table)
from addon.base import metadata


def run() -> None:
    """Run the migrations inside the caller's transaction."""
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite"
    )
    with context.begin_transaction():
        context.run_migrations()


run()
