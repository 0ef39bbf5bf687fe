"""A mail as it goes over the wire: its headers and its two bodies, with nothing that a title could smuggle in."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

import idna

ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
MAX_SUBJECT = 200

# 7bit: bodies are encoded so that any server takes them; no line is longer than SMTP allows.
POLICY = policy.SMTP.clone(cte_type="7bit")


class Sender:
    """Who our mails are from: a From header and what follows from its domain."""

    def __init__(self, mail_from: str) -> None:
        """Take a From header such as `Content Steward <steward@example.com>`: one mailbox, and nothing else.

        A domain may be written in any script. Raises ValueError on everything that could be read in two ways.
        """
        name, address = _mailbox(mail_from)
        self.address = address
        self.domain = address.rpartition("@")[2].lower()
        self.header = Address(display_name=one_line(name), addr_spec=address)

    def message_id(self, dedupe_key: str) -> str:
        """Return the Message-ID of the mail of that key: always the same one, so that a copy is recognised as one."""
        digest = hashlib.sha256(dedupe_key.encode()).hexdigest()[:40]
        return f"<{digest}@{self.domain}>"

    def compose(self, *, to: str, subject: str, text: str, html: str, message_id: str, at: datetime) -> EmailMessage:
        """Return the mail. Raises ValueError when `to` is not one usable address."""
        if not usable_address(to):
            raise ValueError("not a usable mail address")
        message = EmailMessage(policy=POLICY)
        message["From"] = self.header
        message["To"] = Address(addr_spec=to)
        message["Subject"] = one_line(subject)[:MAX_SUBJECT]
        message["Date"] = format_datetime(at)
        message["Message-ID"] = message_id
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"
        message["List-Id"] = f"Content Steward <digest.{self.domain}>"
        message.set_content(_clean(text), charset="utf-8")
        message.add_alternative(_clean(html), subtype="html", charset="utf-8")
        return message


def _mailbox(written: str) -> tuple[str, str]:
    """Return the name and the address (its domain in ASCII) of the one mailbox that a From header names."""
    mistake = ValueError(
        f"the sender is one mailbox such as Content Steward <steward@example.com>, not {written!r}; "
        "a name with more than letters and blanks goes in double quotes"
    )
    if not written.isprintable() or not written.strip():
        raise mistake
    local, at, domain = written.rpartition("@")
    bracket = domain[len(domain.removesuffix(">")) :]
    try:
        ascii_domain = (
            domain if domain.isascii() else idna.encode(domain.removesuffix(">"), uts46=True).decode() + bracket
        )
    except UnicodeError:
        raise mistake from None
    header = policy.default.header_factory("From", f"{local}{at}{ascii_domain}")
    [*groups] = getattr(header, "groups", ())
    # A defect is text that a lenient reader would drop or guess at: a comma in a bare name, a bracket too many.
    if header.defects or len(groups) != 1 or groups[0].display_name is not None or len(groups[0].addresses) != 1:
        raise mistake
    mailbox = groups[0].addresses[0]
    comment = "(" in written and "(" not in mailbox.display_name
    if comment or not usable_address(mailbox.addr_spec):
        raise mistake
    return mailbox.display_name, mailbox.addr_spec


def usable_address(address: str) -> bool:
    """Whether `address` is one plain ASCII mail address of a length that SMTP takes."""
    return len(address) <= 254 and ADDRESS.fullmatch(address) is not None and ".." not in address


def one_line(text: str) -> str:
    """Return `text` on one line, without control characters: fit for a header."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def without_addresses(text: str) -> str:
    """Return `text` as one short line, with anything that looks like a mail address taken out: it is personal data."""
    return re.sub(r"[^\s<>@\"']+@[^\s<>\"']+", "(address)", one_line(text))[:300]


def _clean(body: str) -> str:
    return "".join(char for char in body if char.isprintable() or char in "\n\t").encode("utf-8", "replace").decode()
