"""Many old rows of one tenant go in short transactions, and none of another tenant's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from addon.base import Database, TenantId, sweep
from addon.jobs.models import SiteSpace

TenantIn = Callable[..., TenantId]


def _spaces(db: Database, tenant_id: TenantId, number: int) -> None:
    with db.write(tenant_id) as session:
        for position in range(number):
            key = {"tenant_id": tenant_id, "space_id": str(position), "position": position}
            session.add(SiteSpace(**key, key=f"S{position}", name="A space", type="global"))


def _left(db: Database, tenant_id: TenantId) -> list[int]:
    with db.read(tenant_id) as session:
        return list(session.scalars(sa.select(SiteSpace.position).order_by(SiteSpace.position)))


def test_rows_that_meet_the_conditions_go_batch_by_batch_and_the_other_tenants_stay(
    db: Database, tenant_in: TenantIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "BATCH", 3)
    mine, other = tenant_in(db), tenant_in(db)
    for tenant_id in (mine, other):
        _spaces(db, tenant_id, 10)
    assert sweep.sweep(db, mine, SiteSpace, SiteSpace.position < 7) == 7
    assert _left(db, mine) == [7, 8, 9]
    assert _left(db, other) == list(range(10))
    assert sweep.sweep(db, mine, SiteSpace, SiteSpace.position < 7) == 0


def test_a_row_that_another_process_has_locked_is_left_to_it(
    postgres_database: Database, tenant_in: TenantIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = postgres_database
    monkeypatch.setattr(sweep, "BATCH", 3)
    mine = tenant_in(db)
    _spaces(db, mine, 5)
    with db.write(mine) as session:
        session.execute(sa.select(SiteSpace).where(SiteSpace.position == 1).with_for_update())
        assert sweep.sweep(db, mine, SiteSpace) == 2, "it does not wait, and leaves the rest for the next sweep"
    assert _left(db, mine) == [1, 3, 4]
