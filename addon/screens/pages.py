"""The pages inside the frame: one shell for all, whose script shows the view and asks the API (docs/adr/0004)."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from flask import Blueprint, Response, abort, send_from_directory
from pydantic import StringConstraints

from addon.base.resources import render
from addon.connect import admits, current_caller
from addon.jobs.statuses import icon_svg, property_key
from addon.parts import Parts
from addon.screens import assets
from addon.screens.access import Access
from addon.screens.operations import read_query
from addon.screens.schemas import InSpace, Query, SpaceKey
from addon.screens.times import site_zone

FOREVER = 365 * 24 * 3600


class SpacePage(InSpace):
    """What the host's URL template puts into a space page's address; more parameters come from the host itself."""

    model_config = InSpace.model_config | {"extra": "ignore"}


class RequiredSpacePage(SpacePage):
    """A page that is nothing without its space."""

    space_key: SpaceKey


class BylinePage(Query):
    """What the host's URL template puts into the address of a page's dialog."""

    model_config = Query.model_config | {"extra": "ignore"}
    content_id: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,19}$")]


def pictures() -> Blueprint:
    """Return the icons of statuses, for everyone: their address says all there is in them."""
    routes = Blueprint("status_icons", __name__)

    @routes.get("/status-icons/<name>", endpoint="static")
    @admits("public")
    def picture(name: str) -> Response:
        drawn = icon_svg(name)
        if drawn is None:
            abort(404)
        response = Response(drawn, mimetype="image/svg+xml")
        response.cache_control.public = True
        response.cache_control.max_age = FOREVER
        response.cache_control.immutable = True
        return response

    del picture
    return routes


class Pages:
    """The views of the pages, each one the shell with the name of a view, but for the byline's dialog."""

    def __init__(self, parts: Parts, access: Access) -> None:
        self._parts = parts
        self._access = access
        self._root = urlsplit(parts.settings.base_url).path

    @admits("page")
    def jobs(self) -> Response:
        """Open the Jobs screen of the site."""
        return self._shell("/jobs", None)

    @admits("page")
    def space_jobs(self) -> Response:
        """Open the Jobs screen of one space."""
        return self._shell("/jobs", read_query(RequiredSpacePage).space_key)

    @admits("page")
    def audit_log(self) -> Response:
        """Open the job audit log."""
        return self._shell("/audit-log", read_query(SpacePage).space_key)

    @admits("page")
    def execution(self, execution_id: str) -> Response:
        """Open one execution."""
        return self._shell(f"/executions/{quote(execution_id, safe='')}", read_query(SpacePage).space_key)

    @admits("page")
    def policies(self) -> Response:
        """Open the policies."""
        return self._shell("/policies", None)

    @admits("page")
    def byline(self) -> Response:
        """Open the dialog of a page's status; it says nothing before the API has been asked."""
        content_id = read_query(BylinePage).content_id
        return self._page(
            "screens/byline.html", content_id=content_id, property_key=property_key(self._parts.settings.namespace)
        )

    def _shell(self, view: str, space_key: str | None) -> Response:
        viewer = self._access.scope(current_caller(), space_key)
        with self._parts.db.read(viewer.caller.tenant_id) as session:
            _, policies = self._parts.policies.current(session, viewer.caller.tenant_id)
        return self._page("screens/shell.html", view=view, space=viewer.space, time_zone=site_zone(policies))

    def _page(self, template: str, **values: Any) -> Response:
        html = render(
            template,
            root=self._root,
            assets=f"{self._root}/static/{assets.version()}",
            ap_script_url=self._parts.settings.ap_script_url,
            **values,
        )
        return Response(html, mimetype="text/html")


def blueprint(parts: Parts, access: Access) -> Blueprint:
    """Return the pages and their static files."""
    routes = Blueprint("pages", __name__)
    pages = Pages(parts, access)
    for path, endpoint, view in (
        ("/jobs", "jobs", pages.jobs),
        ("/space-jobs", "space_jobs", pages.space_jobs),
        ("/audit-log", "audit_log", pages.audit_log),
        ("/executions/<execution_id>", "execution", pages.execution),
        ("/policies", "policies", pages.policies),
        ("/byline", "byline", pages.byline),
    ):
        routes.add_url_rule(path, endpoint, view)
    routes.add_url_rule("/static/<version>/<path:name>", "static", static)
    return routes


@admits("public")
def static(version: str, name: str) -> Response:
    """Serve a static file; under the version of these very files it may be kept forever."""
    age = FOREVER if version == assets.version() else 0
    response = send_from_directory(assets.STATIC, name, max_age=age)
    if age:
        response.cache_control.immutable = True
    return response
