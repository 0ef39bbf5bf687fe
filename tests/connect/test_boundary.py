"""Rules closed by default, and the headers of every answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask, Response
from flask.views import MethodView

from addon.base.logs import get_logger
from addon.connect import (
    ConnectError,
    UndeclaredRoute,
    admits,
    check_routes,
    current_caller,
    current_installation,
    install_boundary,
)
from addon.connect.authenticate import authenticate_context, authenticate_host, caller_of
from addon.connect.route_access import current_claims
from addon.screens.problems import problem_of
from tests.connect.conftest import Host
from tests.support.answers import refused_with_problem
from tests.support.connect import context_token, install_payload, page_token


def test_a_route_without_a_rule_keeps_the_server_from_starting() -> None:
    app = Flask("open", static_folder=None)

    @app.get("/forgotten/<int:number>")
    def forgotten(number: int) -> str:
        return str(number)

    with pytest.raises(UndeclaredRoute, match="/forgotten/<int:number>"):
        check_routes(app)


def test_every_kind_of_view_can_declare(tmp_path: Path) -> None:
    app = Flask("declared", static_folder=str(tmp_path))
    blueprint = Blueprint("part", __name__, static_folder=str(tmp_path), url_prefix="/part")

    @admits("api")
    class Things(MethodView):
        def get(self) -> str:
            return "things"

    blueprint.add_url_rule("/things", view_func=Things.as_view("things"))
    app.register_blueprint(blueprint)
    check_routes(app)


def test_a_rule_that_does_not_exist_cannot_be_declared() -> None:
    with pytest.raises(ValueError, match="admin"):
        admits("admin")  # type: ignore[arg-type]


def test_a_route_added_after_the_check_lets_nobody_in(host: Host) -> None:
    host.app.config["PROPAGATE_EXCEPTIONS"] = False
    called: list[str] = []
    host.app._got_first_request = False

    def late() -> str:
        called.append("late")
        return "in"

    host.app.add_url_rule("/late", "late", late)
    assert host.client.get("/late").status_code == 500
    assert called == []


def test_a_public_view_knows_nobody(host: Host) -> None:
    with host.app.test_request_context("/open"):
        for ask in (current_caller, current_installation, current_claims):
            with pytest.raises(LookupError):
                ask()


def test_every_method_of_a_closed_route_is_closed(installed: Host) -> None:
    for method in ("OPTIONS", "HEAD", "GET"):
        assert installed.client.open("/page", method=method).status_code == 401
        assert installed.client.open("/api/thing", method=method).status_code == 401


def test_a_token_of_a_page_and_one_of_the_api_are_each_good_for_their_own_kind_of_request_only(installed: Host) -> None:
    parts = (installed.tenants, installed.clock)
    token = page_token(path="/elsewhere", now=installed.clock.now())
    from flask import request

    with installed.app.test_request_context(f"/elsewhere?jwt={token}"):
        assert caller_of(authenticate_host(request, *parts, installed.settings)).account_id == "u-admin"
        with refused_with_problem():
            authenticate_context(request, *parts)
    headers = {"Authorization": f"JWT {context_token(now=installed.clock.now())}"}
    with installed.app.test_request_context("/elsewhere", headers=headers):
        assert caller_of(authenticate_context(request, *parts)).account_id == "u-admin"
        with refused_with_problem():
            authenticate_host(request, *parts, installed.settings)


def _answers(host: Host) -> dict[str, Any]:
    token = context_token(now=host.clock.now())
    return {
        "page": host.get("/page"),
        "api": host.client.get("/api/thing", headers={"Authorization": f"JWT {token}"}),
        "public": host.client.get("/open"),
        "refused": host.client.get("/page"),
        "no such address": host.client.get("/nowhere"),
        "no such method": host.client.get("/connect/installed"),
        "server error": host.client.get("/broken"),
        "lifecycle": host.lifecycle("installed"),
        "lifecycle refused": host.client.post("/connect/installed", json=install_payload()),
        "options": host.client.options("/open"),
    }


def test_every_answer_carries_the_security_headers_and_no_cookie(installed: Host) -> None:
    for name, answer in _answers(installed).items():
        headers = answer.headers
        assert headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains", name
        assert headers["Referrer-Policy"] == "no-referrer", name
        assert headers["X-Content-Type-Options"] == "nosniff", name
        assert headers["Cache-Control"] == "no-store, no-cache", name
        assert "default-src 'none'" in headers["Content-Security-Policy"], name
        assert "Set-Cookie" not in headers, name
        assert "X-Frame-Options" not in headers, name


def _directives(answer: Any) -> dict[str, list[str]]:
    policy = answer.headers["Content-Security-Policy"]
    return {name: rest for name, *rest in (part.split() for part in policy.split("; "))}


def test_only_our_scripts_and_the_hosts_bridge_run(installed: Host) -> None:
    found = _directives(installed.get("/page"))
    assert found["script-src"] == ["'self'", "https://connect-cdn.atl-paas.net"]
    assert found["style-src"][:2] == ["'self'", "https://connect-cdn.atl-paas.net"]
    assert found["object-src"] == ["'none'"]
    assert not any("unsafe" in source for sources in found.values() for source in sources)


def test_the_bridge_of_the_sandbox_replaces_atlassians(make_host: Callable[..., Host]) -> None:
    host = make_host(ap_script_url="http://127.0.0.1:8123/sandbox/all.js", allowed_hosts=("http://127.0.0.1:*",))
    found = _directives(host.client.get("/open"))
    assert found["script-src"] == ["'self'", "http://127.0.0.1:8123"]
    assert found["style-src"] == ["'self'", "http://127.0.0.1:8123"]
    assert found["frame-ancestors"] == ["http://127.0.0.1:*"]


def test_the_tenants_site_and_its_custom_domain_may_frame(installed: Host) -> None:
    assert _directives(installed.client.get("/page"))["frame-ancestors"] == [
        "https://*.atlassian.net",
        "https://*.jira.com",
    ]
    installed.clock.advance(1)
    installed.lifecycle("installed", install_payload(displayUrl="https://wiki.example.org/wiki"))
    framers = _directives(installed.get("/page"))["frame-ancestors"]
    assert "https://one.atlassian.net" in framers
    assert "https://wiki.example.org" in framers
    assert "https://wiki.example.org" not in _directives(installed.client.get("/open"))["frame-ancestors"]


def test_static_files_keep_their_caching_and_missing_ones_do_not(
    make_host: Callable[..., Host], tmp_path: Path
) -> None:
    host = make_host()
    (tmp_path / "jobs.js").write_text("'use strict';")
    app = Flask("static", static_folder=str(tmp_path), static_url_path="/static")
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 3600
    install_boundary(app, host.tenants, host.settings, host.clock)

    def refused(error: ConnectError) -> Response:
        return Response(json.dumps(problem_of(error).document()), problem_of(error).status)

    app.register_error_handler(ConnectError, refused)
    check_routes(app)
    with app.test_client().get("/static/jobs.js") as found:
        assert found.headers["Cache-Control"] == "public, max-age=3600"
        assert found.headers["X-Content-Type-Options"] == "nosniff"
    assert app.test_client().get("/static/none.js").headers["Cache-Control"] == "no-store, no-cache"


def test_a_line_of_a_request_says_which_site_sent_it(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    log = get_logger("addon.screens.fake")
    host.app._got_first_request = False
    host.app.before_request(lambda: log.warning("said", action="said"))
    assert host.lifecycle("installed").status_code == 204
    assert host.get("/page").status_code == 200
    log.warning("over", action="over")
    installing, page, outside = (vars(record) for record in caplog.records if record.name == "addon.screens.fake")
    row = host.row()
    assert row is not None
    assert page["tenant"] == row.id
    assert "tenant" not in installing.keys() | outside.keys()
