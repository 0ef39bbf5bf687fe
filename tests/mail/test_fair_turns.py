"""Leftover mail of many tenants: each has its turn, however much one of them has left behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from addon.base import TenantId
from addon.mail import NewMail
from tests.mail.conftest import Post, by_account
from tests.support.postgres import BOTH
from tests.support.smtp import MailServer

LIMIT = 8.0
"""Seconds of one round, as the outbox tick gives."""


@pytest.fixture
def leave(post: Post, new_execution: Callable[[TenantId], str]) -> Callable[[TenantId, str, int], None]:
    """A function that leaves so many mails of a tenant in the outbox, to people named after `who`."""

    def make(tenant: TenantId, who: str, number: int) -> None:
        execution = post.execution if tenant == post.tenant else new_execution(tenant)
        mails = [NewMail(tenant, execution, f"{who}{n}", "S", "T\n", "<p>T</p>\n") for n in range(number)]
        with post.database.write(tenant) as session:
            post.mailer().enqueue(session, mails)

    return make


def one_second_each(post: Post) -> Callable[[TenantId, Sequence[str]], Mapping[str, str | None]]:
    """Let the look-up of addresses take a second per person, as a slow server would take for each mail."""

    def addresses(tenant: TenantId, people: Sequence[str]) -> Mapping[str, str | None]:
        post.clock.advance(0.5 * len(people))
        return by_account(tenant, people)

    return addresses


@BOTH
def test_a_tenant_with_hundreds_of_leftovers_does_not_keep_the_others_waiting(
    post: Post, server: MailServer, leave: Callable[..., None], new_tenant: Callable[..., TenantId]
) -> None:
    big, small = post.tenant, [new_tenant() for _ in range(3)]
    leave(big, "big", 300)
    for number, tenant in enumerate(small):
        leave(tenant, f"small{number}x", 2)
    post.mailer().send_due(addresses=by_account, seconds=LIMIT)
    assert sum(to.startswith("small") for to in server.recipients[:60]) >= 6, "within the first turns"
    assert post.mailer().send_due(addresses=by_account).pending == 0
    assert len(set(server.recipients)) == len(server.recipients) == 306


def test_where_the_time_ends_in_the_middle_of_a_round_the_next_one_begins_with_the_others(
    post: Post, server: MailServer, leave: Callable[..., None], new_tenant: Callable[..., TenantId]
) -> None:
    tenants = [post.tenant, *(new_tenant() for _ in range(3))]
    for number, tenant in enumerate(tenants):
        leave(tenant, f"t{number}x", 40)
    mailer = post.mailer()
    slow = one_second_each(post)
    for _ in range(4):
        mailer.send_due(addresses=slow, seconds=LIMIT)
    served = {to[:2] for to in server.recipients}
    assert served == {"t0", "t1", "t2", "t3"}
    numbers = [sum(to.startswith(f"t{number}x") for to in server.recipients) for number in range(4)]
    assert max(numbers) - min(numbers) <= 10, "nobody is more than a turn ahead"
