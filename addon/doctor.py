"""Is this installation well set up? Each finding says what was looked at, whether it is well, and what to do."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from addon import schema
from addon.base import Database, SecretBox
from addon.base.secretbox import SecretUnreadable
from addon.config import Settings
from addon.connect.models import Tenant
from addon.mail import SmtpTransport, TransportError


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    ok: bool
    detail: str


def examine(settings: Settings) -> list[Finding]:
    """Look at everything that a start depends on. Nothing is changed."""
    findings = [_base_url(settings), _keys(settings)]
    database = _database(settings)
    findings.append(database)
    if database.ok and findings[1].ok:
        findings.append(_secrets(settings))
    findings.append(_mail(settings))
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


def _mail(settings: Settings) -> Finding:
    if settings.smtp_url is None:
        return Finding("Mail", True, "no STEWARD_SMTP_URL: notifications are refused until one is set")
    try:
        SmtpTransport.from_url(settings.smtp_url.get_secret_value()).check()
    except (TransportError, ValueError) as error:
        return Finding("Mail", False, f"STEWARD_SMTP_URL: {error}")
    return Finding("Mail", True, f"connected; mails come from {settings.mail_from}")
