"""The parts of the running add-on under one name: create_app puts them together, screens, ticks and tests use them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from addon.base import Clock, Database
from addon.config import PREFIX, Settings
from addon.confluence import Confluence, Permissions
from addon.connect import AllowedHosts, Tenants
from addon.engine import Engine
from addon.mail import Mailer, Sender, SmtpTransport
from addon.policies import Policies


@dataclass(frozen=True, slots=True)
class Parts:
    """One process's parts, put together once."""

    settings: Settings
    clock: Clock
    db: Database
    tenants: Tenants
    confluence: Confluence
    permissions: Permissions
    policies: Policies
    engine: Engine
    mailer: Mailer


def mistakes(settings: Settings) -> list[str]:
    """Return what the parts would refuse of `settings` when they are built, one line each, with the variable's name."""
    smtp = settings.smtp_url
    parts: list[tuple[str, Callable[[], object]]] = [
        ("ALLOWED_HOSTS", lambda: AllowedHosts(settings.allowed_hosts)),
        ("MAIL_FROM", lambda: Sender(settings.mail_from)),
        ("SMTP_URL", lambda: smtp and SmtpTransport.from_url(smtp.get_secret_value())),
    ]
    found = []
    for name, build in parts:
        try:
            build()
        except ValueError as error:
            found.append(f"{PREFIX}{name}: {error}")
    return found
