"""The gateway to all sites: one per process, from which every client of a site comes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from addon.base import Cache, Caller, Clock, Database, SiteSource, TenantId
from addon.confluence.client import SiteClient
from addon.confluence.http.site_requests import PAGE_HINTS, RETRY_WAITS, CallGuard, ClientContext
from addon.confluence.http.transport import Transport
from addon.confluence.http.turnstile import Turnstile
from addon.confluence.quota import budgets
from addon.confluence.quota.quota_table import Share
from addon.confluence.quota.reservations import Quota, QuotaUsage


class Confluence:
    """All sites, their shared quota and connections."""

    def __init__(
        self,
        sites: SiteSource,
        db: Database,
        clock: Clock,
        *,
        namespace: str,
        quota_points: int = 65_000,
        email_api: bool = False,
        user_agent: str,
        retry_waits: Sequence[float] = RETRY_WAITS,
        web_threads: int = 16,
    ) -> None:
        """Build the gateway.

        `namespace` is STEWARD_NAMESPACE; `quota_points` the points an hour of all tenants together; `email_api`
        whether Atlassian approved the e-mail API for this app; `retry_waits` the seconds before the quick second,
        third … attempt of a repeatable call, waited on `clock`; `web_threads` the threads that serve people.
        """
        self.namespace = namespace
        self.quota = Quota(db, clock, points=quota_points)
        self._email_api = email_api
        self._transport = Transport(user_agent)
        self._turnstile = Turnstile(clock, threads=web_threads)
        self._context = ClientContext(
            sites,
            clock,
            self.quota,
            self._transport,
            self._turnstile,
            Cache(clock, most=PAGE_HINTS),
            tuple(retry_waits),
        )

    def begin_request(self, caller: Caller | None) -> None:
        """Give the web request that this thread serves from here on one total time for all of its calls.

        `caller` is the person it is for, whose part of the hour's points they spend; None when no person waits.
        """
        self._turnstile.begin_request()
        budgets.serve(caller)

    def end_request(self) -> None:
        """Let what this thread does next have its own time, and be for no person."""
        self._turnstile.end_request()
        budgets.serve(None)

    @contextmanager
    def client(
        self, tenant_id: TenantId, *, run: CallGuard | None = None, share: Share = "interactive"
    ) -> Iterator[SiteClient]:
        """Open a client for a tenant's site; `run` bounds and counts its calls, `share` says whose points it spends.

        At its end the points that were reserved and not spent go back: leave it outside of any write transaction.
        Raises TenantGone or Unreachable.
        """
        client = SiteClient(self._context, tenant_id, guard=run, share=share)
        client.email_api = self._email_api
        with self.quota.drawing(tenant_id, share):
            yield client

    def usage(self, tenant_id: TenantId) -> QuotaUsage:
        """Return the points that a site has used of this hour, of jobs and of people, and how many it may use."""
        return self.quota.usage(tenant_id)

    def close(self) -> None:
        """Give unspent points back and close all connections."""
        self.quota.release_all()
        self._transport.close()
