"""The only way out to a Confluence site: every call is typed, limited, paid for in points, signed and read.

The package owns the tables `quota_hour`, `site_hint` and `rights_change`. It has two doors: this one, for what is asked
of a site, and `addon.confluence.cql` for the query language, which asks nothing of any site.

    client    what can be asked, with people: typed methods                content   what comes back
    http/     how one request is made, repeated and read                   errors    what can go wrong
    quota/    whether it may be made now, and who pays                     hints     what webhooks said
    rights/   what one person may do on a site                             gateway   where clients come from

## One request, there and back

    SiteClient.search("type = page ...")           names an endpoint, its parameters, and the most rows it may return
      SiteRequests.call                            repeats, where that is safe
        Rests.wait                                 an endpoint that asked for fewer requests is left alone
        guard.call_seconds | Turnstile.turn        a run: stops here when cancelled, stopping or without its lease;
                                                   a person: a slot of the web threads, and what is left of 15 s
        Quota.reserve                              the most the call can cost, out of the hour's points
          Transport.send                           one signed request, one deadline, a bounded answer, no redirect
        decoding.decoded                           JSON, whatever people wrote into it
        Reservation.charge                         what the call did cost; the rest is free for the next one
      answers.rows                                 values of content.py, or Malformed
    Content, Content, ...                          and the next page, the same way

An open client has reserved points; they go back when it is closed. Leave it outside of any write transaction.

## Points

    read:   1 + objects * weight     weight 2 for users, groups and permissions, otherwise 1
    write:  1                        whatever it writes
    401 and 429: 0                   other failures: 1

(docs/rules/confluence-api.md 4.) Before the call `objects` is the most that it may return, afterwards what it did.

## What happens when

    answer                      what is done                                                       raised at last
    -------------------------   ----------------------------------------------------------------   -----------------
    401                         once more with a newer secret, where there is one                  Unreachable
    429 for a burst             nothing was done: the endpoint rests, then any call is repeated    RateLimited
    429 for the quota           the hour is closed for all processes                               QuotaExhausted
    no points in the table      nothing is sent                                                    QuotaExhausted
    503 with Retry-After        the endpoint rests, then a repeatable call is repeated             Overloaded
    5xx, timeout, no network,   a repeatable call twice more, after 0.25 and 1 s                   ServerError,
    too large, or not JSON                                                                         Timeout, Network,
                                                                                                   Malformed
    JSON without what it needs  nothing is repeated: the site would say the same                   Malformed
    3xx                         never followed: the signature is for this host and path            Redirected
    400, 403, 404, 409, 4xx     never repeated: someone has to change something                    BadRequest and others
    too many people at once,    nothing is sent                                                    SiteBusy
    or a silent site

Repeatable are reads, every PUT (that of a content property carries the version that it makes) and the DELETE of a
property. After any other write that failed on the way, the caller reads what is there and decides
(docs/rules/executions.md 1.7). Rests of all endpoints together last ten minutes for a run and two seconds for a person;
after that their error carries `until`.

Everything that time heals is `transient`. QuotaExhausted, RateLimited and Overloaded are Postponed: no page and no
space is to blame, so a run pauses until `until`, and a screen answers 503 with Retry-After.

404 means missing or hidden, and the search index lags: nothing destructive is decided from one of them alone
(docs/rules/confluence-api.md 5).
"""

from addon.confluence.client import SiteClient
from addon.confluence.content import Content, Kind, LongTask, Operation, Property, Restriction, SystemInfo, User
from addon.confluence.errors import (
    AskedForFewer,
    BadRequest,
    Conflict,
    CqlRejected,
    Forbidden,
    Malformed,
    Network,
    NotAllowed,
    NotFound,
    Postponed,
    QuotaExhausted,
    RateLimited,
    Redirected,
    RightsError,
    RightsUnknown,
    ServerError,
    SiteBusy,
    SiteError,
    Timeout,
)
from addon.confluence.gateway import Confluence
from addon.confluence.hints import (
    HintKind,
    forget_hints,
    hints_since,
    note_hint,
    note_rights_change,
    rights_changes,
)
from addon.confluence.http.endpoints import APPROVED_ENDPOINTS, ENDPOINTS
from addon.confluence.http.site_requests import CallGuard
from addon.confluence.quota.quota_table import forget_old_hours, forget_quota
from addon.confluence.quota.reservations import QuotaUsage
from addon.confluence.rights.permissions import READ_AGE, WRITE_AGE, Permissions

__all__ = [
    "APPROVED_ENDPOINTS",
    "ENDPOINTS",
    "READ_AGE",
    "WRITE_AGE",
    "AskedForFewer",
    "BadRequest",
    "CallGuard",
    "Conflict",
    "Confluence",
    "Content",
    "CqlRejected",
    "Forbidden",
    "HintKind",
    "Kind",
    "LongTask",
    "Malformed",
    "Network",
    "NotAllowed",
    "NotFound",
    "Operation",
    "Permissions",
    "Postponed",
    "Property",
    "QuotaExhausted",
    "QuotaUsage",
    "RateLimited",
    "Redirected",
    "Restriction",
    "RightsError",
    "RightsUnknown",
    "ServerError",
    "SiteBusy",
    "SiteClient",
    "SiteError",
    "SystemInfo",
    "Timeout",
    "User",
    "forget_hints",
    "forget_old_hours",
    "forget_quota",
    "hints_since",
    "note_hint",
    "note_rights_change",
    "rights_changes",
]
