"""The byline's dialog: who may see it, what it explains, and what the content's editors change with it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from addon.confluence import Property, SiteClient
from addon.jobs.models import ContentStamp
from addon.sandbox.people import BOT
from addon.sandbox.records import Content
from tests.screens.conftest import ADMIN, EVE, SAM, House
from tests.support.answers import Answer

HIDA = "u-hid"


def content(house: House, title: str) -> Content:
    return next(each for each in house.site.contents() if each.title == title)


def look(house: House, title: str, account: str = EVE) -> Answer:
    return house.get(f"/content/{content(house, title).id}/status", account=account)


def refresh(house: House, title: str, account: str = EVE) -> Answer:
    return house.call("POST", f"/content/{content(house, title).id}/refresh", account=account)


def review(house: House, title: str, account: str = EVE, **body: Any) -> Answer:
    return house.call("PUT", f"/content/{content(house, title).id}/review", account=account, json=body)


def stamp(house: House, title: str) -> dict[str, Any] | None:
    found = content(house, title).properties.get("steward-status")
    return None if found is None else found.value


def said(house: House, title: str) -> dict[str, Any] | None:
    found = content(house, title).properties.get("steward-review")
    return None if found is None else found.value


def row(house: House, title: str) -> ContentStamp | None:
    with house.parts.db.read(house.tenant_id) as session:
        return session.get(ContentStamp, (house.tenant_id, content(house, title).id))


def change_policies(house: House, **fields: Any) -> None:
    kept = house.get("/policies").json
    answer = house.call("PUT", "/policies", json=kept | fields, headers={"If-Match": f'"{kept["version"]}"'})
    assert answer.status_code == 200, answer.text


def test_the_dialog_explains_every_status_in_order(house: House) -> None:
    answer = look(house, "Guide")
    assert answer.status_code == 200, answer.text
    body = answer.json
    assert (body["title"], body["space"]["key"], body["scheme"]["name"]) == ("Guide", "DOCS", "Freshness")
    tests = [(each["status"]["id"], each["direct"], each["applies"], each["isDefault"]) for each in body["tests"]]
    assert tests == [
        ("expired", True, True, False),
        ("not-updated", True, False, False),
        ("up-to-date", None, False, True),
    ]
    cql = look(house, "Guide", ADMIN).json["tests"][0]["cql"]
    assert cql.startswith("stewardExpirationDate <= now()")
    assert (body["status"]["id"], body["outdated"], body["changedOn"]) == ("up-to-date", True, None)
    assert body["mayEdit"] is True


@pytest.mark.parametrize(("account", "reads"), [(ADMIN, True), (SAM, False), (EVE, False)])
def test_how_conditions_are_written_is_for_confluence_administrators_and_what_matched_for_everybody(
    house: House, account: str, reads: bool
) -> None:
    schemes = house.get("/policies").json["statusSchemes"]
    schemes[0]["entries"][0] |= {"cql": 'label = "secret-word"', "ancestorCql": 'title = "Guide"'}
    change_policies(house, statusSchemes=schemes)
    house.site.faults.add(path="/rest/api/content/search", status=400, cql="secret-word")
    answers = [look(house, "Guide: old part", account), refresh(house, "Guide: old part", account)]
    assert [answer.status_code for answer in answers] == [200, 422]
    first, second = answers[0].json["tests"][:2]
    assert (first["problem"] is not None, second["direct"], second["above"]) == (True, True, None)
    assert (first["hasAncestorCql"], second["hasAncestorCql"]) == (True, False)
    for answer in answers:
        assert ("secret-word" in answer.text or "Injected" in answer.text) is reads, answer.text
    assert ("lastmodified" in answers[0].text) is reads


def test_a_refresh_stamps_this_content_alone_and_at_once(house: House) -> None:
    body = refresh(house, "Guide").json
    assert (body["status"]["id"], body["outdated"]) == ("expired", False)
    written = stamp(house, "Guide")
    assert written is not None
    assert written["id"] == "expired"
    assert written["icon"] == {
        "url": "http://127.0.0.1:8080/status-icons/alert-c9372c.svg",
        "width": 16,
        "height": 16,
    }
    kept = row(house, "Guide")
    assert kept is not None
    assert (kept.slug, kept.property_version) == ("expired", 1)
    assert stamp(house, "Guide: old part") is None
    assert house.get("/executions", account=ADMIN).json["items"] == []


def test_a_content_that_was_never_stamped_and_is_as_the_default_stays_without_a_stamp(house: House) -> None:
    body = refresh(house, "Fresh page").json
    assert (body["status"]["id"], body["changedOn"]) == ("up-to-date", None)
    assert stamp(house, "Fresh page") is None
    kept = row(house, "Fresh page")
    # Known only until search has heard of the review as well.
    assert kept is not None
    assert (kept.slug, kept.previous, kept.property_id) == ("up-to-date", None, None)


@pytest.mark.parametrize("decides", [True, False], ids=["decided", "concluded"])
def test_what_somebody_may_not_view_does_not_exist_for_them(house: House, decides: bool) -> None:
    house.site.decides_for_apps = decides
    guide = content(house, "Guide")
    house.site.restrict(guide.id, users=[SAM, BOT])
    paths = [("GET", "status"), ("POST", "refresh"), ("PUT", "review")]
    for method, path in paths:
        options: dict[str, Any] = {"json": {"stillValid": True}} if method == "PUT" else {}
        hidden = house.call(method, f"/content/{guide.id}/{path}", account=EVE, **options)
        missing = house.call(method, f"/content/999999/{path}", account=EVE, **options)
        assert (hidden.status_code, hidden.json) == (404, missing.json), path
    assert said(house, "Guide") is None
    assert look(house, "Guide", SAM).status_code == 200


@pytest.mark.parametrize("content_id", ["0", "x", "1%2F..%2F2", "9" * 30, "-1"])
def test_only_a_number_is_asked_about(house: House, content_id: str) -> None:
    before = house.site.meter.calls
    assert house.get(f"/content/{content_id}/status", account=EVE).status_code == 404
    assert house.site.meter.calls == before


def test_still_valid_resets_the_clock_without_a_fake_edit_and_without_waiting_for_the_index(house: House) -> None:
    refresh(house, "Guide")
    version = content(house, "Guide").version
    house.site.index_lag = 3600
    answer = review(house, "Guide", stillValid=True)
    assert answer.status_code == 200, answer.text
    assert said(house, "Guide") == {"reviewedOn": "2026-11-22"}
    body = answer.json
    assert (body["status"]["id"], body["previous"]["id"]) == ("up-to-date", "expired")
    written = stamp(house, "Guide")
    assert written is not None
    assert (written["id"], written["previous"]) == ("up-to-date", "expired")
    assert content(house, "Guide").version == version


def test_still_valid_takes_away_a_date_that_has_come_and_keeps_one_that_has_not(house: House) -> None:
    review(house, "Fresh page", expirationDate="2026-11-01")
    assert (stamp(house, "Fresh page") or {})["id"] == "expired"
    assert review(house, "Fresh page", stillValid=True).json["status"]["id"] == "up-to-date"
    assert said(house, "Fresh page") == {"reviewedOn": "2026-11-22"}
    review(house, "Fresh page", expirationDate="2027-11-01")
    review(house, "Fresh page", stillValid=True)
    assert said(house, "Fresh page") == {"reviewedOn": "2026-11-22", "expirationDate": "2027-11-01"}


@pytest.mark.parametrize(("months", "expires"), [(3, "2027-02-28"), (6, "2027-05-30"), (12, "2027-11-30")])
def test_the_next_review_is_a_date_from_today(house: House, months: int, expires: str) -> None:
    house.clock.advance(timedelta(days=8).total_seconds())
    review(house, "Guide", stillValid=True, nextReviewMonths=months)
    assert said(house, "Guide") == {"reviewedOn": "2026-11-30", "expirationDate": expires}


def test_today_is_a_day_of_the_sites_zone(house: House) -> None:
    house.clock.advance(timedelta(hours=11, minutes=30).total_seconds())
    review(house, "Guide", stillValid=True)
    assert said(house, "Guide") == {"reviewedOn": "2026-11-23"}


def test_dates_and_keep_are_changed_one_by_one_and_name_nobody(house: House) -> None:
    review(house, "Guide", expirationDate="2027-01-01")
    review(house, "Guide", keep=True)
    assert said(house, "Guide") == {"expirationDate": "2027-01-01", "keep": True}
    review(house, "Guide", expirationDate=None)
    review(house, "Guide", keep=False)
    assert said(house, "Guide") == {}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"expirationDate": "tomorrow"},
        {"expirationDate": "1999-12-31"},
        {"expirationDate": "2200-01-01"},
        {"nextReviewMonths": 6},
        {"stillValid": True, "nextReviewMonths": 5},
        {"stillValid": True, "expirationDate": "2027-01-01"},
        {"keep": "yes"},
        {"reviewedOn": "2026-01-01"},
    ],
)
def test_what_means_nothing_is_refused(house: House, body: dict[str, Any]) -> None:
    assert review(house, "Guide", **body).status_code == 422
    assert said(house, "Guide") is None


@pytest.mark.parametrize("decides", [True, False], ids=["decided", "concluded"])
def test_a_viewer_who_may_not_edit_sees_no_controls_and_is_refused(house: House, decides: bool) -> None:
    house.site.decides_for_apps = decides
    house.site.access.restrict(content(house, "Guide").id, "update", [SAM, BOT], [])
    assert look(house, "Guide", EVE).json["mayEdit"] is False
    refused = review(house, "Guide", EVE, keep=True)
    assert (refused.status_code, refused.json["type"].rpartition(":")[2].rpartition("/")[2]) == (403, "not-editor")
    assert said(house, "Guide") is None
    assert look(house, "Guide", SAM).json["mayEdit"] is True
    assert review(house, "Guide", SAM, keep=True).status_code == 200
    assert refresh(house, "Guide", EVE).status_code == 200


def test_a_right_to_edit_is_asked_again_after_a_minute(house: House) -> None:
    assert review(house, "Guide", keep=True).status_code == 200
    house.site.access.restrict(content(house, "Guide").id, "update", [SAM, BOT], [])
    house.clock.advance(61)
    assert review(house, "Guide", keep=False).status_code == 403


def test_nothing_is_changed_while_confluence_cannot_say_who_may(house: House) -> None:
    house.site.decides_for_apps = True
    assert look(house, "Guide").status_code == 200
    house.clock.advance(61)
    house.site.faults.add(status=400, path="/permission/check")
    assert review(house, "Guide", keep=True).status_code == 503
    assert said(house, "Guide") is None


def test_an_excluded_space_says_so_and_has_no_controls(house: House) -> None:
    change_policies(house, excludedSpaces=[{"key": "DOCS"}])
    body = look(house, "Guide").json
    assert body["excluded"] == "excluded by rule: space DOCS"
    assert (body["tests"], body["status"], body["mayEdit"]) == ([], None, False)
    assert refresh(house, "Guide").status_code == 422
    assert review(house, "Guide", keep=True).status_code == 422
    assert (stamp(house, "Guide"), said(house, "Guide")) == (None, None)


def test_an_exclusion_by_label_counts(house: House) -> None:
    change_policies(house, excludedSpaces=[{"label": "team"}])
    assert look(house, "Guide").json["excluded"] == "excluded by rule: spaces labelled team"
    assert look(house, "Runbook").json["excluded"] is None


def test_a_property_that_others_changed_meanwhile_is_read_once_more(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    review(house, "Guide", expirationDate="2027-01-01")
    guide = content(house, "Guide")
    put, others = SiteClient.update_property, ["2028-02-02"]

    def others_first(self: SiteClient, kind: Any, content_id: str, prop: Property, value: Any) -> Property:
        if others and prop.key == "steward-review":
            house.site.set_property(guide.id, "steward-review", {"expirationDate": others.pop()})
        return put(self, kind, content_id, prop, value)

    monkeypatch.setattr(SiteClient, "update_property", others_first)
    assert review(house, "Guide", keep=True).status_code == 200
    assert said(house, "Guide") == {"expirationDate": "2028-02-02", "keep": True}
    others += ["2029-03-03", "2029-04-04"]
    assert review(house, "Guide", expirationDate="2030-01-01").status_code == 409


def test_a_new_property_that_somebody_else_made_first_is_added_to(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    guide = content(house, "Guide")
    post = SiteClient.create_property

    def others_first(self: SiteClient, kind: Any, content_id: str, key: str, value: Any) -> Property:
        if key == "steward-review":
            house.site.set_property(guide.id, key, {"reviewedOn": "2026-11-01"})
        return post(self, kind, content_id, key, value)

    monkeypatch.setattr(SiteClient, "create_property", others_first)
    assert review(house, "Guide", keep=True).status_code == 200
    assert said(house, "Guide") == {"reviewedOn": "2026-11-01", "keep": True}


def test_what_a_run_wrote_for_a_later_version_stays_in_the_ledger(house: House) -> None:
    refresh(house, "Guide")
    with house.parts.db.write(house.tenant_id) as session:
        kept = session.get(ContentStamp, (house.tenant_id, content(house, "Guide").id))
        assert kept is not None
        kept.property_version, kept.slug = 7, "not-updated"
    house.clock.advance(11)
    refresh(house, "Guide")
    found = row(house, "Guide")
    assert found is not None
    assert (found.property_version, found.slug) == (7, "not-updated")


def test_an_ancestor_query_is_asked_of_the_pages_above(house: House) -> None:
    schemes = house.get("/policies").json["statusSchemes"]
    schemes[0]["entries"][0] = {"status": "expired", "cql": "label = none", "ancestorCql": 'title = "Guide"'}
    change_policies(house, statusSchemes=schemes)
    below, itself = look(house, "Guide: old part").json, look(house, "Guide").json
    assert (below["tests"][0]["above"], below["tests"][0]["applies"]) == (True, True)
    assert (itself["tests"][0]["above"], itself["tests"][0]["direct"]) == (False, False)


def test_statuses_kept_in_the_ledger_only_write_nothing_to_the_page(house: House) -> None:
    change_policies(house, statusStamps=False)
    assert refresh(house, "Guide").json["status"]["id"] == "expired"
    assert stamp(house, "Guide") is None
    found = row(house, "Guide")
    assert found is not None
    assert (found.slug, found.property_id) == ("expired", None)


@pytest.mark.parametrize(("decides", "most"), [(True, 16), (False, 60)], ids=["decided", "concluded"])
def test_a_look_has_a_price_and_a_second_one_soon_after_has_almost_none(house: House, decides: bool, most: int) -> None:
    house.site.decides_for_apps = decides
    before = house.site.meter.points
    look(house, "Runbook")
    first = house.site.meter.points - before
    look(house, "Runbook")
    second = house.site.meter.points - before - first
    assert first <= most, house.site.meter.usage()
    assert second <= 2


def test_the_page_names_the_content_and_nothing_of_it(house: House) -> None:
    opened = house.page("/byline", contentId=content(house, "Guide").id, spaceKey="DOCS", account=EVE)
    assert opened.status_code == 200
    assert content(house, "Guide").id in opened.text
    assert "Guide" not in opened.text.replace("Content Steward", "")
    assert house.page("/byline", contentId="1/../2", account=EVE).status_code == 422


def test_a_status_icon_is_public_and_kept_for_ever(house: House) -> None:
    answer = house.app.test_client().get("/status-icons/alert-c9372c.svg")
    assert (answer.status_code, answer.mimetype) == (200, "image/svg+xml")
    assert b'stroke="#c9372c"' in answer.data
    assert "immutable" in answer.headers["Cache-Control"]
    assert "max-age=31536000" in answer.headers["Cache-Control"]
    for name in ("alert.svg", "alert-C9372C.svg", "nothing-c9372c.svg", "alert-c9372c.svg.html", "alert-%22x%22.svg"):
        assert house.app.test_client().get(f"/status-icons/{name}").status_code == 404


def test_a_review_that_changes_nothing_is_refused_in_plain_words(house: House) -> None:
    answer = review(house, "Guide")
    assert answer.status_code == 422
    assert answer.json["errors"][0]["detail"] == "says nothing to change: send expirationDate, stillValid or keep"
