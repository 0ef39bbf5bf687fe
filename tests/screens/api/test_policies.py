"""Reading, checking and putting the policies over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.screens.conftest import ADMIN, House
from tests.support.answers import Answer

YAML = "application/yaml"


def put(house: House, text: str, *, if_match: str | None = '"1"', content_type: str = YAML, **options: Any) -> Answer:
    headers = {} if if_match is None else {"If-Match": if_match}
    return house.call("PUT", "/policies", data=text.encode(), content_type=content_type, headers=headers, **options)


def text_of(house: House) -> str:
    return house.call("GET", "/policies", headers={"Accept": YAML}).text


def test_policies_are_read_as_json_or_yaml_with_their_version(house: House) -> None:
    as_json = house.get("/policies")
    assert (as_json.status_code, as_json.content_type, as_json.headers["ETag"]) == (200, "application/json", '"1"')
    assert as_json.json["version"] == 1
    as_yaml = house.call("GET", "/policies", headers={"Accept": YAML})
    assert as_yaml.content_type.startswith(YAML)
    assert yaml.safe_load(as_yaml.text)["statusSchemes"][0]["id"] == "freshness"
    assert house.call("GET", "/policies", headers={"Accept": "image/png"}).status_code == 406


def test_a_put_is_the_next_version_and_schedules_follow_at_once(house: House) -> None:
    changed = text_of(house).replace("enabled: false", "enabled: true")
    answer = put(house, changed)
    assert answer.status_code == 200, answer.json
    assert answer.headers["ETag"] == '"2"'
    jobs = {job["job"]: job for job in house.get("/jobs").json["items"]}
    assert jobs["send-notifications"]["nextAt"] == "2026-11-23T07:00:00Z"
    assert jobs["execute-automations"]["nextAt"] is not None
    versions = house.get("/policies/versions").json["items"]
    assert [(each["version"], each["by"]) for each in versions] == [(2, ADMIN), (1, None)]
    before = house.get("/policies", version=1).json
    assert before["notificationSchemes"][0]["rules"][0]["enabled"] is False
    assert house.get("/policies", version=9).status_code == 404


def test_a_put_over_somebody_elses_change_is_refused(house: House) -> None:
    text = text_of(house)
    assert put(house, text.replace("Freshness", "How fresh")).status_code == 200
    late = put(house, text.replace("Freshness", "Something else"))
    assert late.status_code == 412
    assert late.json["currentVersion"] == 2
    assert put(house, text, if_match=None).status_code == 428
    assert put(house, text, if_match='"x"').status_code == 412


def test_what_is_not_right_is_named_by_field_and_line(house: House) -> None:
    text = text_of(house)
    answer = put(house, text.replace("cron: 0 8 * * 1", "cron: 0 25 * * 1"))
    assert answer.status_code == 422
    (error,) = answer.json["errors"]
    assert error["pointer"] == "/notificationSchemes/0/rules/0/schedule/cron"
    assert text.splitlines()[error["line"] - 1].strip() == "cron: 0 8 * * 1"
    assert house.get("/policies").headers["ETag"] == '"1"'


def test_unreadable_policies_are_400_with_the_line(house: House) -> None:
    answer = put(house, "statuses:\n  - id: [unclosed\n")
    assert answer.status_code == 400
    assert answer.json["errors"][0]["line"] >= 2
    bomb = "a: &a [x]\nb: [*a, *a]\n"
    assert put(house, bomb).status_code == 400
    assert put(house, "{", content_type="application/json").status_code == 400
    assert put(house, "x", content_type="text/plain").status_code == 415
    assert put(house, "x" * 1_100_000).status_code == 413


def test_cql_that_confluence_refuses_is_an_error_at_its_field(house: House) -> None:
    text = text_of(house)
    refused = put(house, text.replace('stewardStatus = "expired"\n', "noSuchField = 1\n", 1))
    assert refused.status_code == 422
    assert "Confluence does not take this CQL" in refused.json["errors"][0]["detail"]
    assert refused.json["errors"][0]["pointer"] == "/notificationSchemes/0/rules/0/cql"


def test_a_site_that_cannot_be_asked_does_not_keep_policies_from_being_stored(house: House) -> None:
    house.site.faults.add(path="/rest/api/search", status=403)
    changed = text_of(house).replace('cql: stewardStatus = "expired"\n', 'cql: stewardStatus = "not-updated"\n', 1)
    assert put(house, changed).status_code == 200


def test_versions_come_page_by_page(house: House) -> None:
    text = text_of(house)
    for number in range(1, 4):
        assert put(house, text.replace("Freshness", f"Fresh {number}"), if_match=f'"{number}"').status_code == 200
    first = house.get("/policies/versions", limit=3).json
    assert [each["version"] for each in first["items"]] == [4, 3, 2]
    rest = house.get("/policies/versions", limit=3, cursor=first["nextCursor"]).json
    assert ([each["version"] for each in rest["items"]], rest["nextCursor"]) == ([1], None)
    assert house.get("/policies/versions", cursor="x").status_code == 422


def notices(answer: Answer) -> dict[str, str]:
    return {each["pointer"]: each["detail"] for each in answer.json["notices"]}


def named(house: House, **fields: object) -> Answer:
    before = house.get("/policies")
    answer = house.call("PUT", "/policies", json=before.json | fields, headers={"If-Match": before.headers["ETag"]})
    assert answer.status_code == 200, answer.json
    return answer


def test_a_space_key_that_the_site_does_not_show_is_named_at_its_field_and_stored(house: House) -> None:
    answer = named(
        house,
        includedSpaces=[{"key": "DOCS"}, {"key": "DOCZ"}],
        excludedSpaces=[{"key": "OLDD"}, {"type": "personal"}],
        assignments=[{"space": {"key": "ENGG"}, "statusScheme": "expiry-date"}, {"space": {"key": "hr"}}],
        indicator={"on": False, "spaces": [{"key": "NOWHERE"}]},
    )
    said = notices(answer)
    assert set(said) == {
        "/includedSpaces/1/key", "/excludedSpaces/0/key", "/assignments/0/space/key", "/indicator/spaces/0/key",
    }  # fmt: skip
    assert "no current space with the key DOCZ" in said["/includedSpaces/1/key"]
    assert house.get("/policies").json["includedSpaces"] == [{"key": "DOCS"}, {"key": "DOCZ"}]
    assert notices(named(house, listLargeSpaces=True)) == {}


def test_no_key_is_called_unknown_while_the_site_does_not_answer(house: House) -> None:
    house.site.faults.add(path="/api/v2/spaces", status=403)
    assert notices(named(house, excludedSpaces=[{"key": "OLDD"}])) == {}


def test_however_many_notices_there_are_the_headers_stay_small(house: House) -> None:
    rule = house.get("/policies").json["notificationSchemes"][0]["rules"][0]
    rules = [rule | {"id": f"rule-{number}", "cql": 'stewardStatus = "nowhere"'} for number in range(50)]
    schemes = [
        {"id": f"scheme-{number}", "name": f"Scheme {number}", "default": number == 0, "rules": rules}
        for number in range(10)
    ]
    answer = named(house, notificationSchemes=schemes)
    assert len(str(answer.headers)) < 4000
    said = answer.json["notices"]
    assert said[-1] == {"pointer": "", "detail": "and 200 more notices"}
    assert len(said) == 301


def test_the_notices_of_an_answer_are_no_part_of_the_document_that_is_put_back(house: House) -> None:
    answer = named(house, excludedSpaces=[{"key": "OLDD"}])
    assert answer.json["notices"]
    again = house.call("PUT", "/policies", json=answer.json, headers={"If-Match": answer.headers["ETag"]})
    assert again.status_code == 200
    assert "notices" not in house.get("/policies").json
    as_yaml = put(house, text_of(house), if_match=answer.headers["ETag"])
    assert as_yaml.status_code == 200
    assert "notices" not in as_yaml.text


def test_policies_that_are_put_unchanged_make_no_version(house: House) -> None:
    before = house.get("/policies")
    for _ in range(3):
        answer = named(house)
        assert answer.headers["ETag"] == before.headers["ETag"]
    assert len(house.get("/policies/versions").json["items"]) == 1


@pytest.mark.parametrize("until", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
def test_a_hold_until_the_end_of_the_calendar_is_refused_at_its_field(house: House, until: str) -> None:
    hold = house.call("POST", "/hold", json={"on": True, "until": until})
    assert (hold.status_code, hold.json["errors"][0]["pointer"]) == (422, "/until")
    before = house.get("/policies")
    schedules = before.json["schedules"] | {"hold": {"on": True, "reason": None, "until": until}}
    put = house.call(
        "PUT", "/policies", json=before.json | {"schedules": schedules}, headers={"If-Match": before.headers["ETag"]}
    )
    assert put.status_code == 422
    assert "/schedules/hold/until" in [error["pointer"] for error in put.json["errors"]]


@pytest.mark.parametrize("given", ["*", "x", "-1", "9" * 30])
def test_what_names_no_version_is_not_called_somebody_elses_change(house: House, given: str) -> None:
    answer = put(house, text_of(house), if_match=given)
    assert (answer.status_code, answer.json["type"]) == (412, "urn:content-steward:problem:policies-changed")
    assert answer.json["title"] == "This is not the current version of the policies"
    assert answer.json["detail"].startswith("If-Match names no version of the policies.")


def test_a_version_that_never_was_is_said_to_be_none(house: House) -> None:
    answer = put(house, text_of(house), if_match='"9999"')
    assert (answer.status_code, answer.json["currentVersion"]) == (412, 1)
    assert answer.json["detail"].startswith("The policies never had a version 9999: the current version is 1.")
