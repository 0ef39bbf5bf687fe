"""A mail server that cannot be used, or takes no mail of ours: mails wait for it, up to 72 hours, without counting."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from addon.mail import SmtpTransport
from addon.mail.delivery import MAX_UNWILLING, SERVER_DELAY
from tests.mail.conftest import Post, by_account
from tests.support.postgres import BOTH
from tests.support.smtp import MailServer

ABOUT_US = [
    "503 5.5.1 Error: need HELO command",
    "504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname",
    "504 unknown parameter",
    "450 4.7.1 <localhost>: Helo command rejected: Host not found",
    "530 5.7.0 Must issue a STARTTLS command first",
    "530 5.7.1 Authentication required",
    "550 5.7.1 Relaying denied",
    "550 relay not permitted",
    "550 5.7.1 Unable to relay",
    "550 Please turn on SMTP Authentication in your mail client",
    "554 5.7.1 <x@example.org>: Relay access denied",
    "454 4.7.1 <x@example.org>: Relay access denied",
    "550 5.7.64 TenantAttribution; Relay Access Denied",
    "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
    "553 5.7.1 <steward@example.com>: Sender address rejected: not owned by user",
    "550 5.1.8 <steward@example.com>: Sender address rejected: Domain not found",
    "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using a list",
    "554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied",
    "452 4.3.1 Insufficient system storage",
    "421 4.7.0 too many connections",
]
ABOUT_THE_RECIPIENT = [
    "550 5.1.1 no such user",
    "550 5.7.1 Message rejected as spam by this recipient",
    "551 5.1.6 has moved",
    "552 5.2.2 mailbox full",
    "553 5.1.3 bad recipient address syntax",
    "554 5.2.1 mailbox disabled",
    "501 5.1.3 bad address",
]


def _closed() -> SmtpTransport:
    return SmtpTransport.from_url("smtp://127.0.0.1:1", timeout=2)


@pytest.mark.parametrize("answer", ABOUT_US)
def test_what_a_server_says_of_us_is_no_attempt(post: Post, server: MailServer, answer: str) -> None:
    server.on_recipient = lambda who: answer
    post.enqueue("p1")
    for _ in range(20):
        sent = post.mailer().send_due(post.tenant, post.execution, addresses=by_account)
        assert (sent.sent, sent.failed, sent.pending) == (0, 0, 1)
        post.clock.advance(SERVER_DELAY)
    row = post.row("p1")
    assert (row.state, row.attempts, row.begun_at) == ("pending", 0, None)
    assert answer[:3] in (row.reason or "")
    server.on_recipient = lambda who: None
    assert post.mailer().send_due(post.tenant, addresses=by_account).sent == 1


@pytest.mark.parametrize("answer", ABOUT_THE_RECIPIENT)
def test_what_a_server_says_of_the_recipient_is_dead_at_once(post: Post, server: MailServer, answer: str) -> None:
    server.on_recipient = lambda who: answer
    post.enqueue("p1")
    assert post.mailer().send_due(addresses=by_account).failed == 1
    assert post.row("p1").state == "dead"


@pytest.mark.parametrize("answer", ["450 4.2.1 try later", "451 greylisted", "452 4.2.2 mailbox full"])
def test_what_a_server_says_of_the_recipient_for_now_is_an_attempt(post: Post, server: MailServer, answer: str) -> None:
    server.on_recipient = lambda who: answer
    post.enqueue("p1")
    assert post.mailer().send_due(addresses=by_account).pending == 1
    assert post.row("p1").attempts == 1


@pytest.mark.parametrize("answer", ["550 5.7.1 not you", "451 4.3.0 no", "530 log in first", "501 bad sender"])
def test_every_refusal_of_the_sender_is_about_us(post: Post, server: MailServer, answer: str) -> None:
    server.on_mail = lambda who: answer
    post.enqueue("p1")
    assert post.mailer().send_due(addresses=by_account).pending == 1
    assert post.row("p1").attempts == 0


@pytest.mark.parametrize("answer", ["421 shutting down", "550 5.7.1 Unable to relay"])
def test_a_content_that_is_answered_with_a_word_about_us_costs_no_attempt_either(
    post: Post, server: MailServer, answer: str
) -> None:
    server.on_content = lambda who: answer
    post.enqueue("p1")
    assert post.mailer().send_due(addresses=by_account).pending == 1
    assert (post.row("p1").begun_at, post.row("p1").attempts) == (None, 0)
    server.on_content = lambda who: None
    post.clock.advance(SERVER_DELAY)
    assert post.mailer().send_due(addresses=by_account).sent == 1
    assert server.recipients == ["p1@example.org"]


def test_a_server_that_demands_a_full_name_gets_the_one_that_is_configured(post: Post, server: MailServer) -> None:
    said: list[str] = []

    def demand(name: str) -> str | None:
        said.append(name)
        return None if "." in name else "504 5.5.2 need a fully-qualified hostname"

    server.on_hello = demand
    post.enqueue("p1")
    assert post.mailer().send_due(addresses=by_account).pending == 1
    assert "need a fully-qualified hostname" in (post.row("p1").reason or "")
    post.clock.advance(SERVER_DELAY)
    named = SmtpTransport.from_url(server.url, timeout=10, hello="steward.example.com")
    assert post.mailer(named).send_due(addresses=by_account).sent == 1
    assert said[-1] == "steward.example.com"


def test_one_domain_that_is_not_relayed_keeps_no_other_mail_waiting(post: Post, server: MailServer) -> None:
    server.on_recipient = lambda who: "550 relay not permitted" if who.startswith("p1@") else None
    post.enqueue("p1", "p2", "p3", "p4")
    sent = post.mailer().send_due(post.tenant, post.execution, addresses=by_account)
    assert (sent.sent, sent.pending) == (3, 1)
    post.clock.advance(timedelta(hours=72))
    post.enqueue("p5")
    sent = post.mailer().send_due(post.tenant, addresses=by_account)
    assert (sent.sent, sent.failed, sent.pending) == (1, 1, 0)
    assert post.row("p1").reason == (
        "given up after 72 hours: the mail server takes no mail from us: 550 relay not permitted"
    )


def test_a_server_that_relays_nothing_is_asked_a_few_times_and_then_left_alone(post: Post, server: MailServer) -> None:
    asked: list[str] = []

    def refuse(who: str) -> str:
        asked.append(who)
        return "554 5.7.1 Relay access denied"

    server.on_recipient = refuse
    post.enqueue(*(f"p{n:02}" for n in range(60)))
    assert post.mailer().send_due(post.tenant, addresses=by_account).pending == 60
    assert len(asked) == MAX_UNWILLING
    server.on_recipient = lambda who: None
    assert post.mailer().send_due(post.tenant, addresses=by_account).sent == 57, "given back, so due at once"
    post.clock.advance(SERVER_DELAY)
    assert post.mailer().send_due(post.tenant, addresses=by_account).sent == 3


@BOTH
def test_an_unreachable_server_costs_no_attempt_and_is_waited_for_72_hours(post: Post) -> None:
    post.enqueue(*(f"p{n}" for n in range(60)))
    while post.clock.now() - post.row("p0").created_at < timedelta(hours=72):
        sent = post.mailer(_closed()).send_due(post.tenant, addresses=by_account)
        assert (sent.sent, sent.failed, sent.pending) == (0, 0, 60)
        assert post.row("p0").attempts == 0
        post.clock.advance(timedelta(hours=8))
    post.enqueue("late")
    sent = post.mailer(_closed()).send_due(post.tenant, addresses=by_account)
    assert (sent.failed, sent.pending) == (60, 1), "those beyond the batch that was tried as well"
    row = post.row("p0")
    assert (row.state, row.text, row.lease_owner) == ("dead", "", None)
    assert (row.reason or "").startswith("given up after 72 hours: the mail server cannot be used")
    assert post.row("late").state == "pending"
    post.clock.advance(SERVER_DELAY)
    assert post.mailer().send_due(post.tenant, addresses=by_account).sent == 1


def test_after_an_hour_the_log_says_so_once_an_hour(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, logger="addon.mail.mailer")
    post.enqueue("p1")
    down = post.mailer(_closed())

    def ticks(hours: float) -> None:
        for _ in range(round(hours * 120)):
            down.send_due(addresses=by_account)
            post.clock.advance(30)

    ticks(1.1)
    [record] = caplog.records
    assert record.getMessage() == "the mail server has taken no mail for an hour or more"
    assert vars(record)["since"] == "2026-11-22 12:00 UTC"
    assert vars(record)["error"] == "the mail server cannot be used: [Errno 111] Connection refused"
    ticks(1)
    assert len(caplog.records) == 2


def test_a_mail_that_is_taken_ends_the_trouble(
    post: Post, server: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, logger="addon.mail.mailer")
    server.on_recipient = lambda who: "554 5.7.1 Relay access denied" if who.startswith("p") else None
    post.enqueue("p1", "p2", "p3")
    mailer = post.mailer()
    for hour in range(6):
        if hour % 2:
            post.enqueue(f"q{hour}")
        for _ in range(2):
            mailer.send_due(addresses=by_account)
        post.clock.advance(timedelta(minutes=50))
    assert caplog.records == []
