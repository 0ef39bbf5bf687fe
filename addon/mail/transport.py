"""How does a mail reach the mail server, and what exactly is known when it did not?

SMTP tells four things apart, and so do the exceptions here: the server cannot be used at all (`ServerDown`); it takes
no mail from us now, whatever mail it is (`Unwilling`); it was asked and refused this mail (`Refused`, for ever or for
now); the connection broke (`ConnectionLost`), before the content was handed over, when another try is safe, or after,
when nobody knows whether the mail was accepted.
"""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from addon.mail.replies import about_us, plain, reply

TIMEOUT = 30.0
"""Seconds that connecting, and each answer of the server, may take."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class TransportError(Exception):
    """A mail did not go out, or could not. The subclasses say what is known; the message carries no address."""


class ServerDown(TransportError):
    """No session with the mail server: it cannot be reached, or refuses TLS or the login. Nothing was handed over."""


class Unwilling(TransportError):
    """The server takes no mail from us now: it relays nothing, or objects to our name, sender or login, or is busy.

    Nothing is said about this mail. `ended`: the server ended the connection with it, before any content.
    """

    def __init__(self, reason: str, *, ended: bool = False) -> None:
        super().__init__(reason)
        self.ended = ended


class Refused(TransportError):
    """The server refused this mail. `permanent`: another try would be refused as well."""

    def __init__(self, reason: str, *, permanent: bool) -> None:
        super().__init__(reason)
        self.permanent = permanent


class ConnectionLost(TransportError):
    """The connection broke. `handed_over`: the content was on its way, and whether it was accepted is unknown."""

    def __init__(self, reason: str, *, handed_over: bool) -> None:
        super().__init__(reason)
        self.handed_over = handed_over


class Session(Protocol):
    """A conversation with the mail server."""

    def deliver(self, sender: str, recipient: str, content: bytes, handing_over: Callable[[], None]) -> None:
        """Hand one mail to the server; return once it was accepted.

        Parameters: bare addresses; `content`, the message with CRLF line ends; and `handing_over`, which is called at
        the last moment before the content goes out. What it raises stops the delivery, with nothing handed over.
        Raises ServerDown, Unwilling, Refused, ConnectionLost.
        """
        ...


class Transport(Protocol):
    """Where mails go."""

    def session(self) -> AbstractContextManager[Session]:
        """Open a conversation. It connects at its first delivery and closes at the end of the block."""
        ...


@dataclass(frozen=True, slots=True)
class SmtpTransport:
    """A mail server spoken to by SMTP. `starttls` is `offered` (used when offered), `required` or `off`."""

    host: str
    port: int
    user: str | None = None
    password: str | None = None
    tls: bool = False
    starttls: str = "offered"
    timeout: float = TIMEOUT
    hello: str = "localhost"

    def __repr__(self) -> str:
        """Leave the password out."""
        return f"SmtpTransport({self.host}:{self.port})"

    @classmethod
    def from_url(cls, url: str, *, timeout: float = TIMEOUT, hello: str = "localhost") -> SmtpTransport:
        """Return the transport of `smtp://user:password@host:port` (25) or `smtps://…` (465).

        Parameters: `timeout` in seconds, for connecting and for each answer; `hello`, our name in EHLO.

        `?starttls=required` insists on encryption, `?starttls=off` forgoes it; otherwise it is used when offered.
        A password never crosses the network in the clear: with one, encryption is required unless the host is this
        machine. Raises ValueError, without the password in it, when the URL cannot be understood.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ValueError("the mail server's URL cannot be understood") from None
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise ValueError("the mail server's URL is smtp://host:port or smtps://host:port")
        if parts.path not in ("", "/") or parts.fragment:
            raise ValueError("the mail server's URL ends after the port")
        starttls = _starttls(dict(parse_qsl(parts.query, keep_blank_values=True)))
        tls = parts.scheme == "smtps"
        if parts.username and not tls and parts.hostname not in LOOPBACK:
            if starttls == "off":
                raise ValueError("a password needs encryption: leave starttls=off out, or use smtps://")
            starttls = "required"
        return cls(
            host=parts.hostname,
            port=port or (465 if tls else 25),
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password or "") if parts.username else None,
            tls=tls,
            starttls=starttls,
            timeout=timeout,
            hello=hello,
        )

    def session(self) -> SmtpSession:
        """Open a conversation. It connects at its first delivery and closes at the end of the block."""
        return SmtpSession(self)

    def check(self, sender: str, recipient: str) -> str:
        """Begin a mail from `sender` to `recipient`, take it back, and return what the server said to the recipient.

        Nothing is sent. Raises ServerDown, Unwilling, Refused, ConnectionLost.
        """
        with self.session() as session:
            return session.envelope(sender, recipient)

    def connect(self) -> smtplib.SMTP:
        """Return a logged-in connection. Raises ServerDown."""
        try:
            return self._connect()
        except smtplib.SMTPResponseException as error:
            raise ServerDown(f"the mail server refuses us: {reply(error.smtp_code, error.smtp_error)}") from error
        except (OSError, smtplib.SMTPException) as error:
            raise ServerDown(f"the mail server cannot be used: {plain(str(error))}") from error

    def _connect(self) -> smtplib.SMTP:
        smtp: smtplib.SMTP
        # The name for EHLO is given, because smtplib would otherwise ask the network for ours.
        if self.tls:
            context = ssl.create_default_context()
            smtp = smtplib.SMTP_SSL(
                self.host, self.port, local_hostname=self.hello, timeout=self.timeout, context=context
            )
        else:
            smtp = smtplib.SMTP(self.host, self.port, local_hostname=self.hello, timeout=self.timeout)
        try:
            smtp.ehlo_or_helo_if_needed()
            if not self.tls and self.starttls != "off":
                if smtp.has_extn("starttls"):
                    smtp.starttls(context=ssl.create_default_context())
                    smtp.ehlo_or_helo_if_needed()
                elif self.starttls == "required":
                    raise smtplib.SMTPNotSupportedError("it offers no STARTTLS, which is required")
            if self.user is not None:
                smtp.login(self.user, self.password or "")
        except BaseException:
            smtp.close()
            raise
        return smtp


class SmtpSession:
    """Mails sent one after the other over one connection, and a fresh one after the server ended it."""

    def __init__(self, transport: SmtpTransport) -> None:
        self._transport = transport
        self._smtp: smtplib.SMTP | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        smtp, self._smtp = self._smtp, None
        if smtp is None:
            return
        try:
            smtp.quit()
        except (OSError, smtplib.SMTPException):
            smtp.close()  # it went away first, which is as good as goodbye

    def deliver(self, sender: str, recipient: str, content: bytes, handing_over: Callable[[], None]) -> None:
        """Hand one mail to the server; see Session. A connection that was ended meanwhile is replaced, once."""
        if self._smtp is not None:
            try:
                return self._deliver(self._smtp, sender, recipient, content, handing_over)
            except ConnectionLost as error:
                if error.handed_over:
                    raise
            except Unwilling as error:
                if not error.ended:
                    raise
        self._smtp = self._transport.connect()
        return self._deliver(self._smtp, sender, recipient, content, handing_over)

    def envelope(self, sender: str, recipient: str) -> str:
        """Begin a mail and take it back; see SmtpTransport.check."""
        self._smtp = self._transport.connect()
        said = self._envelope(self._smtp, sender, recipient)
        self._reset()
        return said

    def _deliver(
        self, smtp: smtplib.SMTP, sender: str, recipient: str, content: bytes, handing_over: Callable[[], None]
    ) -> None:
        self._envelope(smtp, sender, recipient)
        self._ask(lambda: smtp.docmd("DATA"), 354)
        try:
            handing_over()
        except BaseException:
            self._hang_up()
            raise
        try:
            smtp.send(_framed(content))
            code, text = smtp.getreply()
        except (OSError, smtplib.SMTPException) as error:
            self._hang_up()
            raise ConnectionLost(
                "the connection was lost after the mail was handed over; whether it arrived is unknown",
                handed_over=True,
            ) from error
        except BaseException:
            self._hang_up()
            raise
        if code == 421:
            # The server says that it takes no responsibility for the content (RFC 5321 4.2.5).
            self._hang_up()
            raise Unwilling(f"the mail server ended the connection: {reply(code, text)}")
        if code != 250:
            raise _judged(code, text)

    def _envelope(self, smtp: smtplib.SMTP, sender: str, recipient: str) -> str:
        self._ask(lambda: smtp.mail(sender), 250, sender=True)
        return self._ask(lambda: smtp.rcpt(recipient), 250, 251)

    def _ask(self, command: Callable[[], tuple[int, bytes]], *codes: int, sender: bool = False) -> str:
        """Give a command before the content and return the answer; leave the session fit for the next mail."""
        try:
            code, text = command()
        except (OSError, smtplib.SMTPException) as error:
            self._hang_up()
            raise ConnectionLost(f"the connection was lost: {plain(str(error))}", handed_over=False) from error
        if code in codes:
            return reply(code, text)
        if code == 421:
            self._hang_up()
            raise Unwilling(f"the mail server ended the connection: {reply(code, text)}", ended=True)
        self._reset()
        raise _judged(code, text, sender=sender)

    def _reset(self) -> None:
        if self._smtp is None:
            return
        try:
            self._smtp.rset()
        except (OSError, smtplib.SMTPException):
            self._hang_up()

    def _hang_up(self) -> None:
        if self._smtp is not None:
            self._smtp.close()
            self._smtp = None


def _judged(code: int, text: bytes, *, sender: bool = False) -> TransportError:
    """Return what a refusal means: this mail, or every mail of ours. `sender`: it was the answer to MAIL FROM."""
    said = reply(code, text)
    # What is said of our own address holds for every mail, unless it is about the size of this one.
    ours = sender and code != 552
    if ours or about_us(code, said):
        return Unwilling(f"the mail server takes no mail from us: {said}")
    return Refused(f"the mail server refused it: {said}", permanent=500 <= code < 600)


def _starttls(options: Mapping[str, str]) -> str:
    unknown = set(options) - {"starttls"}
    starttls = options.get("starttls", "offered")
    if unknown or starttls not in ("offered", "required", "off"):
        raise ValueError("the mail server's URL takes one option: starttls=offered, required or off")
    return starttls


def _framed(content: bytes) -> bytes:
    """Return a message (with CRLF line ends) as SMTP sends it: dots at line starts doubled, a lone dot at the end."""
    stuffed = re.sub(rb"(?m)^\.", b"..", content)
    return stuffed + (b"" if stuffed.endswith(b"\r\n") else b"\r\n") + b".\r\n"
