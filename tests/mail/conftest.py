"""A tenant with an execution, a mail server, and mails of people named p1, p2, and so on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pytest
import sqlalchemy as sa

from addon.base import Database, TenantId, new_id
from addon.engine.models import JobExecution
from addon.mail import Mailer, NewMail, SmtpTransport
from addon.mail.models import OutboxMail
from addon.mail.transport import Transport
from tests.support.clock import VirtualClock
from tests.support.smtp import MailServer

MAIL_FROM = "Content Steward <steward@example.com>"


def by_account(tenant_id: TenantId, account_ids: Sequence[str]) -> Mapping[str, str | None]:
    """Everybody's address is their account id at example.org."""
    return {account_id: f"{account_id}@example.org" for account_id in account_ids}


@dataclass
class Post:
    """The outbox of one tenant as a test sees it."""

    database: Database
    clock: VirtualClock
    tenant: TenantId
    execution: str
    server: MailServer

    def mailer(self, transport: Transport | None = None) -> Mailer:
        return Mailer(self.database, self.clock, transport or self.transport(), MAIL_FROM)

    def transport(self) -> SmtpTransport:
        return SmtpTransport.from_url(self.server.url, timeout=10)

    def mails(self, *people: str) -> list[NewMail]:
        return [
            NewMail(self.tenant, self.execution, person, f"For {person}", f"Text for {person}\n", f"<p>{person}</p>\n")
            for person in people
        ]

    def enqueue(self, *people: str) -> int:
        with self.database.write(self.tenant) as session:
            return self.mailer().enqueue(session, self.mails(*people))

    def counts(self) -> dict[str, int]:
        with self.database.read(self.tenant) as session:
            return self.mailer().counts(session, self.execution)

    def row(self, person: str) -> OutboxMail:
        with self.database.read(self.tenant) as session:
            return session.scalars(sa.select(OutboxMail).where(OutboxMail.account_id == person)).one()

    def states(self) -> dict[str, str]:
        with self.database.read(self.tenant) as session:
            return {row.account_id: row.state for row in session.scalars(sa.select(OutboxMail))}


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as running:
        yield running


@pytest.fixture
def new_execution(database: Database, clock: VirtualClock) -> Callable[[TenantId], str]:
    def make(tenant_id: TenantId) -> str:
        execution_id = new_id()
        with database.write(tenant_id) as session:
            session.add(
                JobExecution(
                    id=execution_id,
                    tenant_id=tenant_id,
                    job_type="send-notifications",
                    scope="site",
                    trigger="manual",
                    params={},
                    policy_version=1,
                    status="finalizing",
                    started_at=clock.now(),
                )
            )
        return execution_id

    return make


@pytest.fixture
def post(
    database: Database,
    clock: VirtualClock,
    new_tenant: Callable[..., TenantId],
    new_execution: Callable[[TenantId], str],
    server: MailServer,
) -> Post:
    tenant = new_tenant()
    return Post(database, clock, tenant, new_execution(tenant), server)
