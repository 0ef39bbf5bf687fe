"""The pages that the pretend site shows to people: spaces, contents, search, settings, and the add-on's frames."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, redirect, request

from addon.sandbox import extractions
from addon.sandbox.records import Content, Space
from addon.sandbox.search import CqlRejected, Question
from addon.sandbox.site import Site, UnknownContent, UnknownSpace
from addon.sandbox.ui import bylines, frames, present
from addon.sandbox.ui.chrome import denied, missing, show, viewer

SHOWN = 100
RECENT = 12


class Wiki:
    """The pages below /wiki, as the person of the cookie sees them."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def register(self, routes: Blueprint) -> None:
        """Add the routes to the blueprint."""
        for rule, view in (
            ("/", self.start),
            ("/wiki", self.start),
            ("/wiki/", self.start),
            ("/wiki/home", self.home),
            ("/wiki/search", self.search),
            ("/wiki/admin", self.settings),
            ("/wiki/people/<account_id>", self.person),
            ("/wiki/pages/viewpage.action", self.by_id),
            ("/wiki/spaces/<key>", self.space),
            ("/wiki/spaces/<key>/overview", self.space),
            ("/wiki/spaces/<key>/blog", self.blog),
            ("/wiki/spaces/<key>/settings", self.space_settings),
            ("/wiki/spaces/<key>/settings/integrations/<module_key>", self.space_frame),
            ("/wiki/spaces/<key>/pages/<content_id>", self.content),
            ("/wiki/spaces/<key>/pages/<content_id>/<path:title>", self.content),
            ("/wiki/spaces/<key>/blog/<path:path>", self.post),
            ("/wiki/plugins/servlet/ac/<addon_key>/<module_key>", self.frame),
        ):
            routes.add_url_rule(rule, view_func=self._locked(view), endpoint=f"wiki {rule}".replace(".", "-"))

    def _locked(self, view: Any) -> Any:
        def serve(**arguments: str) -> Any:
            with self.site.lock:
                try:
                    return view(**arguments)
                except (UnknownSpace, UnknownContent, frames.UnknownModule):
                    return missing(self.site)

        return serve

    def _show(self, template: str, **values: Any) -> Response:
        return show(self.site, template, **values)

    def _sees(self, content: Content) -> bool:
        return self.site.access.can_view(viewer(self.site), content)

    def start(self) -> Any:
        """Lead to the list of spaces."""
        return redirect("/wiki/home")

    def home(self) -> Response:
        """List the spaces and where to begin."""
        spaces = [space for space in self.site.spaces() if self._enters(space)]
        return self._show(
            "home.html",
            spaces=[present.space_card(self.site, space) for space in spaces],
            apps=self._apps() if self.site.people.is_admin(viewer(self.site)) else [],
            examples=self._examples(),
        )

    def _enters(self, space: Space) -> bool:
        return self.site.access.permits(viewer(self.site), space.id, "read")

    def _apps(self) -> list[dict[str, str]]:
        return [
            {"key": found.key, "name": found.name, "href": found.href}
            for found in frames.modules(self.site, "adminPages")
        ]

    def _side(self, space: Space, here: str, *, above: Content | None = None, tools: bool = False) -> dict[str, Any]:
        site, me = self.site, viewer(self.site)
        tabs = frames.modules(site, "spaceToolsTabs") if tools else []
        return {
            "space": present.space_card(site, space),
            "here": here,
            "administers": present.administers(site, me, space),
            "tree": [] if tools else present.tree(site, space, me),
            "open_ids": {space.homepage_id, *(found.id for found in site.live.ancestors(above) if above)}
            if above
            else {space.homepage_id},
            "integrations": [
                {"key": tab.key, "name": tab.name, "href": tab.href_in(space)}
                for tab in tabs
                if tab.location == "integrations"
            ],
        }

    def space(self, key: str) -> Response:
        """Show a space: its facts, its tree, what changed last."""
        space = self._space(key)
        recent = sorted(self.site.contents(key), key=lambda content: content.updated_at, reverse=True)
        rows = [present.row(self.site, content) for content in recent if self._sees(content)][:RECENT]
        home = self.site.live.get(space.homepage_id or "")
        return self._show(
            "space.html",
            side=self._side(space, "overview"),
            heading=space.name,
            home={"title": home.title, "href": present.content_href(self.site, home)} if home else None,
            rows=rows,
        )

    def _space(self, key: str) -> Space:
        space = self.site.space(key)
        if not self._enters(space):
            raise UnknownSpace(key)
        return space

    def blog(self, key: str) -> Response:
        """List the blog posts of a space, newest first."""
        space = self._space(key)
        posts = [post for post in self.site.contents(key) if post.kind == "blogpost" and self._sees(post)]
        posts.sort(key=lambda post: post.created_at, reverse=True)
        rows = [present.row(self.site, post) for post in posts]
        return self._show("space.html", side=self._side(space, "blog"), heading="Blog", home=None, rows=rows)

    def content(self, key: str, content_id: str, title: str = "") -> Response:
        """Show a page or blog post."""
        content = self.site.get(content_id)
        if not self._sees(content) or content.status == "trashed":
            raise UnknownContent(content_id)
        space = self.site.space_by_id(content.space_id)
        side = self._side(space, content.id, above=content)
        page = present.article(self.site, content)
        return self._show("content.html", side=side, page=page, items=bylines.items(self.site, content))

    def post(self, key: str, path: str) -> Response:
        """Show a blog post: Confluence puts its date before the id and its title behind."""
        numbers = [part for part in path.split("/") if part.isdecimal() and len(part) > 4]
        return self.content(key, numbers[0] if numbers else path)

    def by_id(self) -> Any:
        """Lead from a content's id to its address."""
        content = self.site.get(request.args.get("pageId", ""))
        return redirect(present.content_href(self.site, content))

    def person(self, account_id: str) -> Response:
        """Show a person and what they updated last."""
        if account_id not in self.site.people:
            return missing(self.site)
        own = [content for content in self.site.contents() if content.updater_id == account_id and self._sees(content)]
        own.sort(key=lambda content: content.updated_at, reverse=True)
        rows = [present.row(self.site, content) for content in own[:RECENT]]
        return self._show("person.html", person=present.person(self.site, account_id), rows=rows)

    def search(self) -> Any:
        """Search with CQL, or with the plain words of the top bar."""
        words = request.args.get("text", "").strip().replace("\\", "").replace('"', "")
        if words:
            return redirect("/wiki/search?" + urlencode({"cql": f'title ~ "{words}" OR text ~ "{words}"'}))
        cql, archived = request.args.get("cql", "").strip(), bool(request.args.get("archived"))
        rows, total, refusal = [], None, ""
        if cql:
            statuses = frozenset({"current", "archived"} if archived else {"current"})
            try:
                hits = self.site.search.hits(Question(cql, statuses, viewer=viewer(self.site)))
                rows, total = [present.row(self.site, hit) for hit in hits[:SHOWN]], len(hits)
            except CqlRejected as error:
                refusal = str(error)
        return self._show(
            "search.html",
            cql=cql,
            archived=archived,
            rows=rows,
            total=total,
            refusal=refusal,
            examples=self._examples(),
        )

    def _examples(self) -> list[str]:
        examples = ['type = blogpost AND lastmodified < now("-24M")', 'space = ENG AND label = "runbook"']
        aliases = [field.alias for field in extractions.declared(self.site.addons.values()).values() if field.alias]
        status = next((alias for alias in aliases if alias.endswith("Status") and "Previous" not in alias), None)
        if status:
            examples = [
                f'{status} = "expired"',
                f'{status} = "not-updated"',
                f'{status}ChangedOn < now("-6M")',
                *examples,
            ]
        return examples

    def settings(self) -> Response:
        """Show the site's details and its apps, to Confluence administrators."""
        if not self.site.people.is_admin(viewer(self.site)):
            return denied(self.site, "Confluence settings are for Confluence administrators.")
        facts = [
            ("Address", self.site.base_url),
            ("Edition", self.site.edition),
            ("Time zone", str(self.site.time_zone)),
            ("Spaces", len(self.site.spaces())),
            ("Contents", len(self.site.live)),
            ("Search follows changes after", f"{self.site.index_lag:g} s"),
        ]
        addons = [
            {
                "key": addon.key,
                "name": addon.descriptor.get("name", addon.key),
                "scopes": ", ".join(sorted(addon.scopes)),
                "state": "enabled" if addon.enabled else "disabled",
            }
            for addon in self.site.addons.values()
        ]
        return self._show("settings.html", apps=self._apps(), facts=facts, addons=addons)

    def space_settings(self, key: str) -> Response:
        """Show a space's settings to its administrators."""
        space = self._space(key)
        if not present.administers(self.site, viewer(self.site), space):
            return denied(self.site, "Space settings are for the space's administrators.")
        return self._show("space_settings.html", side=self._side(space, "settings", tools=True))

    def frame(self, addon_key: str, module_key: str) -> Response:
        """Open an add-on's page. As in Confluence the address itself is open to everybody.

        See docs/rules/connect.md 3.7.
        """
        found = frames.module(self.site, addon_key, module_key)
        opened = frames.opened(self.site, found, viewer(self.site), None)
        return self._show("frame.html", module=opened, side=None, apps=self._apps())

    def space_frame(self, key: str, module_key: str) -> Response:
        """Open an add-on's page of a space."""
        space = self._space(key)
        found = frames.module(self.site, None, module_key)
        opened = frames.opened(self.site, found, viewer(self.site), space)
        return self._show("frame.html", module=opened, side=self._side(space, module_key, tools=True), apps=[])
