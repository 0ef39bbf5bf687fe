"""The inbox: every message the add-on sends can be read again, by person."""

from __future__ import annotations

import smtplib
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from urllib.parse import urlsplit

import pytest

from addon.sandbox.inbox import Inbox


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with Inbox({"ada@example.test": "u-ada"}.get) as running:
        yield running


def message(to: str, subject: str = "Three pages need you – now", html: bool = True) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "Content Steward <steward@example.test>"
    mail["To"] = to
    mail["Subject"] = subject
    mail["Message-ID"] = "<abc@example.test>"
    mail["List-Unsubscribe"] = "<mailto:off@example.test>"
    mail.set_content("Plain words: Grüße\n")
    if html:
        mail.add_alternative("<p>Rich <b>words</b></p>", subtype="html")
    return mail


def connect(inbox: Inbox) -> smtplib.SMTP:
    address = urlsplit(inbox.smtp_url)
    assert address.hostname
    assert address.port
    return smtplib.SMTP(address.hostname, address.port, timeout=10)


def test_a_mail_is_kept_with_its_person_subject_and_both_bodies(inbox: Inbox) -> None:
    with connect(inbox) as smtp:
        smtp.send_message(message("Ada@example.test"))
    (mail,) = inbox.wait_for(1)
    assert (mail.id, mail.account_id, mail.subject) == (1, "u-ada", "Three pages need you – now")
    assert "Grüße" in mail.text
    assert mail.html is not None
    assert "<b>words</b>" in mail.html
    assert ("List-Unsubscribe", "<mailto:off@example.test>") in mail.headers
    assert mail.as_json()["to"] == "Ada@example.test"
    assert inbox.mail(1) == mail
    assert inbox.mail(2) is None


def test_mails_are_told_apart_by_person_and_a_strangers_has_none(inbox: Inbox) -> None:
    with connect(inbox) as smtp:
        smtp.send_message(message("ada@example.test"))
        smtp.send_message(message("stranger@example.test", html=False))
    inbox.wait_for(2)
    assert [mail.recipient for mail in inbox.mails(account_id="u-ada")] == ["ada@example.test"]
    stranger = inbox.mails()[1]
    assert (stranger.account_id, stranger.html) == (None, None)
    inbox.clear()
    assert inbox.mails() == []


def test_a_refused_mailbox_is_permanent_and_a_deferred_one_is_not(inbox: Inbox) -> None:
    inbox.refused.add("gone@example.test")
    inbox.deferred.add("busy@example.test")
    with connect(inbox) as smtp:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as gone:
            smtp.send_message(message("gone@example.test"))
        with pytest.raises(smtplib.SMTPRecipientsRefused) as busy:
            smtp.send_message(message("busy@example.test"))
    assert gone.value.recipients["gone@example.test"][0] == 550
    assert busy.value.recipients["busy@example.test"][0] == 451
    assert inbox.mails() == []


def test_many_senders_at_once_lose_nothing(inbox: Inbox) -> None:
    def send(sender: int) -> None:
        with connect(inbox) as smtp:
            for number in range(10):
                smtp.send_message(message("ada@example.test", subject=f"{sender}/{number}", html=False))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    mails = inbox.wait_for(40)
    assert len({mail.subject for mail in mails}) == 40
    assert [mail.id for mail in mails] == list(range(1, 41))


def test_stopping_with_a_connection_open_closes_everything_and_keeps_the_mails() -> None:
    inbox = Inbox().start()
    smtp = connect(inbox)
    smtp.send_message(message("ada@example.test"))
    inbox.stop()
    assert len(inbox.mails()) == 1
    with pytest.raises((smtplib.SMTPException, OSError)):
        smtp.send_message(message("ada@example.test"))
    smtp.close()
    with pytest.raises(RuntimeError):
        assert Inbox().smtp_url
