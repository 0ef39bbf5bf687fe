"""SMTP: one mail after the other over a connection, and what a server's answers say of us and of the mail.

The dialogue is our own, over smtplib's commands: its `sendmail` has no moment at which we could record that the content
goes out now, and a mail is handed over at most once (docs/adr/0006-mail-at-most-once.md).
"""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit

from addon.mail.message import without_addresses
from addon.mail.transport import ConnectionLost, MailRefused, ServerDown, ServerUnwilling, TransportError

TIMEOUT = 30.0
"""Seconds that connecting, and each answer of the server, may take."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")
ABOUT_US = frozenset({500, 502, 503, 504, 521, 530, 534, 535, 538})
"""Codes about the conversation (a command, its order, the login), whatever the mail is (RFC 5321 4.2, RFC 4954 6)."""
ABOUT_US_STATUS = re.compile(r"[45]\.(1\.[78]|3\.[0-35]|5\.[01245]|7\.(0|8|9|10|11|12|13))\b")
"""Enhanced codes (RFC 3463) of the sender's address, the server's state, the protocol and the login."""
ABOUT_US_WORDS = re.compile(
    r"\brelay|rcpthosts|\b(helo|ehlo)\b|\bauthenti|sender (address )?(was |is )?(rejected|refused|denied|verif)"
    r"|client (host|was)|access denied|blocked using",
    re.IGNORECASE,
)
"""How servers word, often only at RCPT, that they relay nothing for us, or do not like our name or address. Postfix
puts all its judgement off to RCPT, and many say 550 or 554 5.7.1 for this as for a refused recipient."""


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

    def session(self) -> SmtpConversation:
        """Open a conversation. It connects at its first delivery and closes at the end of the block."""
        return SmtpConversation(self)

    def check(self, sender: str, recipient: str) -> str:
        """Begin a mail from `sender` to `recipient`, take it back, and return what the server said to the recipient.

        Nothing is sent. Raises ServerDown, ServerUnwilling, MailRefused, ConnectionLost.
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
            raise ServerDown(f"the mail server cannot be used: {without_addresses(str(error))}") from error

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


class SmtpConversation:
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
        """Hand one mail to the server; see Conversation. A connection that was ended meanwhile is replaced, once."""
        if self._smtp is not None:
            try:
                return self._deliver(self._smtp, sender, recipient, content, handing_over)
            except ConnectionLost as error:
                if error.handed_over:
                    raise
            except ServerUnwilling as error:
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
        # The server has the envelope and asks for the content: whatever it refuses of the mail it has mostly refused by
        # now, and nothing was handed over yet. So this is the last moment to claim the mail, and the best one.
        self._ask(lambda: smtp.docmd("DATA"), 354)
        try:
            handing_over()
        except BaseException:
            # No content may follow, and DATA has no way back: the connection has to go.
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
            raise ServerUnwilling(f"the mail server ended the connection: {reply(code, text)}")
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
            raise ConnectionLost(
                f"the connection was lost: {without_addresses(str(error))}", handed_over=False
            ) from error
        if code in codes:
            return reply(code, text)
        if code == 421:
            self._hang_up()
            raise ServerUnwilling(f"the mail server ended the connection: {reply(code, text)}", ended=True)
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
        return ServerUnwilling(f"the mail server takes no mail from us: {said}")
    return MailRefused(f"the mail server refused it: {said}", permanent=500 <= code < 600)


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


def reply(code: int, text: bytes | str) -> str:
    """Return a server's answer as one line without addresses, which are personal data and never stored."""
    said = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return without_addresses(f"{code} {said}")


def about_us(code: int, said: str) -> bool:
    """Return whether a refusal holds for every mail of ours: our login, name or address, or the server's own state.

    Parameters: the reply's `code`, and the whole reply as `reply` returns it.
    """
    return code in ABOUT_US or bool(ABOUT_US_STATUS.search(said) or ABOUT_US_WORDS.search(said))
