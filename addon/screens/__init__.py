"""The pages inside Confluence and the JSON API behind them."""

from __future__ import annotations

from flask import Flask

from addon.connect import known_caller
from addon.parts import Parts
from addon.screens import health, pages, problems
from addon.screens.access import Access
from addon.screens.api import blueprint as api
from addon.screens.lookups import Lookups

__all__ = ["register"]


def register(app: Flask, parts: Parts) -> None:
    """Add the pages, the JSON API, the health routes and the error answers to `app`.

    connect's boundary must be installed on the app: the views declare who is let in, they do not check it.
    """
    lookups = Lookups(parts.confluence, parts.clock)
    access = Access(parts.permissions, lookups, parts.db)
    problems.register(app, parts.settings, parts.clock)
    app.before_request(lambda: parts.confluence.begin_request(known_caller()))
    app.teardown_request(lambda _error: parts.confluence.end_request())
    app.register_blueprint(api.blueprint(parts, access, lookups))
    app.register_blueprint(pages.blueprint(parts, access))
    app.register_blueprint(pages.pictures())
    app.register_blueprint(health.blueprint(parts))
