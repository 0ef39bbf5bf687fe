"""A sender dies, hangs or meets another one: the mails are taken over, and nobody gets one twice."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest

from addon.mail import Mailer, SmtpTransport
from addon.mail.outbox import LEASE, UNKNOWN
from addon.mail.transport import Conversation
from tests.mail.conftest import MAIL_FROM, Post, by_account
from tests.support.postgres import BOTH
from tests.support.smtp import MailServer


class Killed(BaseException):
    """Takes the place of SIGKILL: nothing of ours handles it."""


class DyingTransport:
    """Sends by `real` until `deliveries` mails went out; then the process "dies" at the given point."""

    def __init__(self, real: SmtpTransport, deliveries: int, *, after_content: bool) -> None:
        self._real = real
        self.left = deliveries
        self.after_content = after_content

    def session(self) -> AbstractContextManager[Conversation]:
        return nullcontext(self)

    def deliver(self, sender: str, recipient: str, content: bytes, handing_over: Callable[[], None]) -> None:
        self.left -= 1
        if self.left < 0 and not self.after_content:
            raise Killed
        with self._real.session() as session:
            session.deliver(sender, recipient, content, handing_over)
        if self.left < 0:
            raise Killed


class DeadMailer(Mailer):
    """A mailer whose process dies: what `send_due` does at its end is not done either."""

    def send_due(self, *args: object, **options: object) -> None:  # type: ignore[override]
        from addon.mail.outbox import Outbox

        release, Outbox.release = Outbox.release, lambda *_, **__: None  # type: ignore[method-assign]
        try:
            super().send_due(*args, **options)  # type: ignore[arg-type]
        finally:
            Outbox.release = release  # type: ignore[method-assign]


def test_leases_are_kept_while_a_slow_batch_goes_out(post: Post, server: MailServer) -> None:
    post.enqueue("p1", "p2", "p3")
    other = post.mailer()
    late: list[int] = []

    def slow() -> None:
        if server.mails:
            post.clock.advance(LEASE / 2)
            late.append(other.send_due(post.tenant, addresses=by_account).sent)

    post.mailer().send_due(post.tenant, addresses=by_account, before_each=slow)
    assert Counter(server.recipients) == {"p1@example.org": 1, "p2@example.org": 1, "p3@example.org": 1}
    assert late == [0, 0, 0]


def test_killed_before_the_content_and_the_next_sender_sends_it(post: Post, server: MailServer) -> None:
    post.enqueue("p1", "p2", "p3")
    dying = DyingTransport(post.transport(), 1, after_content=False)
    with pytest.raises(Killed):
        DeadMailer(post.database, post.clock, dying, MAIL_FROM).send_due(post.tenant, addresses=by_account)
    assert post.mailer().send_due(post.tenant, addresses=by_account).sent == 0, "leased by the dead one still"
    post.clock.advance(LEASE)
    assert post.mailer().send_due(post.tenant, addresses=by_account).sent == 2
    assert Counter(server.recipients) == {f"p{n}@example.org": 1 for n in (1, 2, 3)}


@BOTH
def test_killed_between_the_content_and_the_commit_and_nobody_gets_the_digest_twice(
    post: Post, server: MailServer
) -> None:
    post.enqueue("p1", "p2", "p3")
    dying = DyingTransport(post.transport(), 1, after_content=True)
    with pytest.raises(Killed):
        DeadMailer(post.database, post.clock, dying, MAIL_FROM).send_due(
            post.tenant, post.execution, addresses=by_account
        )
    sent = post.mailer().send_due(post.tenant, post.execution, addresses=by_account)
    assert (sent.sent, sent.pending) == (1, 1), "the execution's next owner need not wait for the lease"
    post.clock.advance(LEASE)
    sent = post.mailer().send_due(addresses=by_account)
    assert (sent.sent, sent.failed, sent.pending) == (0, 1, 0)
    assert Counter(server.recipients) == {f"p{n}@example.org": 1 for n in (1, 2, 3)}
    assert post.counts() == {"emailsSent": 2, "emailsFailed": 1, "emailsSuppressed": 0, "emailsPending": 0}
    reasons = [post.row(person).reason for person in ("p1", "p2", "p3") if post.row(person).state == "dead"]
    assert reasons == [UNKNOWN]


def test_at_its_start_the_only_process_settles_what_the_last_one_left(post: Post, server: MailServer) -> None:
    post.enqueue("p1", "p2", "p3")
    dying = DyingTransport(post.transport(), 1, after_content=True)
    with pytest.raises(Killed):
        DeadMailer(post.database, post.clock, dying, MAIL_FROM).send_due(post.tenant, addresses=by_account)
    assert post.mailer().boot() == 1
    assert post.mailer().send_due(post.tenant, addresses=by_account).sent == 1
    assert Counter(server.recipients) == {f"p{n}@example.org": 1 for n in (1, 2, 3)}


def test_a_sender_that_was_only_slow_still_reports_that_the_mail_arrived(post: Post, server: MailServer) -> None:
    post.enqueue("p1")

    def slow(who: str) -> None:
        post.clock.advance(LEASE)
        assert post.mailer().send_due(addresses=by_account).failed == 1, "given up as unknown"

    server.on_content = slow
    assert post.mailer().send_due(post.tenant, addresses=by_account).sent == 1
    assert post.states() == {"p1": "sent"}
    assert server.recipients == ["p1@example.org"]


@BOTH
def test_a_zombie_whose_mail_was_taken_over_hands_nothing_over(post: Post, server: MailServer) -> None:
    post.enqueue("p1", "p2")
    taken: list[int] = []

    def taken_over(who: str) -> None:
        if not taken:
            taken.append(0)
            taken[0] = post.mailer().send_due(post.tenant, post.execution, addresses=by_account).sent

    server.on_recipient = taken_over
    zombie = post.mailer().send_due(post.tenant, addresses=by_account)
    assert (zombie.sent, taken) == (0, [2])
    assert Counter(server.recipients) == {"p1@example.org": 1, "p2@example.org": 1}


@BOTH
@pytest.mark.parametrize("as_owner", [False, True])
def test_two_senders_at_once_never_send_a_mail_twice(post: Post, server: MailServer, as_owner: bool) -> None:
    people = [f"p{n}" for n in range(60)]
    post.enqueue(*people)
    barrier = threading.Barrier(2)
    ended: list[str] = []

    def send() -> None:
        mailer = post.mailer()
        barrier.wait(60)
        mailer.send_due(post.tenant, post.execution if as_owner else None, addresses=by_account)
        ended.append("well")

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert ended == ["well", "well"]
    post.mailer().send_due(post.tenant, addresses=by_account)
    assert Counter(server.recipients) == {f"{person}@example.org": 1 for person in people}
    assert post.counts()["emailsSent"] == 60
