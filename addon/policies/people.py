"""The people whom policies name as recipients, and those who saved a version: found, and taken out again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import REMOVED_PERSON, TenantId
from addon.policies.models import PolicyVersion


def forget_person(session: Session, tenant_id: TenantId, account_id: str) -> None:
    """Take a person out of every version of the tenant's policies: as recipient, and as the one who saved it.

    A recipient becomes REMOVED_PERSON; a rule without another one then mails no one. What administrators wrote as text
    (a CQL, a reason) stays as it is.
    """
    naming = sa.cast(PolicyVersion.document, sa.Text).contains(account_id, autoescape=True)
    for row in session.scalars(sa.select(PolicyVersion).where(PolicyVersion.tenant_id == tenant_id, naming)):
        row.document = _without(row.document, account_id)
    session.flush()
    saved = sa.and_(PolicyVersion.tenant_id == tenant_id, PolicyVersion.by == account_id)
    session.execute(sa.update(PolicyVersion).where(saved).values(by=None).execution_options(synchronize_session=False))


def people_named(session: Session) -> Iterator[tuple[TenantId, str, datetime]]:
    """Yield tenant, account id and time of every version that names a person or was saved by one, over all tenants."""
    row = PolicyVersion
    for tenant_id, document, by, at in session.execute(sa.select(row.tenant_id, row.document, row.by, row.at)):
        if by is not None:
            yield tenant_id, by, at
        for account_id in _users(document):
            yield tenant_id, account_id, at


def _users(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if set(node) == {"user"} and isinstance(node["user"], str):
            yield node["user"]
        else:
            for value in node.values():
                yield from _users(value)
    elif isinstance(node, list):
        for value in node:
            yield from _users(value)


def _without(node: Any, account_id: str) -> Any:
    if isinstance(node, dict):
        if node == {"user": account_id}:
            return {"user": REMOVED_PERSON}
        return {name: _without(value, account_id) for name, value in node.items()}
    if isinstance(node, list):
        return [_without(value, account_id) for value in node]
    return node
