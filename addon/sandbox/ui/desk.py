"""The pages that belong to the sandbox and not to Confluence: who one is, inbox, API activity, files, tokens."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, jsonify, make_response, redirect, request

from addon.sandbox.inbox import Mail
from addon.sandbox.people import BOT
from addon.sandbox.records import Space
from addon.sandbox.site import Site, UnknownSpace
from addon.sandbox.ui import asperson, bylines, frames, present
from addon.sandbox.ui.chrome import WHO_COOKIE, missing, show, viewer

STATIC = Path(__file__).parent / "static"
MIME_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
LATEST = 200


class Desk:
    """The pages and files below /sandbox that people and frames use."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def register(self, routes: Blueprint) -> None:
        """Add the routes to the blueprint."""
        for rule, view, methods in (
            ("/sandbox", self.start, ["GET"]),
            ("/sandbox/", self.start, ["GET"]),
            ("/sandbox/all.js", lambda: self.file("bridge.js"), ["GET"]),
            ("/sandbox/tokens.css", lambda: self.file("tokens.css"), ["GET"]),
            ("/sandbox/static/<name>", self.file, ["GET"]),
            ("/sandbox/whoami", self.become, ["POST"]),
            ("/sandbox/inbox", self.mails, ["GET"]),
            ("/sandbox/inbox/<int:number>", self.mail, ["GET"]),
            ("/sandbox/inbox/<int:number>/html", self.mail_html, ["GET"]),
            ("/sandbox/activity", self.activity, ["GET"]),
            ("/sandbox/ui/token", self.token, ["POST"]),
            ("/sandbox/ui/module", self.module, ["POST"]),
            ("/sandbox/ui/byline", self.byline, ["POST"]),
            ("/sandbox/ui/request", self.request, ["POST"]),
        ):
            routes.add_url_rule(rule, view_func=view, endpoint=f"desk {rule}".replace(".", "-"), methods=methods)

    def start(self) -> Any:
        """Lead to the site."""
        return redirect("/wiki/home")

    def file(self, name: str) -> Response:
        """Serve a script, a stylesheet or a picture; the add-on's pages load two of them from their own origin."""
        path = STATIC / name
        if path.parent != STATIC or not path.is_file():
            return make_response("No such file", 404)
        response = make_response(path.read_bytes())
        response.mimetype = MIME_TYPES[path.suffix]
        response.headers["Cache-Control"] = "no-cache"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return response

    def become(self) -> Any:
        """Look at the site as another person from now on."""
        account, back = request.form.get("account", ""), request.form.get("back", "")
        inside = back.startswith("/") and not back.startswith(("//", "/\\"))
        response = redirect(back if inside else "/wiki/home", 303)
        with self.site.lock:
            if account in self.site.people and account != BOT:
                response.set_cookie(WHO_COOKIE, account, samesite="Lax", httponly=True)
        return response

    def mails(self) -> Response:
        """List the mail, newest first; JSON in order of arrival for programs."""
        account = request.args.get("account") or None
        mails = self.site.inbox.mails(account_id=account) if self.site.inbox else []
        if request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json":
            return jsonify({"items": [mail.as_json() for mail in mails]})
        with self.site.lock:
            rows = [self._mail_row(mail) for mail in reversed(mails)]
            return show(self.site, "inbox.html", mails=rows, account=account)

    def _mail_row(self, mail: Mail) -> dict[str, Any]:
        name = present.person(self.site, mail.account_id)["display_name"] if mail.account_id else "no one on this site"
        arrived = self._date(mail.received_at)
        return {"id": mail.id, "name": name, "to": mail.recipient, "subject": mail.subject, "arrived": arrived}

    def mail(self, number: int) -> Response:
        """Show one message, its HTML in a frame that may run nothing."""
        found = self.site.inbox.mail(number) if self.site.inbox else None
        with self.site.lock:
            if found is None:
                return missing(self.site)
            return show(self.site, "mail.html", mail=found, arrived=self._date(found.received_at))

    def mail_html(self, number: int) -> Response:
        """Serve the HTML of one message alone; its links open next to the site."""
        found = self.site.inbox.mail(number) if self.site.inbox else None
        if found is None or found.html is None:
            return make_response("No such mail", 404)
        response = make_response(f'<base target="_blank">{found.html}')
        response.headers["Content-Security-Policy"] = (
            "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
            "img-src data:; frame-ancestors 'self'"
        )
        return response

    def activity(self) -> Response:
        """Show what the add-on asked of the site, and what it cost."""
        with self.site.lock:
            usage, log = self.site.meter.usage(), list(self.site.meter.log)[-LATEST:]
            hour = usage["hour"]
            endpoints = [{"endpoint": name} | use for name, use in usage["byEndpoint"].items()]
            endpoints.sort(key=lambda row: -row["points"])
            rows = [
                {
                    "at": entry.at.astimezone(self.site.time_zone).strftime("%H:%M:%S"),
                    "line": f"{entry.method} {entry.target}",
                    "status": entry.status,
                    "points": entry.points,
                }
                for entry in reversed(log)
            ]
            tiles = [
                ("points in all", f"{usage['points']:,}"),
                ("calls in all", f"{usage['calls']:,}"),
                ("points this hour", f"{hour['used']:,} of {hour['quota']:,}"),
            ]
            return show(self.site, "activity.html", tiles=tiles, endpoints=endpoints, requests=rows)

    def token(self) -> Response:
        """Answer the host script's question for a context token, for the person of the cookie."""
        return self._for_frame(self._token)

    def module(self) -> Response:
        """Answer the host script's question for another page of the same add-on, to open it in a dialog."""
        asked = request.get_json(silent=True) or {}
        content_id = self._seen(str(asked.get("contentId") or ""))
        return self._for_frame(
            lambda found, space: frames.opened(self.site, found, viewer(self.site), space, content_id)
        )

    def byline(self) -> Response:
        """Answer the host script's question for the items of a content as they are now."""
        asked = request.get_json(silent=True) or {}
        content_id = self._seen(str(asked.get("contentId") or ""))
        with self.site.lock:
            return jsonify({"items": bylines.items(self.site, self.site.get(content_id)) if content_id else []})

    def _seen(self, content_id: str) -> str | None:
        with self.site.lock:
            content = self.site.live.get(content_id)
            seen = content is not None and self.site.access.can_view(viewer(self.site), content)
            return content_id if seen else None

    def request(self) -> Response:
        """Answer a page's question to the site's API, as the person of the cookie."""
        asked = request.get_json(silent=True) or {}
        path = str(asked.get("path", ""))
        return self._for_frame(lambda found, _: asperson.ask(self.site, found.addon, viewer(self.site), path))

    def _token(self, found: frames.Module, space: Space | None) -> dict[str, str]:
        space_key = space.key if space else None
        account = viewer(self.site)
        return {"token": self.site.host.context_token(account, space_key=space_key, addon_key=found.addon.key)}

    def _for_frame(self, answer: Any) -> Response:
        asked = request.get_json(silent=True)
        if not isinstance(asked, dict):
            return make_response(jsonify({"message": "a JSON object is needed"}), 400)
        with self.site.lock:
            try:
                found = frames.module(self.site, str(asked.get("addonKey")), str(asked.get("moduleKey")))
                space: Space | None = self.site.space(str(asked["spaceKey"])) if asked.get("spaceKey") else None
            except (frames.UnknownModule, UnknownSpace) as error:
                return make_response(jsonify({"message": f"unknown: {error}"}), 404)
            return jsonify(answer(found, space))

    def _date(self, moment: datetime) -> str:
        return present.date(moment, self.site.time_zone, clock=True)
