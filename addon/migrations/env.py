"""Alembic's entry: runs the migrations on the connection that addon.migrations.schema hands over."""

from alembic import context

import addon.migrations.tables  # noqa: F401  (registers every table)
from addon.base import metadata
from addon.engine import TRIGGER_DDL


def run() -> None:
    """Run the migrations inside the caller's transaction."""
    connection = context.config.attributes["connection"]
    # The trigger names columns and forbids changes of ended executions: no migration, up or down, can work under it.
    # addon.migrations.schema makes it again afterwards.
    _, drop_trigger = TRIGGER_DDL[connection.dialect.name]
    connection.exec_driver_sql(drop_trigger)
    context.configure(
        connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite"
    )
    with context.begin_transaction():
        context.run_migrations()


run()
