"""The outbox, rendering and SMTP: mails that were decided on, and how each is handed over at most once."""

from addon.mail.delivery import Addresses, Sent
from addon.mail.digest import DigestContent, DigestSection, digest_context
from addon.mail.housekeeping import (
    forget_greetings,
    forget_mails,
    forget_person_mailed,
    mails_by_state,
    people_mailed,
)
from addon.mail.mailer import Mailer
from addon.mail.message import Sender
from addon.mail.outbox import NewMail, counts
from addon.mail.render import Renderer, TemplateMistake
from addon.mail.transport import SmtpTransport, Transport, TransportError

__all__ = [
    "Addresses",
    "DigestContent",
    "DigestSection",
    "Mailer",
    "NewMail",
    "Renderer",
    "Sender",
    "Sent",
    "SmtpTransport",
    "TemplateMistake",
    "Transport",
    "TransportError",
    "counts",
    "digest_context",
    "forget_greetings",
    "forget_mails",
    "forget_person_mailed",
    "mails_by_state",
    "people_mailed",
]
