"""What people see of the pretend site: its pages, the frame around the add-on's, and the script between them."""

from __future__ import annotations

from flask import Blueprint

from addon.sandbox.site import Site
from addon.sandbox.ui.desk import Desk
from addon.sandbox.ui.wiki import Wiki

__all__ = ["blueprint"]


def blueprint(site: Site) -> Blueprint:
    """Return the routes of the site's pages. Mail is shown when the site has an inbox (`site.inbox`)."""
    routes = Blueprint("ui", __name__)
    Wiki(site).register(routes)
    Desk(site).register(routes)
    return routes
