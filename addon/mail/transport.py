"""The way to a mail server, as the rest of the room sees it, and what is known when a mail did not go out.

Four cases are kept apart: the server cannot be used at all (`ServerDown`); it takes no mail from us now, whatever mail
it is (`ServerUnwilling`); it was asked and refused this mail (`MailRefused`), permanently or for now; the connection
broke (`ConnectionLost`), before the content was handed over, when another try is safe, or after, when it is unknown
whether the mail was accepted.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol


class TransportError(Exception):
    """A mail did not go out, or could not. The subclasses say what is known; the message carries no address."""


class ServerDown(TransportError):
    """No session with the mail server: it cannot be reached, or refuses TLS or the login. Nothing was handed over."""


class ServerUnwilling(TransportError):
    """The server takes no mail from us now: it relays nothing, or objects to our name, sender or login, or is busy.

    Nothing is said about this mail. `ended`: the server ended the connection with it, before any content.
    """

    def __init__(self, reason: str, *, ended: bool = False) -> None:
        super().__init__(reason)
        self.ended = ended


class MailRefused(TransportError):
    """The server refused this mail. `permanent`: another try would be refused as well."""

    def __init__(self, reason: str, *, permanent: bool) -> None:
        super().__init__(reason)
        self.permanent = permanent


class ConnectionLost(TransportError):
    """The connection broke. `handed_over`: the content was on its way, and whether it was accepted is unknown."""

    def __init__(self, reason: str, *, handed_over: bool) -> None:
        super().__init__(reason)
        self.handed_over = handed_over


class Conversation(Protocol):
    """A conversation with the mail server."""

    def deliver(self, sender: str, recipient: str, content: bytes, handing_over: Callable[[], None]) -> None:
        """Hand one mail to the server; return once it was accepted.

        Parameters: bare addresses; `content`, the message with CRLF line ends; and `handing_over`, which is called at
        the last moment before the content goes out. What it raises stops the delivery, with nothing handed over.
        Raises ServerDown, ServerUnwilling, MailRefused, ConnectionLost.
        """
        ...


class Transport(Protocol):
    """Where mails go."""

    def session(self) -> AbstractContextManager[Conversation]:
        """Open a conversation. It connects at its first delivery and closes at the end of the block."""
        ...
