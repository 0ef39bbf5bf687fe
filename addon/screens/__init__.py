"""The screens inside Confluence: pages, the JSON API behind them, and every answer in case of an error.

Overview
    A page is a shell without content; its script shows the view and asks the JSON API (docs/adr/0004). The API is a set
    of classes in `api/`, one per feature, whose methods are declared as operations. The routes, the checks of what
    comes in and the OpenAPI document are all made from these declarations, so they cannot differ.

A request, followed
    ::

        browser            boundary             operations            feature              Confluence
           |  JWT, path       |                     |                    |                     |
           |----------------->| who calls? -------->| query and body     |                     |
           |                  | (addon.connect)     | as models -------->| Access: may they?   |
           |                  |                     |                    |-------------------->|
           |                  |                     |                    | rooms below, by     |
           |                  |                     |                    | their doors         |
           |<---------------- headers <------------ JSON <-------------- Answer or Refusal     |

    1. The boundary of `addon.connect` has verified the token before a view runs. A view only declares who is let in
       (`admits`); a route that declares nothing keeps the server from starting.
    2. `operations.view` reads query and body into models of `schemas` and the features. What does not fit is refused
       here, with one error per field, before anything is asked or read.
    3. `Access` lets the caller into a scope: the site for Confluence administrators, one space for its administrators.
       It asks Confluence about the person; how old an answer may be depends on whether the call changes something
       (docs/rules/quota.md 4.4). What a space's administrator may know of a run over the site is `Viewer.sight`.
    4. The feature reads and writes by the doors of the rooms below, in short transactions, and never within one calls
       Confluence.
    5. The answer is a model, written in camelCase.

What a problem is
    Every error leaves as a problem document (RFC 9457) or, where a browser opened a page, as a page with the same
    words. Rooms below raise a `Refusal` of their own and know no HTTP; `problems.STATUSES` is the one table from their
    classes to statuses (docs/adr/0047). `titles` has the heading of each kind. Handlers are registered for the whole
    app, so the boundary's and the lifecycle's errors look the same.

On failure
    Confluence asks to wait, or its points are used up: 503 with Retry-After. Its signature is refused: 503, a
    Confluence administrator has to install the add-on again. The database is away: 503, and Retry-After says ten
    seconds. Anything else: 500 with a reference that is also in the log.

Modules
    `access` scopes and sight; `operations` and `openapi` the frame of the API; `schemas` shared models; `lookups` names
    and spaces, remembered for a while; `times` times in sentences; `pages` and `assets` the shell and its static files;
    `health` liveness, readiness and metrics; `api/` the features.
"""

from __future__ import annotations

from flask import Flask

from addon.connect import known_caller
from addon.parts import Parts
from addon.screens import health, pages, problems
from addon.screens.access import Access
from addon.screens.api import blueprint as api
from addon.screens.lookups import Lookups
from addon.screens.problems import Problem

__all__ = ["Problem", "register"]


def register(app: Flask, parts: Parts) -> None:
    """Add the pages, the JSON API, the health routes and the error answers to `app`.

    connect's boundary must be installed on the app: the views declare who is let in, they do not check it.
    """
    lookups = Lookups(parts.confluence, parts.clock)
    access = Access(parts.permissions, lookups, parts.db)
    problems.register(app, parts.settings, parts.clock)
    app.before_request(lambda: parts.confluence.begin_request(known_caller()))
    app.teardown_request(lambda _error: parts.confluence.end_request())
    app.register_blueprint(api.blueprint(parts, access, lookups))
    app.register_blueprint(pages.blueprint(parts, access))
    app.register_blueprint(pages.pictures())
    app.register_blueprint(health.blueprint(parts))
