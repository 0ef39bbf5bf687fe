"""Mail: the outbox, rendering and SMTP. A mail that was decided on is not lost, and is handed over at most once.

The room knows no Confluence and no policies. Jobs decide who gets which mail; a look-up that the caller brings finds
the address at the moment of sending, and no address is ever stored. Rules: docs/rules/notifications.md 6.0 and 6.7; why
at most once: docs/adr/0006-mail-at-most-once.md; why mails wait: docs/adr/0031-mails-wait-for-their-server.md.

The way of a mail
-----------------
::

    digest.py, render.py    context of a digest -> subject, text and HTML, in a process of its own (sandboxed.py)
        |
    mailer.py               Mailer.enqueue: a row, in the transaction that decided; the same decision twice is one row
        |
    mailer.py               Mailer.send_due: a turn for each tenant with due mails
        |
    delivery.py             leases a few, finds their addresses, tries each once, records the outcome at once
        |         |
    outbox.py  smtp.py      the row's transitions, each one conditional UPDATE; the dialogue with the server

The end of a job sends its own execution's mails; a tick every 30 seconds sends what is left of all. Both call
`send_due`.

States
------
::

    pending --lease--> leased --begin--> begun --250--> sent
       ^                 |                 |
       |                 |                 +-- no answer, lease over ---------------> dead (UNKNOWN)
       |                 |                 +-- refused permanently, or the 8th time -> dead
       |                 |                 |
       |                 +-- no usable address ------------------------------------> suppressed
       |                 |                 |
       +-- lease over ---+                 |
       +-- refused for now, or the server takes no mail of ours ---+

    pending for 72 hours, site uninstalled, backup restored ------------------------> dead

`pending`, `sent`, `suppressed` and `dead` are the column `state`; leased and begun are a pending mail with
`lease_until` and with `begun_at`. A refusal of the recipient comes before `begin`, one of the content after it; both
lead to the same states. An ended mail keeps no subject and no text.

At most once, and take-over
---------------------------
A lease says no more than "do not bother": it may be taken away at any time while the content was not handed over. The
owner of an execution takes the leases of the owner before it at once. What decides is `begin`, one conditional UPDATE
after the server has accepted the recipient and asked for the content: it needs the lease and sets `begun_at`, so of any
number of senders exactly one gets through. Whatever happens after it without an answer, the mail is not sent again.
So a person may miss a digest in that one instant, and never gets one twice.

When something fails
--------------------
=================================================  =====================================================================
what                                               then
=================================================  =====================================================================
the process dies before `begin`                    the lease runs out (120 s) and the mail is tried again
the process dies, or the connection breaks, after  after the lease `dead` with the reason UNKNOWN; on SQLite at the next
`begin`                                            start. A sender that was only slow can still report `sent`
the connection breaks before `begin`               no attempt; tried again in 5 minutes
the server cannot be reached, or refuses TLS or    no attempt; all leased mails wait for 5 minutes, up to 72 hours, then
the login                                          `dead`. After an hour the log says so as an error, once an hour
the server takes no mail from us (relay, name,     the same for this mail; the others have their turn, until three in a
sender, busy)                                      row say that it is the server (ADR 31)
the server refuses this mail for now (4xx)         tried again after 1, 4, 16, 64, 256 minutes, then every 6 hours; 8
                                                   times in all, then `dead`
the server refuses this mail permanently (5xx)     `dead`
Confluence shows no address                        `suppressed`
Confluence cannot be asked for addresses           the tenant's leased mails wait for 5 minutes
a mail cannot be written (a header, an encoding)   `dead`: the others do not wait behind it
a template uses more time or memory than allowed   its process is ended and replaced; the caller takes another template
=================================================  =====================================================================
"""

from addon.mail.delivery import Addresses, Sent
from addon.mail.digest import DigestContent, DigestSection, digest_context
from addon.mail.housekeeping import (
    forget_greetings,
    forget_mails,
    forget_person,
    mails_by_state,
    people_named,
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
    "forget_person",
    "mails_by_state",
    "people_named",
    "usable_address",
]
