"""A mail server on loopback that does what a test tells it to: refuse, put off, hang up at any point."""

from __future__ import annotations

import asyncio
import email
import email.policy
import socket
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

Answer = str | None
"""A reply line such as "550 No such mailbox"; "DROP" breaks the connection; None accepts."""


def accept(recipient: str) -> Answer:
    """Accept whatever comes."""
    return None


@dataclass
class MailServer:
    """Start it as a context manager. Hooks get the recipient's address and may block; they run in a thread."""

    on_hello: Callable[[str], Answer] = accept
    """Asked at EHLO and HELO, with the name that the client gives itself."""
    on_mail: Callable[[str], Answer] = accept
    """Asked at MAIL FROM, with the sender's address."""
    on_recipient: Callable[[str], Answer] = accept
    on_content: Callable[[str], Answer] = accept
    """Asked when the whole content has arrived; only what it accepts is kept."""
    login: tuple[str, str] | None = None
    mails: list[tuple[str, EmailMessage]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def recipients(self) -> list[str]:
        """Who got a mail, in order of arrival, once for each mail."""
        return [recipient for recipient, _ in self.mails]

    def __enter__(self) -> Self:
        listening = socket.create_server(("127.0.0.1", self.port))
        # asyncio does this only for sockets that name their protocol; without it each greeting waits 40 ms for an ACK.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = listening.getsockname()[1]
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, args=(listening, ready), name="mail-server", daemon=True)
        self._thread.start()
        assert ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _serve(self, listening: socket.socket, ready: threading.Event) -> None:
        loop = self._loop
        server = loop.run_until_complete(loop.create_server(self._protocol, sock=listening))
        loop.call_soon(ready.set)
        loop.run_forever()
        server.close()
        loop.run_until_complete(_finish(server))
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    def _protocol(self) -> SMTP:
        self.connections += 1
        if self.login is None:
            return SMTP(_Hooks(self), hostname="mail.test", loop=self._loop)
        with warnings.catch_warnings():
            # aiosmtpd warns of a login without TLS, which is what a loopback server has.
            warnings.simplefilter("ignore", UserWarning)
            return SMTP(
                _Hooks(self),
                hostname="mail.test",
                loop=self._loop,
                authenticator=self._authenticate,
                auth_required=True,
                auth_require_tls=False,
            )

    def _authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        right = isinstance(data, LoginPassword) and self.login is not None
        if right:
            right = (data.login.decode(), data.password.decode()) == self.login
        return AuthResult(success=right, handled=right)


class _Hooks:
    """aiosmtpd's hooks; the method names are part of its interface."""

    def __init__(self, server: MailServer) -> None:
        self._server = server

    async def handle_EHLO(
        self, smtp: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        answer = await _answer(smtp, self._server.on_hello, hostname)
        return responses if answer.startswith("250") else [answer]

    async def handle_HELO(self, smtp: SMTP, session: Session, envelope: Envelope, hostname: str) -> str:
        session.host_name = hostname
        answer = await _answer(smtp, self._server.on_hello, hostname)
        return f"250 {smtp.hostname}" if answer.startswith("250") else answer

    async def handle_MAIL(
        self, smtp: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return await _answer(smtp, self._server.on_mail, address)

    async def handle_RCPT(
        self, smtp: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = await _answer(smtp, self._server.on_recipient, address)
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, smtp: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.original_content or b""
        recipient = envelope.rcpt_tos[0]
        answer = await _answer(smtp, self._server.on_content, recipient)
        if answer.startswith("250"):
            self._server.raw.append(content)
            message = email.message_from_bytes(content, policy=email.policy.default)
            self._server.mails.append((recipient, message))
        return answer


async def _answer(smtp: SMTP, hook: Callable[[str], Answer], address: str) -> str:
    answer = await asyncio.get_running_loop().run_in_executor(None, hook, address)
    if answer == "DROP":
        assert isinstance(smtp.transport, asyncio.Transport)
        smtp.transport.abort()
        return "421 gone"
    return answer or "250 OK"


async def _finish(server: asyncio.Server) -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await server.wait_closed()
