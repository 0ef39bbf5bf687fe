"""The person of the cookie, the top bar, and the headers: what surrounds every page of the site."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Response, make_response, request

from addon.base.resources import render
from addon.sandbox.people import BOT
from addon.sandbox.records import AddonInstallation
from addon.sandbox.site import ADMIN, Site
from addon.sandbox.ui import frames, present

WHO_COOKIE = "sandbox_account"
MODE_COOKIE = "sandbox_mode"


def viewer(site: Site) -> str:
    """Return the account id of the person in the cookie; the administrator without one."""
    chosen = request.cookies.get(WHO_COOKIE, ADMIN)
    return chosen if chosen in site.people and chosen != BOT else ADMIN


def show(site: Site, template: str, *, status: int = 200, **values: Any) -> Response:
    """Render a page of the site inside its chrome, with a policy that lets only installed add-ons be framed."""
    html = render(f"sandbox/{template}", chrome=_chrome(site), **values)
    response = make_response(html, status)
    origins = " ".join(sorted({_origin(addon) for addon in site.addons.values()}))
    response.headers["Content-Security-Policy"] = (
        f"default-src 'self'; img-src 'self' data: {origins}; object-src 'none'; base-uri 'none'; form-action 'self'; "
        f"frame-src 'self' {origins}; frame-ancestors 'none'"
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "same-origin"
    return response


def missing(site: Site) -> Response:
    """Answer 404, the same for what is not there and for what the person may not see."""
    said = "It does not exist, or you are not allowed to see it."
    return show(site, "message.html", status=404, heading="We can't find that", words=said)


def denied(site: Site, words: str) -> Response:
    """Answer 403 with what the person would have to be."""
    return show(site, "message.html", status=403, heading="You need more permissions", words=words)


def _origin(addon: AddonInstallation) -> str:
    address = urlsplit(addon.base_url or str(addon.descriptor.get("baseUrl", "")))
    return f"{address.scheme}://{address.netloc}"


def _chrome(site: Site) -> dict[str, Any]:
    me = viewer(site)
    people = [present.person(site, account) for account in site.people if site.people[account].account_type != "app"]
    mode = request.cookies.get(MODE_COOKIE, "auto")
    return {
        "site_title": site.title,
        "color_mode": mode if mode in ("light", "dark") else "auto",
        "me": present.person(site, me),
        "people": [person for person in people if person["active"]],
        "here": request.full_path.rstrip("?"),
        "links": _links(site, me, len(site.inbox.mails()) if site.inbox else None),
    }


def _links(site: Site, me: str, mails: int | None) -> list[dict[str, Any]]:
    links = [("Spaces", "/wiki/home", "/wiki/home", 0), ("Search", "/wiki/search", "/wiki/search", 0)]
    if mails is not None:
        links.append(("Inbox", "/sandbox/inbox", "/sandbox/inbox", mails))
    links.append(("API activity", "/sandbox/activity", "/sandbox/activity", 0))
    if site.people.is_admin(me):
        first = next(iter(frames.modules(site, "adminPages")), None)
        links.append(("Settings", first.href if first else "/wiki/admin", "/wiki/plugins/", 0))
    return [
        {"name": name, "href": href, "here": request.path.startswith((prefix, href)), "count": count}
        for name, href, prefix, count in links
    ]
