"""What do people see of the pretend site? Its pages, the frame around the add-on's, and the script between them."""

from __future__ import annotations

from flask import Blueprint

from addon.sandbox.inbox import Inbox
from addon.sandbox.site import Site
from addon.sandbox.ui.desk import Desk
from addon.sandbox.ui.wiki import Wiki

__all__ = ["ui_blueprint"]


def ui_blueprint(site: Site, inbox: Inbox | None = None) -> Blueprint:
    """Return the routes of the site's pages. Without an `inbox` there is no mail to show."""
    routes = Blueprint("ui", __name__)
    Wiki(site, inbox).register(routes)
    Desk(site, inbox).register(routes)
    return routes
