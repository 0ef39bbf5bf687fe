"""Who is calling, and which sites installed the add-on?

Views declare with `rule(...)` who is let in; `install_boundary` enforces it and sets the headers; `current_caller()`
is the verified person. `Tenants` implements addon.base.SiteSource for the way out.
"""

from addon.connect.authenticate import authenticate_api, authenticate_page
from addon.connect.errors import BadPayload, CannotVerify, ConnectError, PayloadTooLarge, Unauthenticated
from addon.connect.headers import BARE_HEADERS
from addon.connect.hosts import AllowedHosts
from addon.connect.installkeys import InstallKeys
from addon.connect.lifecycle import PATHS, LifecycleListener, lifecycle_blueprint
from addon.connect.report_cycle import (
    claim_reporting,
    forget_reports,
    note_reports,
    put_off_reporting,
    reports_due,
)
from addon.connect.reporting import REPORT_AT_ONCE, REPORT_ORIGIN, ReportFailed, Verdicts, report
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
from addon.connect.tenant_writes import cut_off, delete_tenant
from addon.connect.tenants import (
    Installation,
    InstallationCounts,
    StoredSecrets,
    Tenants,
    count_installations,
    installed_since,
    tenant_ids,
)
from addon.connect.webhooks import WEBHOOK_EVENTS, SiteEvent, WebhookListener, webhook_blueprint, webhook_path

__all__ = [
    "BARE_HEADERS",
    "PATHS",
    "REPORT_AT_ONCE",
    "REPORT_ORIGIN",
    "WEBHOOK_EVENTS",
    "AllowedHosts",
    "BadPayload",
    "CannotVerify",
    "ConnectError",
    "ForeignUrl",
    "InstallKeys",
    "Installation",
    "InstallationCounts",
    "LifecycleListener",
    "PayloadTooLarge",
    "ReportFailed",
    "SiteAuth",
    "SiteEvent",
    "StoredSecrets",
    "Tenants",
    "Unauthenticated",
    "UndeclaredRoute",
    "Verdicts",
    "WebhookListener",
    "authenticate_api",
    "authenticate_page",
    "check_rules",
    "claim_reporting",
    "count_installations",
    "current_caller",
    "current_installation",
    "cut_off",
    "delete_tenant",
    "forget_reports",
    "install_boundary",
    "installed_since",
    "known_caller",
    "lifecycle_blueprint",
    "note_reports",
    "put_off_reporting",
    "report",
    "reports_due",
    "rule",
    "tenant_ids",
    "webhook_blueprint",
    "webhook_path",
]
