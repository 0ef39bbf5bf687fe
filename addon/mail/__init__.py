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
from addon.mail.message import Sender, usable_address
from addon.mail.outbox import ENQUEUE_BATCH, NewMail
from addon.mail.render import Renderer, TemplateMistake
from addon.mail.smtp import SmtpTransport
from addon.mail.transport import MailRefused, Transport, TransportError

__all__ = [
    "ENQUEUE_BATCH",
    "Addresses",
    "DigestContent",
    "DigestSection",
    "MailRefused",
    "Mailer",
    "NewMail",
    "Renderer",
    "Sender",
    "Sent",
    "SmtpTransport",
    "TemplateMistake",
    "Transport",
    "TransportError",
    "digest_context",
    "forget_greetings",
    "forget_mails",
    "forget_person_mailed",
    "mails_by_state",
    "people_mailed",
    "usable_address",
]
