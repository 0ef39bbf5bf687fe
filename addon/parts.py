"""The parts of the running add-on that screens may use; create_app fills them in."""

from __future__ import annotations

from dataclasses import dataclass

from addon.base import Clock, Database
from addon.config import Settings
from addon.confluence import Confluence, Permissions
from addon.connect import Tenants
from addon.engine import Engine
from addon.mail import Mailer
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
