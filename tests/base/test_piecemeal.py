"""Rows that are written together: one that the database refuses costs no other its place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event, exc

from addon.base import Database, is_away
from addon.base.piecemeal import write_piecemeal
from tests.support.postgres import BOTH

TABLE = sa.Table("thing", sa.MetaData(), sa.Column("number", sa.Integer, sa.CheckConstraint("number < 100")))


def written(database: Database, numbers: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Return what was refused and what is stored afterwards."""
    TABLE.create(database.engine, checkfirst=True)
    with database.write_all() as session:
        session.execute(TABLE.insert(), [{"number": 1}])
        refused = write_piecemeal(
            session, numbers, lambda some: session.execute(TABLE.insert(), [{"number": number} for number in some])
        )
    with database.read_all() as session:
        return refused, list(session.scalars(sa.select(TABLE.c.number).order_by(TABLE.c.number)))


@BOTH
@pytest.mark.parametrize("bad", [[], [500], [500, 501], [2**70], [500, 2**70, 2**40]])
def test_all_rows_but_those_that_are_refused_are_written(database: Database, bad: list[int]) -> None:
    good = list(range(2, 40))
    assert written(database, [*good[:7], *bad[:1], *good[7:], *bad[1:]]) == (bad, [1, *good])


@BOTH
def test_where_every_row_is_refused_what_was_written_before_stays(database: Database) -> None:
    assert written(database, [200, 201, 202]) == ([200, 201, 202], [1])


@BOTH
def test_what_is_wrong_for_all_rows_is_no_rows_fault(database: Database) -> None:
    def write(some: Sequence[int]) -> None:
        session.execute(sa.text("INSERT INTO nowhere VALUES (1)"))

    with database.write_all() as session, pytest.raises((exc.OperationalError, exc.ProgrammingError)):
        write_piecemeal(session, [1, 2], write)


def test_a_disk_that_is_full_is_raised_as_that(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'full.db'}")
    table = sa.Table("long", sa.MetaData(), sa.Column("text", sa.Text))
    table.create(database.engine)
    event.listen(database.engine, "checkout", lambda connection, *_: connection.execute("PRAGMA max_page_count=20"))
    with pytest.raises(exc.OperationalError) as raised, database.write_all() as session:
        write_piecemeal(
            session, ["x" * 4000] * 100, lambda some: session.execute(table.insert(), [{"text": text} for text in some])
        )
    assert is_away(raised.value), raised.value
    with database.write_all() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(table)) == 0
    database.dispose()
