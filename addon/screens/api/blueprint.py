"""The routes of the JSON API: one blueprint under /api, made from the operations that the API classes declare."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, jsonify

from addon.connect import admits, current_caller
from addon.parts import Parts
from addon.screens.access import Access
from addon.screens.api.byline.operations import BylineApi
from addon.screens.api.cql import CqlApi
from addon.screens.api.executions.presenter import Presenter
from addon.screens.api.executions.reading import ExecutionsApi
from addon.screens.api.executions.schemas import ProblemDocument
from addon.screens.api.executions.starting import StartsApi
from addon.screens.api.first_run import FirstRunApi
from addon.screens.api.included import IncludedApi
from addon.screens.api.jobs import JobsApi
from addon.screens.api.overview import OverviewApi
from addon.screens.api.policies import PoliciesApi
from addon.screens.api.slots import SlotsApi
from addon.screens.lookups import Lookups
from addon.screens.openapi import document
from addon.screens.operations import Operation, operations, view

APIS = (
    JobsApi,
    StartsApi,
    ExecutionsApi,
    PoliciesApi,
    CqlApi,
    FirstRunApi,
    IncludedApi,
    BylineApi,
    OverviewApi,
    SlotsApi,
)


def blueprint(parts: Parts, access: Access, lookups: Lookups) -> Blueprint:
    """Return the routes of the JSON API and of its own description."""
    routes = Blueprint("api", __name__, url_prefix="/api")
    presenter = Presenter(parts.engine, parts.clock)
    for kind in APIS:
        api = kind(parts, access, lookups, presenter)
        for name, declared in operations(kind):
            answer = view(declared, getattr(api, name), current_caller)
            routes.add_url_rule(
                flask_path(declared), endpoint=declared.name, view_func=admits("api")(answer), methods=[declared.method]
            )
    server = urlsplit(parts.settings.base_url).path + "/api"

    @routes.get("/openapi.json")
    @admits("public")
    def openapi() -> Response:
        return jsonify(described(server))

    del openapi
    return routes


@cache
def described(server: str) -> dict[str, Any]:
    """Return the OpenAPI document for the base address `server`; made when it is first asked for, which few do."""
    return document(all_operations(), problem=ProblemDocument, version=version("content-steward"), server=server)


def all_operations() -> list[Operation]:
    """Return every operation of the JSON API."""
    return [declared for kind in APIS for _, declared in operations(kind)]


def flask_path(declared: Operation) -> str:
    """Return the operation's path in Flask's spelling."""
    return declared.path.replace("{", "<").replace("}", ">")
