"""Which pages are there inside the frame? All are one shell; its script shows the view and asks the API (ADR 4)."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from flask import Blueprint, Response, send_from_directory

from addon.base.resources import render
from addon.connect import current_caller, rule
from addon.screens import assets
from addon.screens.access import Access
from addon.screens.operations import read_query
from addon.screens.parts import Parts
from addon.screens.schemas import InSpace, SpaceKey

FOREVER = 365 * 24 * 3600


class SpacePage(InSpace):
    """What the host's URL template puts into a space page's address; more parameters come from the host itself."""

    model_config = InSpace.model_config | {"extra": "ignore"}


class RequiredSpacePage(SpacePage):
    """A page that is nothing without its space."""

    space_key: SpaceKey


def blueprint(parts: Parts, access: Access) -> Blueprint:
    """Return the pages and their static files."""
    routes = Blueprint("pages", __name__)
    root = urlsplit(parts.settings.base_url).path

    def shell(view: str, space_key: str | None) -> Response:
        viewer = access.scope(current_caller(), space_key)
        html = render(
            "screens/shell.html",
            root=root,
            assets=f"{root}/static/{assets.version()}",
            ap_script_url=parts.settings.ap_script_url,
            view=view,
            space=viewer.space,
        )
        return Response(html, mimetype="text/html")

    @routes.get("/jobs")
    @rule("page")
    def jobs() -> Response:
        return shell("/jobs", None)

    @routes.get("/space-jobs")
    @rule("page")
    def space_jobs() -> Response:
        return shell("/jobs", read_query(RequiredSpacePage).space_key)

    @routes.get("/audit-log")
    @rule("page")
    def audit_log() -> Response:
        return shell("/audit-log", read_query(SpacePage).space_key)

    @routes.get("/executions/<execution_id>")
    @rule("page")
    def execution(execution_id: str) -> Response:
        return shell(f"/executions/{quote(execution_id, safe='')}", read_query(SpacePage).space_key)

    @routes.get("/policies")
    @rule("page")
    def policies() -> Response:
        return shell("/policies", None)

    @routes.get("/static/<version>/<path:name>", endpoint="static")
    @rule("public")
    def static(version: str, name: str) -> Response:
        """Serve a file; under the version of these very files it may be kept forever."""
        age = FOREVER if version == assets.version() else 0
        response = send_from_directory(assets.STATIC, name, max_age=age)
        if age:
            response.cache_control.immutable = True
        return response

    del jobs, space_jobs, audit_log, execution, policies, static
    return routes
