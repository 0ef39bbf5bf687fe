"""The mail server's URL, the login, and the bytes on the wire."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from addon.mail import SmtpTransport
from addon.mail.message import Sender, usable_address, without_addresses
from addon.mail.transport import ConnectionLost, MailRefused, ServerDown, ServerUnwilling
from tests.support.smtp import MailServer

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def _content(subject: str = "Subject", text: str = "Text\n", html: str = "<p>Text</p>\n") -> bytes:
    message = Sender("Steward <s@example.com>").compose(
        to="p@example.org", subject=subject, text=text, html=html, message_id="<1@example.com>", at=AT
    )
    return message.as_bytes()


def _send(url: str, content: bytes) -> None:
    with SmtpTransport.from_url(url, timeout=10).session() as session:
        session.deliver("s@example.com", "p@example.org", content, lambda: None)


def test_a_url_says_everything() -> None:
    plain_one = SmtpTransport.from_url("smtp://mail.example.com")
    assert (plain_one.host, plain_one.port, plain_one.tls, plain_one.starttls, plain_one.user) == (
        "mail.example.com",
        25,
        False,
        "offered",
        None,
    )
    full = SmtpTransport.from_url("smtp://me%40example.com:p%2Fw@mail.example.com:587")
    assert (full.user, full.password, full.port) == ("me@example.com", "p/w", 587)
    assert full.starttls == "required", "a password never crosses the network in the clear"
    assert "p/w" not in repr(full)
    secure = SmtpTransport.from_url("smtps://me:pw@mail.example.com")
    assert (secure.port, secure.tls) == (465, True)
    assert SmtpTransport.from_url("smtp://me:pw@127.0.0.1:2525").starttls == "offered"


@pytest.mark.parametrize(
    "url",
    [
        "http://mail.example.com",
        "smtp://",
        "mail.example.com:25",
        "smtp://mail.example.com:99999",
        "smtp://mail.example.com/inbox",
        "smtp://mail.example.com?starttls=maybe",
        "smtp://mail.example.com?verify=no",
        "smtp://me:secret@mail.example.com?starttls=off",
    ],
)
def test_a_url_that_cannot_be_meant_is_refused_without_repeating_the_password(url: str) -> None:
    with pytest.raises(ValueError) as refused:
        SmtpTransport.from_url(url)
    assert "secret" not in str(refused.value)


def test_a_login_that_is_right_sends_and_a_wrong_one_is_the_servers_refusal() -> None:
    with MailServer(login=("me", "right")) as server:
        _send(f"smtp://me:right@127.0.0.1:{server.port}", _content())
        assert server.recipients == ["p@example.org"]
        with pytest.raises(ServerDown, match="535"):
            _send(f"smtp://me:wrong@127.0.0.1:{server.port}", _content())


def test_required_encryption_that_is_not_offered_sends_nothing() -> None:
    with MailServer() as server:
        with pytest.raises(ServerDown, match="STARTTLS"):
            _send(f"{server.url}?starttls=required", _content())
        assert server.mails == []


def test_a_server_that_is_not_there_is_down() -> None:
    with pytest.raises(ServerDown):
        _send("smtp://127.0.0.1:1", _content())


def test_dots_long_lines_and_any_script_arrive_as_they_were() -> None:
    text = ".\n..\n.dotted\nümlaut 漢字 🙂\n" + "long " * 1000 + "\nend\n"
    with MailServer() as server:
        _send(server.url, _content("Grüße 漢字 " * 5, text, f"<p>{text}</p>\n"))
        message = server.mails[0][1]
        raw = server.raw[0]
    body = message.get_body(("plain",))
    assert body is not None
    assert body.get_content().replace("\r\n", "\n") == text
    assert message["Subject"] == ("Grüße 漢字 " * 5).strip()
    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998


def test_a_subject_or_a_text_cannot_add_a_header() -> None:
    with MailServer() as server:
        _send(server.url, _content("Hi\r\nBcc: all@example.org\nX-Evil: 1", "a\r\n.\r\nMAIL FROM:<x@example.org>\r\n"))
        message = server.mails[0][1]
        assert len(server.mails) == 1
    assert message["Bcc"] is None
    assert message["X-Evil"] is None
    assert message["Subject"] == "Hi Bcc: all@example.org X-Evil: 1"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nobody",
        "a@b@c",
        "a b@example.org",
        "a@example.org, b@example.org",
        "a@example.org\r\nRCPT TO:<b@example.org>",
        "<a@example.org>",
        "a@exa mple.org",
        "ü@example.org",
        "a..b@example.org",
        "a@" + "x" * 260,
        '"a b"@example.org',
    ],
)
def test_an_address_that_could_mean_more_than_one_person_is_not_used(address: str) -> None:
    assert not usable_address(address)
    with pytest.raises(ValueError):
        Sender("s@example.com").compose(to=address, subject="", text="", html="", message_id="<1@x>", at=AT)


def test_the_same_mail_always_has_the_same_message_id() -> None:
    sender = Sender("Content Steward <steward@mail.Example.com>")
    assert sender.message_id("t:e:a") == sender.message_id("t:e:a")
    assert sender.message_id("t:e:a") != sender.message_id("t:e:b")
    assert sender.message_id("t:e:a").endswith("@mail.example.com>")


@pytest.mark.parametrize(
    ("mail_from", "name", "address"),
    [
        ("steward@example.com", "", "steward@example.com"),
        ("Content Steward <steward@example.com>", "Content Steward", "steward@example.com"),
        ('"Steward, Content (wiki)" <s@example.com>', "Steward, Content (wiki)", "s@example.com"),
        ("Wächter <s@müller.example>", "Wächter", "s@xn--mller-kva.example"),
        ("s@straße.example", "", "s@xn--strae-oqa.example"),
    ],
)
def test_the_sender_is_one_mailbox(mail_from: str, name: str, address: str) -> None:
    sender = Sender(mail_from)
    assert (sender.header.display_name, sender.address) == (name, address)
    with MailServer() as server:
        message = sender.compose(to="p@example.org", subject="", text="", html="", message_id="<1@x>", at=AT)
        with SmtpTransport.from_url(server.url, timeout=10).session() as session:
            session.deliver(sender.address, "p@example.org", message.as_bytes(), lambda: None)
        [arrived] = server.mails[0][1]["From"].addresses
    assert (arrived.display_name, arrived.addr_spec) == (name, address)


@pytest.mark.parametrize(
    "mail_from",
    [
        "",
        " ",
        "Steward",
        "Steward <nobody>",
        "a@b\r\nBcc: c@d",
        "a@example.com, b@example.com",
        "Steward, Content <s@example.com>",
        "Steward <a@example.com> <b@example.com>",
        "Steward <a@example.com",
        "Steward a@example.com",
        "Steward <a@example.com> x",
        "Steward (wiki) <a@example.com>",
        "Team: a@example.com;",
        "Steward <a b@example.com>",
        "Steward <a@b@example.com>",
        "ü@example.com",
        "s@ü..example",
        "s@-example.com",
    ],
)
def test_a_sender_that_could_be_read_in_two_ways_is_refused_at_the_start(mail_from: str) -> None:
    with pytest.raises(ValueError, match="one mailbox such as"):
        Sender(mail_from)


@pytest.mark.parametrize("url_answer", ["250 fine", "251 will forward"])
def test_a_check_begins_a_mail_says_what_the_server_said_and_sends_nothing(url_answer: str) -> None:
    asked: list[str] = []

    def note(who: str) -> str:
        asked.append(who)
        return url_answer

    with MailServer(on_mail=lambda who: asked.append(who), on_recipient=note) as server:
        said = SmtpTransport.from_url(server.url, timeout=10).check("s@example.com", "p@example.org")
        assert server.mails == []
    assert said == url_answer
    assert asked == ["s@example.com", "p@example.org"]


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        ("554 5.7.1 Relay access denied", ServerUnwilling),
        ("421 busy", ServerUnwilling),
        ("450 greylisted", MailRefused),
        ("550 no such user", MailRefused),
        ("DROP", ConnectionLost),
    ],
)
def test_a_check_meets_the_refusal_that_a_mail_would_meet(answer: str, raised: type[Exception]) -> None:
    with MailServer(on_recipient=lambda who: answer) as server, pytest.raises(raised):
        SmtpTransport.from_url(server.url, timeout=10).check("s@example.com", "p@example.org")


def test_what_the_hand_over_raises_stops_the_mail_and_the_next_one_goes_out() -> None:
    class NotOurs(Exception):
        pass

    def refuse() -> None:
        raise NotOurs

    with MailServer() as server, SmtpTransport.from_url(server.url, timeout=10).session() as session:
        with pytest.raises(NotOurs):
            session.deliver("s@example.com", "p@example.org", _content(), refuse)
        session.deliver("s@example.com", "q@example.org", _content(), lambda: None)
        assert server.recipients == ["q@example.org"]


def test_the_hand_over_is_announced_only_once_the_server_wants_the_content() -> None:
    announced: list[str] = []
    with MailServer(on_recipient=lambda who: "550 no") as server:
        with SmtpTransport.from_url(server.url, timeout=10).session() as session, pytest.raises(MailRefused):
            session.deliver("s@example.com", "p@example.org", _content(), lambda: announced.append("now"))
        assert announced == []
        server.on_recipient = lambda who: None
        server.on_content = lambda who: "DROP"
        with SmtpTransport.from_url(server.url, timeout=10).session() as session, pytest.raises(ConnectionLost) as lost:
            session.deliver("s@example.com", "p@example.org", _content(), lambda: announced.append("now"))
    assert announced == ["now"]
    assert lost.value.handed_over


def test_reasons_carry_no_addresses() -> None:
    assert (
        without_addresses("550 <ada@example.org>: unknown\r\n user ada@example.org")
        == "550 <(address)>: unknown user (address)"
    )
