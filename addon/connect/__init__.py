"""Who is calling, and which sites installed the add-on?

Views declare with `rule(...)` who is let in; `install_boundary` enforces it and sets the headers; `current_caller()`
is the verified person. `Tenants` implements addon.base.SiteSource for the way out.
"""

from addon.connect.authenticate import authenticate_api, authenticate_page
from addon.connect.headers import BARE_HEADERS
from addon.connect.hosts import AllowedHosts
from addon.connect.installkeys import InstallKeys
from addon.connect.lifecycle import PATHS, LifecycleListener, lifecycle_blueprint
from addon.connect.route_access import (
    UndeclaredRoute,
    check_rules,
    current_caller,
    current_installation,
    install_boundary,
    known_caller,
    rule,
)
from addon.connect.siteauth import ForeignUrl, SiteAuth
from addon.connect.tenants import Installation, Tenants
from addon.connect.webhooks import WEBHOOK_EVENTS, SiteEvent, WebhookListener, webhook_blueprint, webhook_path

__all__ = [
    "BARE_HEADERS",
    "PATHS",
    "WEBHOOK_EVENTS",
    "AllowedHosts",
    "ForeignUrl",
    "InstallKeys",
    "Installation",
    "LifecycleListener",
    "SiteAuth",
    "SiteEvent",
    "Tenants",
    "UndeclaredRoute",
    "WebhookListener",
    "authenticate_api",
    "authenticate_page",
    "check_rules",
    "current_caller",
    "current_installation",
    "install_boundary",
    "known_caller",
    "lifecycle_blueprint",
    "rule",
    "webhook_blueprint",
    "webhook_path",
]
