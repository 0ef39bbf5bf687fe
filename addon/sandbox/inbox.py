"""The demo's inbox: an SMTP server on loopback that keeps every message in memory."""

from __future__ import annotations

import asyncio
import email
import email.policy
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Mail:
    """One message as it arrived at one recipient.

    `id` counts from 1 in order of arrival; `account_id` is the person whose address it was sent to, None for a
    stranger's. `headers` keeps the order and the repeated names of the message.
    """

    id: int
    received_at: datetime
    sender: str
    recipient: str
    account_id: str | None
    subject: str
    message_id: str
    text: str
    html: str | None
    headers: tuple[tuple[str, str], ...]

    def as_json(self) -> dict[str, Any]:
        """Return the mail as the inbox's JSON shows it."""
        return {
            "id": self.id,
            "receivedAt": self.received_at.isoformat().replace("+00:00", "Z"),
            "from": self.sender,
            "to": self.recipient,
            "accountId": self.account_id,
            "subject": self.subject,
            "messageId": self.message_id,
            "text": self.text,
            "html": self.html,
            "headers": [list(pair) for pair in self.headers],
        }


class Inbox:
    """A mail server that never passes anything on.

    `account_of` answers the account id behind an address (or None); it is asked once per message. `latency_ms` is
    waited before a message is accepted. An address in `refused` gets a permanent 550, one in `deferred` a 451.
    """

    def __init__(self, account_of: Callable[[str], str | None] = lambda _address: None, *, latency_ms: int = 0) -> None:
        self.latency_ms = latency_ms
        self.refused: set[str] = set()
        self.deferred: set[str] = set()
        self._account_of = account_of
        self._arrived = threading.Condition()
        self._mails: list[Mail] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._port = 0

    @property
    def smtp_url(self) -> str:
        """The SMTP URL to send to, such as `smtp://127.0.0.1:40025`. Raises RuntimeError before `start`."""
        if not self._port:
            raise RuntimeError("the inbox is not started")
        return f"smtp://{HOST}:{self._port}"

    def start(self) -> Inbox:
        """Listen on a free loopback port; return self."""
        listening = socket.create_server((HOST, 0))
        # asyncio does this only for sockets that name their protocol; without it each greeting waits 40 ms for an ACK.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._port = listening.getsockname()[1]
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(listening, ready), name="inbox", daemon=True)
        self._thread.start()
        if not ready.wait(10):
            raise RuntimeError("the inbox did not start within 10 seconds")
        return self

    def stop(self) -> None:
        """Stop listening. The messages stay readable."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        self._loop = self._thread = None

    def __enter__(self) -> Inbox:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def mails(self, *, account_id: str | None = None) -> list[Mail]:
        """Return the messages in order of arrival, of one person when `account_id` is given."""
        with self._arrived:
            return [mail for mail in self._mails if account_id is None or mail.account_id == account_id]

    def mail(self, number: int) -> Mail | None:
        """Return the message with this id, or None."""
        with self._arrived:
            return self._mails[number - 1] if 0 < number <= len(self._mails) else None

    def wait_for(self, count: int, *, seconds: float = 10.0) -> list[Mail]:
        """Wait until at least `count` messages have arrived; return them all. Raises TimeoutError."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self._mails) >= count, seconds):
                raise TimeoutError(f"{len(self._mails)} of {count} mails arrived within {seconds} s")
            return list(self._mails)

    def clear(self) -> None:
        """Forget every message."""
        with self._arrived:
            self._mails.clear()

    def _serve(self, listening: socket.socket, ready: threading.Event) -> None:
        loop = asyncio.new_event_loop()
        self._loop = loop
        server = loop.run_until_complete(
            loop.create_server(
                lambda: SMTP(_Handler(self), hostname="inbox.sandbox", loop=loop, enable_SMTPUTF8=True), sock=listening
            )
        )
        loop.call_soon(ready.set)
        loop.run_forever()
        server.close()
        loop.run_until_complete(_finish(server))
        loop.close()

    def _accept(self, sender: str, recipients: list[str], content: bytes) -> None:
        message = email.message_from_bytes(content, policy=email.policy.default)
        with self._arrived:
            for recipient in recipients:
                self._mails.append(self._mail_of(message, sender, recipient))
            self._arrived.notify_all()

    def _mail_of(self, message: EmailMessage, sender: str, recipient: str) -> Mail:
        return Mail(
            id=len(self._mails) + 1,
            received_at=datetime.now(UTC),
            sender=str(message.get("From", sender)),
            recipient=recipient,
            account_id=self._account_of(parseaddr(recipient)[1].lower()),
            subject=str(message.get("Subject", "")),
            message_id=str(message.get("Message-ID", "")).strip(),
            text=_body(message, "plain") or "",
            html=_body(message, "html"),
            headers=tuple((name, str(value)) for name, value in message.items()),
        )


class _Handler:
    """aiosmtpd's hooks: its method names are part of that library's interface."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, rcpt_options: list[str]
    ) -> str:
        if address in self._inbox.refused:
            return "550 5.1.1 No such mailbox"
        if address in self._inbox.deferred:
            return "451 4.3.0 Try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self._inbox.latency_ms:
            await asyncio.sleep(self._inbox.latency_ms / 1000)
        content = envelope.content or b""
        body = content if isinstance(content, bytes) else content.encode()
        self._inbox._accept(envelope.mail_from or "", list(envelope.rcpt_tos), body)
        return "250 OK"


async def _finish(server: asyncio.Server) -> None:
    """Cancel the connections still open, so that the loop closes without a warning."""
    open_tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in open_tasks:
        task.cancel()
    await asyncio.gather(*open_tasks, return_exceptions=True)
    await server.wait_closed()


def _body(message: EmailMessage, kind: str) -> str | None:
    part = message.get_body(preferencelist=(kind,))
    return None if part is None else str(part.get_content())
