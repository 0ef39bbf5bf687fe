"""Mails leave the outbox over real SMTP: accepted, refused, put off, lost on the way, stopped in the last moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import pytest

from addon.base import TenantId
from addon.mail import Mailer
from addon.mail.delivery import SERVER_DELAY
from addon.mail.outbox import UNKNOWN
from tests.mail.conftest import MAIL_FROM, Post, by_account
from tests.support.postgres import BOTH
from tests.support.smtp import MailServer


@BOTH
def test_every_person_gets_the_mail_and_the_outbox_knows(post: Post, server: MailServer) -> None:
    assert post.enqueue("p1", "p2", "p3") == 3
    assert post.enqueue("p1", "p2", "p3") == 0, "a repeated decision is the same mail"
    sent = post.mailer().send_due(post.tenant, post.execution, addresses=by_account)
    assert (sent.sent, sent.failed, sent.suppressed, sent.pending) == (3, 0, 0, 0)
    assert sorted(server.recipients) == ["p1@example.org", "p2@example.org", "p3@example.org"]
    assert server.connections == 1, "one conversation for all"
    assert post.counts() == {"emailsSent": 3, "emailsFailed": 0, "emailsSuppressed": 0, "emailsPending": 0}
    assert post.mailer().send_due(post.tenant, addresses=by_account).sent == 0


def test_the_mail_carries_what_a_machine_should(post: Post, server: MailServer) -> None:
    post.enqueue("p1")
    post.mailer().send_due(addresses=by_account)
    message = server.mails[0][1]
    assert message["From"] == MAIL_FROM
    assert message["To"] == "p1@example.org"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["List-Id"] == "Content Steward <digest.example.com>"
    assert message["Date"] == "Sun, 22 Nov 2026 12:00:00 +0000"
    assert message["Message-ID"] == post.row("p1").message_id
    assert message["Message-ID"].endswith("@example.com>")
    assert message.get_content_type() == "multipart/alternative"
    text, html = message.iter_parts()
    assert (text.get_content(), html.get_content()) == ("Text for p1\r\n", "<p>p1</p>\r\n")


def test_a_mail_that_ended_keeps_no_names_and_titles(post: Post) -> None:
    post.enqueue("p1", "hidden")
    post.mailer().send_due(addresses=lambda _tenant, people: {"p1": "p1@example.org"})
    kept = {row.account_id: (row.state, row.subject, row.text, row.html) for row in map(post.row, ("p1", "hidden"))}
    assert kept == {"p1": ("sent", "", "", ""), "hidden": ("suppressed", "", "", "")}


def test_who_has_no_usable_address_is_suppressed_with_the_reason(post: Post, server: MailServer) -> None:
    post.enqueue("p1", "hidden", "gone", "broken")

    def some(tenant_id: TenantId, people: Sequence[str]) -> Mapping[str, str | None]:
        return {"p1": "p1@example.org", "hidden": None, "broken": "x@example.org\r\nBcc: all@example.org"}

    sent = post.mailer().send_due(post.tenant, post.execution, addresses=some)
    assert (sent.sent, sent.suppressed) == (1, 3)
    assert post.states() == {"p1": "sent", "hidden": "suppressed", "gone": "suppressed", "broken": "suppressed"}
    assert "no mail address" in (post.row("hidden").reason or "")
    assert "cannot be used" in (post.row("broken").reason or "")
    assert server.recipients == ["p1@example.org"]


def test_a_recipient_the_server_does_not_know_is_dead_at_once_and_stops_nobody_else(
    post: Post, server: MailServer
) -> None:
    server.on_recipient = lambda who: "550 5.1.1 no mailbox p2@example.org here" if who.startswith("p2") else None
    post.enqueue("p1", "p2", "p3")
    sent = post.mailer().send_due(post.tenant, post.execution, addresses=by_account)
    assert (sent.sent, sent.failed, sent.pending) == (2, 1, 0)
    row = post.row("p2")
    assert (row.state, row.attempts, row.begun_at) == ("dead", 0, None)
    assert "550" in (row.reason or "")
    assert "p2@example.org" not in (row.reason or ""), "addresses are not stored"


@pytest.mark.parametrize("stage", ["on_recipient", "on_content"])
def test_a_mail_that_is_put_off_is_tried_again_later_and_given_up_in_the_end(
    post: Post, server: MailServer, stage: str
) -> None:
    setattr(server, stage, lambda who: "451 busy")
    post.enqueue("p1")
    mailer = Mailer(post.database, post.clock, post.transport(), MAIL_FROM, max_attempts=3)
    waits = []
    for attempt in (1, 2):
        sent = mailer.send_due(post.tenant, addresses=by_account)
        row = post.row("p1")
        assert (sent.sent, sent.failed, sent.pending) == (0, 0, 1)
        assert (row.state, row.attempts, row.begun_at, row.lease_owner) == ("pending", attempt, None, None)
        waits.append(row.not_before - post.clock.now())
        assert mailer.send_due(post.tenant, addresses=by_account).sent == 0, "not due yet"
        post.clock.advance(waits[-1])
    assert waits == [timedelta(minutes=1), timedelta(minutes=4)]
    assert mailer.send_due(post.tenant, addresses=by_account).failed == 1
    row = post.row("p1")
    assert row.state == "dead"
    assert row.reason == "given up after 3 attempts: the mail server refused it: 451 busy"
    assert server.mails == []


@BOTH
def test_a_mail_refused_for_a_while_arrives_once_the_server_relents(post: Post, server: MailServer) -> None:
    server.on_content = lambda who: "452 disk full"
    post.enqueue("p1")
    post.mailer().send_due(addresses=by_account)
    server.on_content = lambda who: None
    post.clock.advance(timedelta(minutes=1))
    assert post.mailer().send_due(addresses=by_account).sent == 1
    assert server.recipients == ["p1@example.org"]


def test_a_content_the_server_refuses_for_good_is_dead(post: Post, server: MailServer) -> None:
    server.on_content = lambda who: "554 looks like spam"
    post.enqueue("p1")
    assert post.mailer().send_due(addresses=by_account).failed == 1
    assert post.row("p1").state == "dead"


def test_a_sender_refused_is_our_trouble_and_waits(post: Post, server: MailServer) -> None:
    server.on_mail = lambda who: "550 relaying denied"
    post.enqueue("p1")
    assert post.mailer().send_due(addresses=by_account).pending == 1
    assert post.row("p1").attempts == 0


def test_a_server_that_ends_the_conversation_with_421_is_called_again_at_once(post: Post, server: MailServer) -> None:
    asked: list[str] = []

    def tired(sender: str) -> str | None:
        asked.append(sender)
        return "421 enough for one conversation" if len(asked) == 3 else None

    server.on_mail = tired
    post.enqueue("p1", "p2", "p3", "p4")
    sent = post.mailer().send_due(post.tenant, post.execution, addresses=by_account)
    assert sent.sent == 4
    assert server.connections == 2
    assert Counter(server.recipients) == {f"p{n}@example.org": 1 for n in range(1, 5)}


def test_a_content_answered_with_421_was_not_accepted_and_is_sent_later(post: Post, server: MailServer) -> None:
    server.on_content = lambda who: "421 shutting down"
    post.enqueue("p1")
    assert post.mailer().send_due(addresses=by_account).pending == 1
    assert post.row("p1").begun_at is None


def test_a_connection_lost_before_the_content_is_safe_to_try_again(post: Post, server: MailServer) -> None:
    server.on_recipient = lambda who: "DROP"
    post.enqueue("p1")
    sent = post.mailer().send_due(addresses=by_account)
    assert (sent.sent, sent.pending) == (0, 1)
    assert (post.row("p1").begun_at, post.row("p1").attempts) == (None, 0)
    server.on_recipient = lambda who: None
    post.clock.advance(SERVER_DELAY)
    assert post.mailer().send_due(addresses=by_account).sent == 1


def test_a_connection_lost_after_the_content_leaves_the_mail_unknown_and_unsent_for_ever(
    post: Post, server: MailServer
) -> None:
    accepted: list[str] = []

    def take_and_drop(who: str) -> str | None:
        if who.startswith("p1"):
            accepted.append(who)
            return "DROP"
        return None

    server.on_content = take_and_drop
    post.enqueue("p1", "p2")
    sent = post.mailer().send_due(post.tenant, post.execution, addresses=by_account)
    assert (sent.sent, sent.failed) == (1, 1)
    assert (post.row("p1").state, post.row("p1").reason) == ("dead", UNKNOWN)
    post.clock.advance(timedelta(days=2))
    assert post.mailer().send_due(addresses=by_account).sent == 0
    assert accepted == ["p1@example.org"]


def test_without_a_mail_server_nothing_is_tried(post: Post) -> None:
    post.enqueue("p1")
    mailer = Mailer(post.database, post.clock, None, MAIL_FROM)
    assert not mailer.configured
    assert mailer.send_due(addresses=by_account).pending == 1
    assert post.row("p1").attempts == 0


def test_stopping_before_a_mail_gives_the_others_back(post: Post, server: MailServer) -> None:
    post.enqueue("p1", "p2", "p3")

    class Stop(Exception):
        pass

    def stop_at_the_second() -> None:
        if server.mails:
            raise Stop

    with pytest.raises(Stop):
        post.mailer().send_due(post.tenant, post.execution, addresses=by_account, before_each=stop_at_the_second)
    assert Counter(post.states().values()) == {"sent": 1, "pending": 2}
    sent = post.mailer().send_due(post.tenant, addresses=by_account)
    assert sent.sent == 2, "given back, so due for any sender at once"


def test_a_time_limit_leaves_the_rest_pending(post: Post, server: MailServer) -> None:
    post.enqueue("p1", "p2", "p3")
    sent = post.mailer().send_due(
        post.tenant,
        post.execution,
        addresses=by_account,
        before_each=lambda: post.clock.advance(200),
        seconds=600,
    )
    assert (sent.sent, sent.pending) == (2, 1)


def test_a_tenant_whose_addresses_cannot_be_asked_for_waits_and_the_others_go_on(
    post: Post,
    server: MailServer,
    new_tenant: Callable[..., TenantId],
    new_execution: Callable[[TenantId], str],
) -> None:
    other = new_tenant("https://two.atlassian.net/wiki")
    second = Post(post.database, post.clock, other, new_execution(other), server)
    post.enqueue("p1")
    second.enqueue("q1")

    def addresses(tenant_id: TenantId, people: Sequence[str]) -> Mapping[str, str | None]:
        if tenant_id == post.tenant:
            raise ConnectionError("site unreachable")
        return by_account(tenant_id, people)

    sent = post.mailer().send_due(addresses=addresses)
    assert (sent.sent, sent.pending) == (1, 1)
    assert server.recipients == ["q1@example.org"]
    assert post.row("p1").attempts == 0
    post.clock.advance(timedelta(minutes=5))
    with pytest.raises(ConnectionError):
        post.mailer().send_due(post.tenant, addresses=addresses)
    assert post.mailer().send_due(post.tenant, addresses=by_account).sent == 1


@BOTH
def test_no_more_mails_than_allowed_go_out_in_a_minute_whoever_sends_them(post: Post, server: MailServer) -> None:
    post.enqueue(*(f"p{n}" for n in range(12)))
    first, second = (Mailer(post.database, post.clock, post.transport(), MAIL_FROM, per_minute=5) for _ in range(2))
    assert first.send_due(post.tenant, post.execution, addresses=by_account).sent == 5
    assert second.send_due(addresses=by_account).sent == 0
    post.clock.advance(30)
    assert second.send_due(addresses=by_account).pending == 7
    post.clock.advance(31)
    assert second.send_due(addresses=by_account).sent == 5
    post.clock.advance(61)
    assert first.send_due(addresses=by_account).sent == 2
    assert len(server.recipients) == len(set(server.recipients)) == 12


def test_uninstalling_ends_what_was_not_handed_over(post: Post, server: MailServer) -> None:
    post.enqueue("p1", "p2")
    mailer = post.mailer()
    with post.database.write_all() as session:
        assert mailer.drop_unsent(session, post.tenant, reason="the add-on was uninstalled") == 2
    assert mailer.send_due(addresses=by_account).sent == 0
    assert post.row("p1").reason == "the add-on was uninstalled"
    assert post.counts()["emailsFailed"] == 2


@BOTH
def test_uninstalling_in_the_last_moment_before_the_content_stops_the_mail(post: Post, server: MailServer) -> None:
    post.enqueue("p1")

    def uninstall(who: str) -> None:
        with post.database.write_all() as session:
            post.mailer().drop_unsent(session, post.tenant, reason="the add-on was uninstalled")

    server.on_recipient = uninstall
    assert post.mailer().send_due(addresses=by_account).sent == 0
    assert server.mails == []
    assert post.states() == {"p1": "dead"}
