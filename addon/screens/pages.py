"""Which pages are there inside the frame? All are one shell; its script shows the view and asks the API (ADR 4)."""

from __future__ import annotations

from typing import Annotated
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
    """What the host's URL template puts into the address of a content's dialog."""

    model_config = Query.model_config | {"extra": "ignore"}
    content_id: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,19}$")]


def pictures() -> Blueprint:
    """Return the icons of statuses, for everybody: their address says all there is in them."""
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


def blueprint(parts: Parts, access: Access) -> Blueprint:
    """Return the pages and their static files."""
    routes = Blueprint("pages", __name__)
    root = urlsplit(parts.settings.base_url).path

    def shell(view: str, space_key: str | None) -> Response:
        viewer = access.scope(current_caller(), space_key)
        with parts.db.read(viewer.caller.tenant_id) as session:
            _, policies = parts.policies.current(session, viewer.caller.tenant_id)
        html = render(
            "screens/shell.html",
            root=root,
            assets=f"{root}/static/{assets.version()}",
            ap_script_url=parts.settings.ap_script_url,
            view=view,
            space=viewer.space,
            time_zone=site_zone(policies),
        )
        return Response(html, mimetype="text/html")

    @routes.get("/jobs")
    @admits("page")
    def jobs() -> Response:
        return shell("/jobs", None)

    @routes.get("/space-jobs")
    @admits("page")
    def space_jobs() -> Response:
        return shell("/jobs", read_query(RequiredSpacePage).space_key)

    @routes.get("/audit-log")
    @admits("page")
    def audit_log() -> Response:
        return shell("/audit-log", read_query(SpacePage).space_key)

    @routes.get("/executions/<execution_id>")
    @admits("page")
    def execution(execution_id: str) -> Response:
        return shell(f"/executions/{quote(execution_id, safe='')}", read_query(SpacePage).space_key)

    @routes.get("/policies")
    @admits("page")
    def policies() -> Response:
        return shell("/policies", None)

    @routes.get("/byline")
    @admits("page")
    def byline() -> Response:
        """Open the dialog of a content's status; it says nothing before the API has been asked."""
        html = render(
            "screens/byline.html",
            root=root,
            assets=f"{root}/static/{assets.version()}",
            ap_script_url=parts.settings.ap_script_url,
            content_id=read_query(BylinePage).content_id,
            property_key=property_key(parts.settings.namespace),
        )
        return Response(html, mimetype="text/html")

    @routes.get("/static/<version>/<path:name>", endpoint="static")
    @admits("public")
    def static(version: str, name: str) -> Response:
        """Serve a file; under the version of these very files it may be kept forever."""
        age = FOREVER if version == assets.version() else 0
        response = send_from_directory(assets.STATIC, name, max_age=age)
        if age:
            response.cache_control.immutable = True
        return response

    del jobs, space_jobs, audit_log, execution, policies, byline, static
    return routes
