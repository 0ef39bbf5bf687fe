"""The examination of an installation: each finding says what was looked at, whether it is well, and what to do."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from addon import migrations
from addon.base import Database, SecretBox, SystemClock
from addon.config import Settings, strangers
from addon.connect import Tenants
from addon.engine import any_process, no_worker, workers
from addon.mail import MailRefused, Sender, SmtpTransport, TransportError, usable_address


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    ok: bool
    detail: str
    note: bool = False
    """Nothing has to be done, yet it may not be what was meant."""


def examine(settings: Settings, *, mail_to: str | None = None) -> list[Finding]:
    """Look at everything that a start depends on. Nothing is changed.

    Parameters: `mail_to` is the address for which a mail is begun, and taken back; without it the sender's own.
    """
    keys = _keys(settings)
    database, readable = _database(settings)
    findings = [_names(), _base_url(settings), keys, database]
    if readable and not settings.database_url.startswith("sqlite"):
        findings.append(_processes(settings))
    if readable and keys.ok:
        findings.append(_secrets(settings))
    findings.append(_mail(settings, mail_to))
    return findings


def _base_url(settings: Settings) -> Finding:
    ok = settings.base_url.startswith("https://")
    advice = "" if ok else ": Confluence Cloud reaches add-ons by https only (plain http serves the sandbox)"
    return Finding("Base URL", ok, settings.base_url + advice)


def _keys(settings: Settings) -> Finding:
    if not settings.encryption_keys:
        return Finding("Encryption keys", False, "STEWARD_ENCRYPTION_KEYS is not set: `steward new-key` makes one")
    return Finding("Encryption keys", True, f"{len(settings.encryption_keys)} configured, the first one encrypts")


def _names() -> Finding:
    found = strangers()
    ok = not any("did you mean" in line for line in found)
    return Finding("Settings", ok, "; ".join(found) or "all known", note=ok and bool(found))


def _database(settings: Settings) -> tuple[Finding, bool]:
    """Return what was found, and whether there is a schema that this version can read."""
    if settings.database_url.startswith("sqlite") and (fresh := _file(settings)):
        return fresh, False
    db = Database(settings.database_url)
    try:
        found = migrations.revision(db)
        if db.is_sqlite and found != migrations.head() and migrations.knows(found):
            was = f"at revision {found}" if found else "empty"
            return Finding(
                "Database", True, f"{was}: `steward serve` brings it to {migrations.head()} at its start"
            ), False
        migrations.require_current(db)
    except migrations.SchemaOutdated as error:
        return Finding("Database", False, str(error)), False
    except sa.exc.SQLAlchemyError as error:
        where = db.url.render_as_string(hide_password=True)
        return Finding("Database", False, f"STEWARD_DATABASE_URL: {where}: {getattr(error, 'orig', error)}"), False
    finally:
        db.dispose()
    detail = f"{db.url.get_backend_name()}, schema {migrations.head()}"
    if not db.is_sqlite and not migrations.scaled(db):
        detail += "; without the extra `scale` processes do not wake each other, and a start waits for some seconds"
    return Finding("Database", True, detail), True


def _file(settings: Settings) -> Finding | None:
    """Return what is to be said of an SQLite file before it is opened, which would make it; None where it is there."""
    path = Path(sa.make_url(settings.database_url).database or "").absolute()
    if not path.parent.is_dir():
        return Finding("Database", False, f"STEWARD_DATABASE_URL: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        return Finding("Database", False, f"STEWARD_DATABASE_URL: {path} and its folder must be writable")
    if not path.exists():
        return Finding("Database", True, f"{path} is not there yet: `steward serve` makes it at its start")
    return None


def _secrets(settings: Settings) -> Finding:
    db = Database(settings.database_url)
    tenants = Tenants(db, SecretBox(settings.encryption_keys), SystemClock(), addon_key=settings.addon_key)
    secrets = tenants.stored_secrets()
    db.dispose()
    detail = f"{secrets.stored} installations"
    if secrets.unreadable:
        detail += (
            f", {secrets.unreadable} of them sealed with a key that is not configured: add that key, or install again"
        )
    return Finding("Shared secrets", not secrets.unreadable, detail)


def _processes(settings: Settings) -> Finding:
    """A web process alone ticks and serves, and what it starts stays at 0 % until a worker comes."""
    db = Database(settings.database_url)
    now = SystemClock().now()
    with db.read_all() as session:
        some = any_process(session, now, settings.lease_seconds)
        missing = no_worker(session, now, settings.lease_seconds)
        running = workers(session, now, settings.lease_seconds)
    db.dispose()
    if not some:
        return Finding("Processes", True, "none is running on this database now")
    return Finding("Processes", missing is None, missing or f"{running} that run jobs")


def _mail(settings: Settings, mail_to: str | None) -> Finding:
    """Begin a mail and take it back: what a server thinks of us it often says at RCPT only."""
    if settings.smtp_url is None:
        return Finding("Mail", True, "no STEWARD_SMTP_URL: notifications are refused until one is set")
    try:
        sender = Sender(settings.mail_from).address
    except ValueError as error:
        return Finding("Mail", False, f"STEWARD_MAIL_FROM: {error}")
    if mail_to is not None and not usable_address(mail_to):
        return Finding("Mail", False, "--mail-to takes one plain mail address")
    hello = f"as {settings.ehlo}, from {sender}"
    try:
        transport = SmtpTransport.from_url(settings.smtp_url.get_secret_value(), hello=settings.ehlo)
        said = transport.check(sender, mail_to or sender)
    except MailRefused as error:
        if mail_to is None:
            return Finding("Mail", True, f"{hello}: talks to us, but {error}. Try --mail-to with a reader's address")
        return Finding("Mail", False, f"{hello}, to {mail_to}: {error}")
    except (TransportError, ValueError) as error:
        return Finding("Mail", False, f"STEWARD_SMTP_URL: {error} ({hello})")
    return Finding("Mail", True, f"{hello}, to {mail_to or 'itself'}: the mail server said {said}")
