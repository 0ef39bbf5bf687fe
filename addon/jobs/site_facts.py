"""What is known of a site apart from its items, one row per tenant: how it negates, its types of space, the last sweep.

Everything here may be lost without harm: it is found out again, for points.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import TenantId, insert, within
from addon.confluence.cql import Spelling, spelling
from addon.jobs.models import SiteTrait

PROBED_EVERY = timedelta(days=7)
Negation = Literal["inclusive", "exclusive", "unknown"]
Readings = Mapping[str, str]
"""How the site reads "<form> <type>" of negations, see addon.confluence.cql.negation; what is missing is not known."""


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """One site's row; see addon.jobs.models.SiteTrait."""

    negation: Negation = "unknown"
    probed_at: datetime | None = None
    census: Mapping[str, int] = field(default_factory=dict)
    unfound: tuple[str, ...] = ()
    census_at: datetime | None = None
    swept_to: str | None = None
    swept_at: datetime | None = None
    readings: Readings = field(default_factory=dict)

    @property
    def spelling(self) -> Spelling:
        """Return how negations are put to the site, so that they mean there what they mean here."""
        return spelling(self.readings)

    def probe_due(self, now: datetime) -> bool:
        """Return whether the site is to be asked again how it reads negations."""
        unknown = self.negation == "unknown" or not self.readings
        return unknown or self.probed_at is None or not within(PROBED_EVERY, self.probed_at, now)


def load(session: Session) -> SiteFacts:
    """Return what is known of the session's tenant."""
    row = session.scalars(sa.select(SiteTrait)).one_or_none()
    if row is None:
        return SiteFacts()
    return SiteFacts(
        cast(Negation, row.negation),
        row.probed_at,
        {str(name): int(number) for name, number in row.census.items()},
        tuple(row.unfound),
        row.census_at,
        row.swept_to,
        row.swept_at,
        dict(row.readings or {}),
    )


def negation_of_site(session: Session) -> Negation:
    """Return whether NOT also finds what lacks the field, on the site of the session's tenant."""
    return load(session).negation


def save(session: Session, tenant_id: TenantId, **values: Any) -> None:
    """Store some of the fields of SiteFacts. Part of the caller's write transaction."""
    fresh = {"negation": "unknown", "census": {}, "unfound": []} | values
    statement = insert(session, SiteTrait).values(tenant_id=tenant_id, **fresh)
    session.execute(statement.on_conflict_do_update(index_elements=["tenant_id"], set_=values))
