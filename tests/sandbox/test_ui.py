"""The pretend site as people see it, over HTTP: pages, permissions, search, frames, mail, who one is."""

from __future__ import annotations

import json
import re
import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient

from addon.sandbox.auth import query_hash
from addon.sandbox.inbox import Inbox
from addon.sandbox.people import BOT
from addon.sandbox.site import Site
from addon.sandbox.ui import blueprint
from tests.support.clock import VirtualClock

SECRET = "a-shared-secret-of-more-than-32-bytes"
DESCRIPTOR = {
    "key": "helper",
    "name": "Helper",
    "baseUrl": "http://127.0.0.1:9999/app",
    "scopes": ["READ"],
    "modules": {
        "adminPages": [{"key": "site-page", "name": {"value": "Helper pages"}, "url": "/site?tab=a%26b"}],
        "spaceToolsTabs": [
            {
                "key": "space-page",
                "name": {"value": "Helper here"},
                "location": "integrations",
                "url": "/space?key={space.key}&id={space.id}",
            }
        ],
        "configurePage": {"key": "configure", "name": {"value": "Helper"}, "url": "/site"},
        "confluenceContentProperties": [
            {
                "key": "properties",
                "name": {"value": "Helper"},
                "keyConfigurations": [
                    {
                        "propertyKey": "steward-status",
                        "extractions": [{"objectName": "id", "type": "string", "alias": "stewardStatus"}],
                    }
                ],
            }
        ],
    },
}


@pytest.fixture
def site(clock: VirtualClock) -> Site:
    site = Site(clock, "http://127.0.0.1:8090", title="Example wiki")
    site.add_user("u-ops", "Olga Ops", "olga@example.com")
    site.add_user("u-reader", "Rita Reader", "rita@example.com", email_visible=False)
    site.add_space("OPS", "Operations", admins=["u-ops"])
    site.add_space("ENG", "Engineering")
    site.register_addon("helper", "client-1", SECRET, DESCRIPTOR, "http://127.0.0.1:9999/app")
    return site


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with Inbox({"olga@example.com": "u-ops"}.get) as inbox:
        yield inbox


@pytest.fixture
def web(site: Site, inbox: Inbox) -> FlaskClient:
    site.inbox = inbox
    app = Flask("test")
    app.testing = True
    app.register_blueprint(blueprint(site))
    return app.test_client()


def become(web: FlaskClient, account: str) -> None:
    assert web.post("/sandbox/whoami", data={"account": account, "back": "/wiki/home"}).status_code == 303


def module_of(html: str) -> dict[str, Any]:
    found = re.search(r'data-ac-module="([^"]*)"', html)
    assert found
    return dict(json.loads(unescape(found[1])))


def test_the_first_address_leads_to_the_spaces(web: FlaskClient) -> None:
    answer = web.get("/", follow_redirects=True)
    assert answer.request.path == "/wiki/home"
    assert "Operations" in answer.text
    assert "Example wiki" in answer.text


def test_a_page_shows_author_dates_labels_status_and_restrictions(web: FlaskClient, site: Site) -> None:
    page = site.add_page("OPS", "Opening <list>", author="u-ops", labels=["runbook"], body="First.\n\nSecond.")
    site.set_property(
        page.id,
        "steward-status",
        {"id": "expired", "name": {"value": "Expired"}, "tooltip": {"value": "Too old"}, "content": page.id},
    )
    site.restrict(page.id, users=["u-ops", BOT], groups=["confluence-admins"])
    answer = web.get(f"/wiki/spaces/OPS/pages/{page.id}/Opening+list")
    assert answer.status_code == 200
    assert "Opening &lt;list&gt;" in answer.text
    assert 'data-status="expired"' in answer.text
    for words in ("Olga Ops", "runbook", "Second.", "Restricted", "Too old"):
        assert words in answer.text


def test_a_copied_stamp_is_no_status(web: FlaskClient, site: Site) -> None:
    page = site.add_page("OPS", "A copy")
    value = {"id": "expired", "name": {"value": "Expired"}, "content": "1"}
    site.set_property(page.id, "steward-status", value)
    assert "data-status" not in web.get(f"/wiki/spaces/OPS/pages/{page.id}").text


def test_blog_posts_people_and_page_ids_have_addresses(web: FlaskClient, site: Site) -> None:
    post = site.add_blogpost("OPS", "We moved", author="u-ops")
    assert "We moved" in web.get("/wiki/spaces/OPS/blog").text
    assert "We moved" in web.get(f"/wiki/spaces/OPS/blog/2026/11/22/{post.id}/We+moved").text
    assert "We moved" in web.get("/wiki/people/u-ops").text
    by_id = web.get(f"/wiki/pages/viewpage.action?pageId={post.id}", follow_redirects=True)
    assert by_id.request.path == f"/wiki/spaces/OPS/blog/{post.id}"


def test_what_one_may_not_see_looks_like_what_is_not_there(web: FlaskClient, site: Site) -> None:
    page = site.add_page("OPS", "Secret plan")
    site.restrict(page.id, users=["u-ops"])
    become(web, "u-reader")
    hidden = web.get(f"/wiki/spaces/OPS/pages/{page.id}")
    absent = web.get("/wiki/spaces/OPS/pages/999999")
    assert (hidden.status_code, absent.status_code) == (404, 404)
    assert "Secret plan" not in hidden.text
    assert "Secret plan" not in web.get("/wiki/spaces/OPS").text
    assert web.get("/wiki/spaces/NOPE").status_code == 404
    become(web, "u-ops")
    assert web.get(f"/wiki/spaces/OPS/pages/{page.id}").status_code == 200


def test_search_takes_cql_shows_results_and_says_why_not(web: FlaskClient, site: Site) -> None:
    page = site.add_page("OPS", "Old plan")
    site.set_property(page.id, "steward-status", {"id": "expired", "name": {"value": "Expired"}, "content": page.id})
    found = web.get("/wiki/search", query_string={"cql": 'stewardStatus = "expired"'})
    assert "1 found" in found.text
    assert "Old plan" in found.text
    assert 'data-status="expired"' in found.text
    refused = web.get("/wiki/search", query_string={"cql": "stewardStatus ="})
    assert refused.status_code == 200
    assert "Could not parse cql" in refused.text
    assert "0 found" in web.get("/wiki/search", query_string={"cql": 'label = "none"'}).text


def test_archived_pages_are_found_only_when_asked_for(web: FlaskClient, site: Site) -> None:
    page = site.add_page("OPS", "Past plan")
    site.archive(page.id)
    query = {"cql": 'title = "Past plan"'}
    assert "0 found" in web.get("/wiki/search", query_string=query).text
    assert "1 found" in web.get("/wiki/search", query_string={**query, "archived": "1"}).text
    shown = web.get(f"/wiki/spaces/OPS/pages/{page.id}")
    assert "This page is archived" in shown.text


def test_plain_words_of_the_top_bar_become_cql_that_cannot_be_broken_out_of(web: FlaskClient) -> None:
    answer = web.get("/wiki/search", query_string={"text": 'home" OR type = page OR title ~ "x'})
    assert "Could not parse" not in web.get(answer.headers["Location"]).text


def test_settings_are_for_administrators_of_the_site_or_the_space(web: FlaskClient) -> None:
    assert "Helper pages" in web.get("/wiki/admin").text
    become(web, "u-ops")
    assert web.get("/wiki/admin").status_code == 403
    assert "/wiki/admin" not in web.get("/wiki/home").text
    assert "Helper here" in web.get("/wiki/spaces/OPS/settings").text
    assert web.get("/wiki/spaces/ENG/settings").status_code == 403


def test_the_frame_opens_the_page_with_a_token_for_exactly_that_request(web: FlaskClient, clock: VirtualClock) -> None:
    answer = web.get("/wiki/plugins/servlet/ac/helper/site-page")
    module = module_of(answer.text)
    address = urlsplit(module["src"])
    query = parse_qs(address.query, keep_blank_values=True)
    assert address.netloc == "127.0.0.1:9999"
    assert address.path == "/app/site"
    assert query["tab"] == ["a&b"]
    assert query["xdm_e"] == ["http://127.0.0.1:8090"]
    assert query["cp"] == ["/wiki"]
    assert query["lic"] == ["active"]
    assert query["xdm_c"] == [module["channel"]]
    claims = jwt.decode(
        query["jwt"][0], SECRET, ["HS256"], options={"verify_exp": False, "verify_iat": False, "require": ["exp"]}
    )
    assert (claims["iss"], claims["sub"]) == ("client-1", "u-admin")
    assert claims["exp"] - claims["iat"] == 180
    assert claims["iat"] == int(clock.now().timestamp())
    assert claims["qsh"] == query_hash("GET", "/site", address.query)
    assert "frame-src 'self' http://127.0.0.1:9999" in answer.headers["Content-Security-Policy"]


def test_a_space_page_gets_its_space_and_the_person_of_the_cookie(web: FlaskClient, site: Site) -> None:
    become(web, "u-ops")
    module = module_of(web.get("/wiki/spaces/OPS/settings/integrations/space-page").text)
    query = parse_qs(urlsplit(module["src"]).query)
    assert query["key"] == ["OPS"]
    assert query["id"] == [site.space("OPS").id]
    claims = jwt.decode(query["jwt"][0], options={"verify_signature": False})
    assert claims["sub"] == "u-ops"
    assert claims["context"]["confluence"]["space"]["key"] == "OPS"
    assert module["context"] == claims["context"]


def test_the_host_script_gets_context_tokens_for_whoever_is_looking(web: FlaskClient) -> None:
    become(web, "u-ops")
    asked = {"addonKey": "helper", "moduleKey": "space-page", "spaceKey": "OPS", "account": "u-admin"}
    token = web.post("/sandbox/ui/token", json=asked).get_json()["token"]
    claims = jwt.decode(token, SECRET, ["HS256"], options={"verify_exp": False, "verify_iat": False})
    assert (claims["qsh"], claims["sub"], claims["iss"]) == ("context-qsh", "u-ops", "client-1")
    assert claims["exp"] - claims["iat"] == 900


@pytest.mark.parametrize("asked", [{}, {"addonKey": "helper", "moduleKey": "no"}, {"addonKey": "no", "moduleKey": "x"}])
def test_tokens_for_unknown_pages_are_refused(web: FlaskClient, asked: dict[str, str]) -> None:
    assert web.post("/sandbox/ui/token", json=asked).status_code == 404
    assert web.post("/sandbox/ui/token", data="no json").status_code == 400


def test_nobody_becomes_a_stranger_or_the_app_or_is_led_elsewhere(web: FlaskClient) -> None:
    for account in ("u-nobody", BOT, ""):
        answer = web.post("/sandbox/whoami", data={"account": account, "back": "//elsewhere.example"})
        assert answer.headers["Location"] == "/wiki/home"
        assert "Set-Cookie" not in answer.headers


def test_the_inbox_lists_mail_as_html_and_as_json_and_runs_nothing(web: FlaskClient, inbox: Inbox) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "steward@example.com", "olga@example.com", "Two pages <need> you"
    mail.set_content("See them.")
    mail.add_alternative("<p>See <script>alert(1)</script>them</p>", subtype="html")
    address = urlsplit(inbox.smtp_url)
    with smtplib.SMTP(address.hostname or "", address.port or 0, timeout=10) as smtp:
        smtp.send_message(mail)
    inbox.wait_for(1)
    listed = web.get("/sandbox/inbox", headers={"Accept": "text/html"})
    assert "Two pages &lt;need&gt; you" in listed.text
    assert "Olga Ops" in listed.text
    (item,) = web.get("/sandbox/inbox", headers={"Accept": "application/json"}).get_json()["items"]
    assert (item["accountId"], item["subject"]) == ("u-ops", "Two pages <need> you")
    assert "See them." in web.get("/sandbox/inbox/1").text
    html = web.get("/sandbox/inbox/1/html")
    assert html.headers["Content-Security-Policy"].startswith("sandbox ")
    assert "script-src" not in html.headers["Content-Security-Policy"]
    assert web.get("/sandbox/inbox/2").status_code == 404
    assert (
        web.get("/sandbox/inbox?account=u-reader", headers={"Accept": "text/html"}).text.count("/sandbox/inbox/1") == 0
    )


def test_api_activity_shows_points_and_requests(web: FlaskClient, site: Site) -> None:
    site.meter.charge("GET /wiki/api/v2/spaces", 14)
    site.meter.note("GET", "/wiki/api/v2/spaces?limit=250", 200, 14)
    shown = web.get("/sandbox/activity").text
    assert "/wiki/api/v2/spaces?limit=250" in shown
    assert ">14</td>" in shown


def test_scripts_and_tokens_are_files_of_the_site(web: FlaskClient) -> None:
    assert "window.AP" in web.get("/sandbox/all.js").text
    assert "--ds-surface:" in web.get("/sandbox/tokens.css").text
    assert web.get("/sandbox/static/../__init__.py").status_code == 404
    assert web.get("/sandbox/static/host.js").mimetype == "text/javascript"


def test_an_installed_add_on_may_be_gone_again(web: FlaskClient, site: Site) -> None:
    site.unregister_addon("helper")
    assert web.get("/wiki/plugins/servlet/ac/helper/site-page").status_code == 404
    assert "No app is installed" in web.get("/wiki/admin").text
