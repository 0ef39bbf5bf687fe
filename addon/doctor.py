"""Is this installation well set up? Each finding says what was looked at, whether it is well, and what to do."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from addon import schema
from addon.base import Database, SecretBox
from addon.base.secretbox import SecretUnreadable
from addon.config import Settings
from addon.connect.models import Tenant
from addon.mail import Sender, SmtpTransport, TransportError
from addon.mail.message import usable
from addon.mail.transport import Refused


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    ok: bool
    detail: str


def examine(settings: Settings, *, mail_to: str | None = None) -> list[Finding]:
    """Look at everything that a start depends on. Nothing is changed.

    Parameters: `mail_to` is the address for which a mail is begun, and taken back; without it the sender's own.
    """
    findings = [_base_url(settings), _keys(settings)]
    database = _database(settings)
    findings.append(database)
    if database.ok and findings[1].ok:
        findings.append(_secrets(settings))
    findings.append(_mail(settings, mail_to))
    return findings


def _base_url(settings: Settings) -> Finding:
    ok = settings.base_url.startswith("https://")
    advice = "" if ok else ": Confluence Cloud reaches add-ons by https only (plain http serves the sandbox)"
    return Finding("Base URL", ok, settings.base_url + advice)


def _keys(settings: Settings) -> Finding:
    try:
        SecretBox(settings.encryption_keys)
    except ValueError as error:
        return Finding("Encryption keys", False, f"STEWARD_ENCRYPTION_KEYS: {error}")
    return Finding("Encryption keys", True, f"{len(settings.encryption_keys)} configured, the first one encrypts")


def _database(settings: Settings) -> Finding:
    db = Database(settings.database_url)
    try:
        schema.require_current(db)
    except schema.SchemaOutdated as error:
        return Finding("Database", False, str(error))
    except sa.exc.SQLAlchemyError as error:
        return Finding("Database", False, f"{db.url.render_as_string(hide_password=True)}: {type(error).__name__}")
    finally:
        db.dispose()
    return Finding("Database", True, f"{db.url.get_backend_name()}, schema {schema.head()}")


def _secrets(settings: Settings) -> Finding:
    db = Database(settings.database_url)
    box = SecretBox(settings.encryption_keys)
    unreadable = 0
    with db.read_all() as session:
        sealed = session.scalars(sa.select(Tenant.secret).where(Tenant.secret.is_not(None))).all()
    for secret in sealed:
        try:
            box.open(secret or b"")
        except SecretUnreadable:
            unreadable += 1
    db.dispose()
    detail = f"{len(sealed)} installations"
    if unreadable:
        detail += f", {unreadable} of them sealed with a key that is not configured: add that key, or install again"
    return Finding("Shared secrets", not unreadable, detail)


def _mail(settings: Settings, mail_to: str | None) -> Finding:
    """Begin a mail and take it back: what a server thinks of us it often says at RCPT only."""
    if settings.smtp_url is None:
        return Finding("Mail", True, "no STEWARD_SMTP_URL: notifications are refused until one is set")
    try:
        sender = Sender(settings.mail_from).address
    except ValueError as error:
        return Finding("Mail", False, f"STEWARD_MAIL_FROM: {error}")
    if mail_to is not None and not usable(mail_to):
        return Finding("Mail", False, "--mail-to takes one plain mail address")
    hello = f"as {settings.ehlo}, from {sender}"
    try:
        transport = SmtpTransport.from_url(settings.smtp_url.get_secret_value(), hello=settings.ehlo)
        said = transport.check(sender, mail_to or sender)
    except Refused as error:
        if mail_to is None:
            return Finding("Mail", True, f"{hello}: talks to us, but {error}. Try --mail-to with a reader's address")
        return Finding("Mail", False, f"{hello}, to {mail_to}: {error}")
    except (TransportError, ValueError) as error:
        return Finding("Mail", False, f"STEWARD_SMTP_URL: {error} ({hello})")
    return Finding("Mail", True, f"{hello}, to {mail_to or 'itself'}: the mail server said {said}")
