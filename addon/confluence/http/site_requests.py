"""The requests to one site: each is metered, limited in time, signed, and repeated only where that is safe.

Every request goes through `SiteRequests.call`, which `listing` and `pages` use for each page. SiteClient's methods only
name endpoints and read answers. What happens on each failure is drawn in the package's docstring.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qsl, urlsplit

import requests

from addon.base import Cache, Clock, Site, SiteSource, TenantId, Unreachable
from addon.confluence import errors
from addon.confluence.http import answers, endpoints
from addon.confluence.http.decoding import decoded
from addon.confluence.http.endpoints import Endpoint, Params
from addon.confluence.http.resting import Rests
from addon.confluence.http.transport import Transport
from addon.confluence.http.turnstile import Turnstile
from addon.confluence.quota import meter, ratelimits
from addon.confluence.quota.quota_table import Share
from addon.confluence.quota.reservations import Quota

T = TypeVar("T")

RETRY_WAITS = (0.25, 1.0)
"""Seconds before the quick second and third attempt of a repeatable call."""
JOB_PATIENCE, INTERACTIVE_PATIENCE = 600.0, 2.0
"""Seconds in all that a run, and a person, wait for a site that asks for fewer requests (docs/rules/quota.md 4.3)."""
MOST_PAGES = 10_000
"""Pages of one listing, against one that never ends."""


class CallGuard(Protocol):
    """What bounds and counts the calls of a run: the engine's Run is one."""

    def call_seconds(self, *, write: bool) -> float:
        """Return the seconds that the next call may take in total; raises to stop the work instead."""
        ...

    def wait(self, seconds: float) -> None:
        """Wait before a call; raises to stop the work instead, within a second of what asks for it."""
        ...

    def used(self, *, points: int, calls: int) -> None:
        """Take note of what was spent."""
        ...


PageHints = Cache[tuple[str, ...], Params]
"""On which page of a long listing something was found last: parameters that lead there, never the answer itself."""
PAGE_HINTS = 5000


@dataclass(frozen=True, slots=True)
class ClientContext:
    """What all clients of a process have in common."""

    sites: SiteSource
    clock: Clock
    quota: Quota
    transport: Transport
    turnstile: Turnstile
    page_hints: PageHints
    retry_waits: Sequence[float] = RETRY_WAITS


@dataclass(frozen=True, slots=True)
class _Request:
    """What one call asks for; each of its attempts sends the same."""

    endpoint: Endpoint
    ids: Sequence[str]
    params: Params
    body: Any
    most: int


class SiteRequests:
    """One site's calls for one purpose. Safe to use from several threads."""

    def __init__(self, context: ClientContext, tenant_id: TenantId, *, guard: CallGuard | None, share: Share) -> None:
        """Look the site up. Raises TenantGone or Unreachable as SiteSource does."""
        self._context = context
        self._tenant_id = tenant_id
        self._guard = guard
        self._share: Share = share
        self._site = context.sites.get(tenant_id)
        self._renewing = threading.Lock()
        self._rests = Rests(context.clock, JOB_PATIENCE if guard else INTERACTIVE_PATIENCE)

    @property
    def site_url(self) -> str:
        """The site's base URL, ending in /wiki."""
        return self._site.base_url

    def call(
        self, endpoint: Endpoint, ids: Sequence[str] = (), params: Params = (), *, body: Any = None, most: int = 1
    ) -> Any:
        """Make one call and return its decoded JSON, None for an empty answer.

        `most` is the number of objects it may return. Transient failures of repeatable calls are tried twice more,
        each with a new signature. A call that was refused for a burst (429) did nothing, so any such call is repeated.
        A site that asks for fewer requests is left alone as long as it says, within the client's patience; that counts
        as no attempt. Raises SiteError and its kinds, Unreachable, TenantGone, and what the guard raises.
        """
        request = _Request(endpoint, ids, params, body, most)
        repeatable = endpoints.repeatable(endpoint)
        waits = iter(self._context.retry_waits if repeatable else ())
        while True:
            self._rests.wait(endpoint, self._pause)
            began = self._context.clock.monotonic()
            try:
                data = self._attempt(request)
            except (errors.QuotaExhausted, errors.SiteBusy):
                # Both are transient, but waiting here would keep a thread for up to an hour: the caller pauses.
                raise
            except errors.AskedForFewer as error:
                # A rest uses up no attempt: a busy site would otherwise fail a space that has nothing wrong with it.
                # What bounds it is the patience of all rests together, after which `asked` raises.
                self._rests.asked(endpoint, error, began)
                if isinstance(error, errors.Overloaded) and not repeatable:
                    # Unlike a 429, a 503 may come from behind the point at which the write happened.
                    raise
            except errors.SiteError as error:
                wait = next(waits, None)
                if not error.transient or wait is None:
                    raise
                self._pause(wait * _jitter())
            else:
                self._rests.answered(endpoint)
                return data

    def listing(
        self,
        endpoint: Endpoint,
        ids: Sequence[str] = (),
        params: Params = (),
        *,
        read: Callable[[answers.Json], T],
        limit: int,
        most: int | None = None,
    ) -> Iterator[T]:
        """Yield a listing's rows over all its pages of `limit`, following `_links.next` on our own path only.

        `most` is the most rows that can come, where that is known to be less than a page.
        Raises Malformed on a page without results and on a listing that does not end; otherwise as `call`.
        """
        for _, rows in self.pages(
            endpoint, ids, [*params, ("limit", str(limit))], read=read, limit=min(limit, most or limit)
        ):
            yield from rows

    def pages(
        self, endpoint: Endpoint, ids: Sequence[str], start: Params, *, read: Callable[[answers.Json], T], limit: int
    ) -> Iterator[tuple[Params, list[T]]]:
        """Yield the pages of a listing from `start`, each with the parameters that lead to it again.

        `limit` is the most rows a page can have. Raises as `listing`.
        """
        current = start
        seen: set[tuple[tuple[str, str], ...]] = set()
        for _page in range(MOST_PAGES):
            answer = self.call(endpoint, ids, current, most=limit)
            yield current, answers.rows(answer, read)
            following = self._next(endpoint, answer)
            if following is None:
                return
            if tuple(following) in seen:
                raise errors.Malformed("a listing that leads back to a page already read")
            seen.add(tuple(following))
            current = following
        raise errors.Malformed(f"a listing of more than {MOST_PAGES} pages")

    def page_hint(self, *key: str) -> Params | None:
        """Return the parameters of the page of a listing on which something was found last time, or None."""
        known = self._context.page_hints.get((self._tenant_id, *key))
        return None if known is None else known.value

    def note_page(self, page: Params, *key: str) -> None:
        """Remember the page of a listing on which something was found: `page` are the parameters that lead to it."""
        self._context.page_hints.put((self._tenant_id, *key), page)

    def _pause(self, seconds: float) -> None:
        if self._guard:
            self._guard.wait(seconds)
        else:
            self._context.clock.wait(threading.Event(), seconds)

    def _next(self, endpoint: Endpoint, answer: Any) -> list[tuple[str, str]] | None:
        links = answer.get("_links") if isinstance(answer, dict) else None
        link = links.get("next") if isinstance(links, dict) else None
        if not link:
            return None
        parts = urlsplit(str(link))
        own = urlsplit(self.site_url)
        if parts.netloc and (parts.scheme, parts.netloc) != (own.scheme, own.netloc):
            raise errors.Malformed("a listing that leads to another host")
        # v1 leaves the /wiki prefix out and v2 has it; the path itself is ours either way (docs/rules/confluence-api.md
        # 2).
        last = endpoint.path.rsplit("/", 1)[-1]
        if parts.path.rstrip("/").rsplit("/", 1)[-1] != last:
            raise errors.Malformed("a listing that leads to another path")
        return parse_qsl(parts.query, keep_blank_values=True)

    def _attempt(self, request: _Request) -> Any:
        site = self._site
        answer, data = self._send(site, request)
        if answer.status_code == 401:
            # A new installation changes the secret while clients are open; nothing was done, so any call is sent again.
            site = self._renewed(site)
            answer, data = self._send(site, request)
            if answer.status_code == 401:
                self._renewed(site)
                raise Unreachable("the site refuses our signature twice; install the add-on again")
        if 200 <= answer.status_code < 300:
            self._heed(answer)
            return data
        raise self._refused(request.endpoint, answer, data)

    def _renewed(self, stale: Site) -> Site:
        """Return a site with a newer secret than `stale`; the first thread that got 401 asks for it, others wait."""
        with self._renewing:
            if self._site is stale:
                self._site = self._context.sites.get(self._tenant_id, stale=stale)
            return self._site

    def _send(self, site: Site, request: _Request) -> tuple[requests.Response, Any]:
        if self._guard:
            # A run's check point: it raises here, before anything is sent, when the run has to stop or lost its lease.
            return self._metered(site, request, self._guard.call_seconds(write=endpoints.writes(request.endpoint)))
        with self._context.turnstile.turn(self._tenant_id) as seconds:
            return self._metered(site, request, seconds)

    def _metered(self, site: Site, request: _Request, seconds: float) -> tuple[requests.Response, Any]:
        endpoint = request.endpoint
        url = endpoints.url(site.base_url, endpoint, request.ids, request.params)
        reservation = self._context.quota.reserve(self._tenant_id, self._share, meter.ceiling(endpoint, request.most))
        # What breaks on the way may have cost the request itself: charged too much rather than too little.
        points = 1
        try:
            answer = self._context.transport.send(site, endpoint.method, url, request.body, seconds=seconds)
            data = _decoded(answer)
            points = meter.cost(endpoint, answer.status_code, data)
        finally:
            reservation.charge(points)
            if self._guard:
                self._guard.used(points=points, calls=1)
        return answer, data

    def _heed(self, answer: requests.Response) -> None:
        limit = ratelimits.rate_limit(answer.status_code, answer.headers, self._context.clock.now())
        if limit is not None:
            self._context.quota.apply(self._tenant_id, self._share, limit)

    def _refused(self, endpoint: Endpoint, answer: requests.Response, data: Any) -> errors.SiteError:
        status = answer.status_code
        now = self._context.clock.now()
        wait = ratelimits.retry_after(answer.headers, now)
        if status == 429:
            limit = ratelimits.rate_limit(status, answer.headers, now)
            if limit is not None and limit.scope != "burst":
                return self._context.quota.apply(self._tenant_id, self._share, limit)
            return errors.RateLimited(now + _rest(wait), status=status, retry_after=wait)
        if status == 503 and wait is not None:
            return errors.Overloaded(now + _rest(wait), status=status, retry_after=wait)
        said = answers.words(data) or answer.reason or "no explanation"
        if status >= 500:
            return errors.ServerError(said, status=status)
        if 300 <= status < 400:
            return errors.Redirected("the site answered with a redirect", status=status)
        kinds: dict[int, type[errors.SiteError]] = {
            403: errors.Forbidden,
            404: errors.NotFound,
            409: errors.Conflict,
        }
        if status == 400 and endpoint in (endpoints.CONTENT_SEARCH, endpoints.SEARCH):
            return errors.CqlRejected(said, status=status)
        return kinds.get(status, errors.BadRequest)(said, status=status)


def _rest(seconds: float | None) -> timedelta:
    return timedelta(seconds=ratelimits.BURST_SECONDS if seconds is None else seconds)


def _jitter() -> float:
    return random.uniform(0.7, 1.3)  # noqa: S311


def _decoded(answer: requests.Response) -> Any:
    if not answer.content:
        return None
    try:
        return decoded(answer.content)
    except ValueError as error:
        if not answer.ok:
            return None  # an error page of a gateway: its status says enough
        raise errors.Malformed("an answer that is not JSON", status=answer.status_code) from error
