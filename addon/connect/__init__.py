"""Atlassian Connect: who is calling, which sites have the add-on installed, and how our own requests are signed.

This package owns the tables `tenant`, `spent_token`, `account_report` and `report_cycle`, all tokens and all shared
secrets. No other package imports a JWT library, sees a secret or queries these tables.

## A call comes in

`install_boundary` puts one hook before all views and one after them. What a view admits is declared at the view:

    audience   who may call                        proof (docs/rules/connect.md 3)
    --------   ---------------------------------   --------------------------------------------------------------
    public     everyone                            none
    page       a person, in the host's frame       the site's HS256, qsh of this very request, a person in `sub`
    api        a person, from our own page         the site's HS256, the literal qsh of context tokens, header only
    host       the site itself (webhooks)          the site's HS256, qsh of this very request
    switch     the same, also while disabled       as host
    install    Atlassian, for a site               Atlassian's RS256, verified by the view itself

    request --> token_of: one token, short, ASCII
            --> parse, untrusted: `iss` is the clientKey
            --> Tenants: installed? its secret is opened
            --> verified: signature under the one algorithm that we chose, never the token's choice
            --> check_times: exp, nbf, iat with 30 s of leeway, valid for an hour at most
            --> enabled?
            --> qsh: of this request, or the literal, compared in constant time
            --> Caller(tenant, account) on flask.g --> the view

The first step that fails raises Unauthenticated with a stable kind, and nothing after it runs. A token proves who
calls, never what they may do: that is asked of Confluence (addon.confluence.Permissions). A view without a declared
audience keeps the server from starting (`check_routes`). A request that is signed with the stored secret also proves
that the secret is right, and clears the mark that the site has to install the add-on again.

## The lifecycle

    installed  --> a new tenant, or the known one with a new secret (secret_version + 1)
    enabled    --> enabled
    disabled   --> not enabled: its calls are refused, but for another `enabled` or `disabled`
    uninstalled -> the secret is dropped, generation + 1; the rows stay for the days of grace, then they are erased

Calls come late, twice and in any order. `lifecycle_iat` keeps the `iat` of the newest that counted; an older one
changes nothing. An `installed` that fails its checks leaves everything as it was. What follows in other packages
(policies, schedules, unsent mail) happens in the same transaction, through LifecycleListener: either all of it is
stored and the site hears 204, or nothing is and the site sends the call again. A token of `installed` or `uninstalled`
works once, because Atlassian does not sign the body: with another body the second use is refused.

## A call goes out

`Tenants.get` gives `addon.confluence` a Site whose `auth` signs each request for the tenant's host and path, and
refuses to sign for any other (ForeignUrl). After an answer 401 the caller returns the Site as `stale`: it gets one with
a newer secret where there is one, otherwise the tenant is marked as needing a new installation. Work that began before
an uninstall has an older generation and ends with TenantGone.

## On each failure

    install keys cannot be fetched          503, Atlassian repeats the call; what no host knows is 401 for a minute
    a secret fits no configured key         503 for incoming calls, Unreachable for outgoing; see `steward doctor`
    the site refuses our signature twice    Unreachable, and a mark that screens and operators see
    the report of accounts is refused       put off as long as Atlassian says, else six hours; nothing is lost
"""

from addon.connect.errors import BadPayload, CannotVerify, ConnectError, PayloadTooLarge, Unauthenticated
from addon.connect.headers import BARE_HEADERS
from addon.connect.hosts import AllowedHosts
from addon.connect.installkeys import InstallKeys
from addon.connect.lifecycle import LIFECYCLE_PATHS, LifecycleListener, lifecycle_blueprint
from addon.connect.report_cycle import (
    claim_reporting,
    forget_reports,
    note_reports,
    put_off_reporting,
    reports_due,
)
from addon.connect.reporting import REPORT_AT_ONCE, REPORT_ORIGIN, ReportFailed, Verdicts, report_accounts
from addon.connect.route_access import (
    UndeclaredRoute,
    admits,
    check_routes,
    current_caller,
    current_installation,
    install_boundary,
    known_caller,
)
from addon.connect.siteauth import ForeignUrl, SiteAuth
from addon.connect.tenant_writes import cut_off_uninstalled, delete_tenant
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
    "LIFECYCLE_PATHS",
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
    "admits",
    "check_routes",
    "claim_reporting",
    "count_installations",
    "current_caller",
    "current_installation",
    "cut_off_uninstalled",
    "delete_tenant",
    "forget_reports",
    "install_boundary",
    "installed_since",
    "known_caller",
    "lifecycle_blueprint",
    "note_reports",
    "put_off_reporting",
    "report_accounts",
    "reports_due",
    "tenant_ids",
    "webhook_blueprint",
    "webhook_path",
]
