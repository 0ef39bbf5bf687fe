"""The errors of a call that is not let in, below one root; their kinds are stable and part of the JSON API."""

from __future__ import annotations

from addon.base import Refusal


class ConnectError(Refusal):
    """A call from a site or from a person on it that is not served."""


class Unauthenticated(ConnectError):
    """The call does not prove who makes it, or comes from a site where the add-on is not in use."""


class BadPayload(ConnectError):
    """The body of a lifecycle call or of a webhook is not acceptable; `errors` names its fields."""


class PayloadTooLarge(ConnectError):
    """The body of a lifecycle call or of a webhook is longer than it may be."""


class CannotVerify(ConnectError):
    """It cannot be said now whether the call is genuine; `retry_after` says when to send it again."""
