"""A database that refuses single rows, as a column that is too small for them would."""

from __future__ import annotations

import sqlalchemy as sa

from addon.base import Database


def refuse(database: Database, table: str, column: str, value: str) -> None:
    """Let the database refuse every row of `table` that has `value` in `column`."""
    with database.engine.begin() as connection:
        if database.is_sqlite:
            connection.execute(
                sa.text(
                    f"CREATE TRIGGER refuse_{table} BEFORE INSERT ON {table} WHEN NEW.{column} = '{value}' "
                    "BEGIN SELECT RAISE(ABORT, 'refused by the test'); END"
                )
            )
        else:
            constraint = f"CHECK ({column} IS DISTINCT FROM '{value}')"
            connection.execute(sa.text(f"ALTER TABLE {table} ADD CONSTRAINT refused {constraint}"))
