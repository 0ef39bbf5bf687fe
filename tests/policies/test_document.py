"""A policies document is judged field by field, and every mistake is named by its JSON pointer."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from addon.base import TenantId
from addon.policies import Policies, PolicyDocument, shipped
from addon.policies.errors import MAX_ERRORS
from tests.support.answers import refused_with_problem
from tests.support.clock import VirtualClock

Change = Callable[[dict[str, Any]], object]


def _shipped() -> dict[str, Any]:
    return copy.deepcopy(shipped("steward", TenantId("t")).data())


def _errors(data: dict[str, Any]) -> dict[str, str]:
    with refused_with_problem() as refused:
        Policies(VirtualClock()).check(data)
    assert refused.value.status == 422
    assert refused.value.kind == "invalid-policies"
    return {error.pointer: error.detail for error in refused.value.errors}


def _rule(data: dict[str, Any]) -> dict[str, Any]:
    rule: dict[str, Any] = data["notificationSchemes"][0]["rules"][0]
    return rule


def _automation(data: dict[str, Any]) -> dict[str, Any]:
    automation: dict[str, Any] = data["automationSchemes"][0]["automations"][0]
    return automation


def _entries(data: dict[str, Any]) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = data["statusSchemes"][0]["entries"]
    return entries


RULE = "/notificationSchemes/0/rules/0"
AUTOMATION = "/automationSchemes/0/automations/0"
ENTRIES = "/statusSchemes/0/entries"

MISTAKES: list[tuple[str, Change, str]] = [
    ("a field nobody knows", lambda d: d.update(colour="red"), "/colour"),
    ("a Python name for a field", lambda d: d.update(excluded_spaces=[]), "/excluded_spaces"),
    ("a part left out", lambda d: d.pop("schedules"), "/schedules"),
    ("a list that is none", lambda d: d.update(statuses={"id": "x"}), "/statuses"),
    ("no status", lambda d: d.update(statuses=[]), "/statuses"),
    ("a status id that is no slug", lambda d: d["statuses"][0].update(id="Too Old"), "/statuses/0/id"),
    ("a status id that is too long", lambda d: d["statuses"][0].update(id="x" * 65), "/statuses/0/id"),
    ("a status id used twice", lambda d: d["statuses"].append(d["statuses"][0] | {"name": "X"}), "/statuses/3/id"),
    ("a status name used twice", lambda d: d["statuses"][1].update(name="EXPIRED"), "/statuses/1/name"),
    ("a status name of two lines", lambda d: d["statuses"][1].update(name="a\nb"), "/statuses/1/name"),
    ("a colour by name", lambda d: d["statuses"][0].update(colour="red"), "/statuses/0/colour"),
    ("an icon with markup", lambda d: d["statuses"][0].update(icon="<svg>"), "/statuses/0/icon"),
    ("a control character", lambda d: d["statuses"][0].update(name="a\x00b"), "/statuses/0/name"),
    ("half a character pair", lambda d: d["statuses"][0].update(name="a\ud800b"), "/statuses/0/name"),
    ("an unknown status in a scheme", lambda d: _entries(d)[0].update(status="gone"), ENTRIES + "/0/status"),
    (
        "a status twice in a scheme",
        lambda d: _entries(d)[0].update(status="not-updated"),
        ENTRIES + "/1/status",
    ),
    ("an early entry without CQL", lambda d: _entries(d)[0].pop("cql"), ENTRIES + "/0/cql"),
    ("an entry with blank CQL", lambda d: _entries(d)[0].update(cql="  "), ENTRIES + "/0/cql"),
    ("a last entry with CQL", lambda d: _entries(d)[2].update(cql="label = a"), ENTRIES + "/2/cql"),
    (
        "a last entry with an ancestor CQL",
        lambda d: _entries(d)[2].update(ancestorCql="label = a"),
        ENTRIES + "/2/ancestorCql",
    ),
    ("CQL that is too long", lambda d: _entries(d)[0].update(cql="x" * 2001), ENTRIES + "/0/cql"),
    ("a scheme without entries", lambda d: _entries(d).clear(), ENTRIES),
    ("no status scheme", lambda d: d.update(statusSchemes=[]), "/statusSchemes"),
    ("no default scheme", lambda d: d["statusSchemes"][0].update(default=False), "/statusSchemes"),
    (
        "two default schemes",
        lambda d: d["automationSchemes"].append(d["automationSchemes"][0] | {"id": "second"}),
        "/automationSchemes/1/default",
    ),
    (
        "a scheme id used twice",
        lambda d: d["notificationSchemes"].append(d["notificationSchemes"][0] | {"default": False}),
        "/notificationSchemes/1/id",
    ),
    ("a default that is no boolean", lambda d: d["statusSchemes"][0].update(default="yes"), "/statusSchemes/0/default"),
    ("an unknown template", lambda d: _rule(d).update(template="gone"), RULE + "/template"),
    ("a rule that mails nobody", lambda d: _rule(d).update(recipients=[]), RULE + "/recipients"),
    (
        "an unknown recipient",
        lambda d: _rule(d).update(recipients=["author", "everybody"]),
        RULE + "/recipients/1",
    ),
    (
        "a recipient with two ids",
        lambda d: _rule(d).update(recipients=[{"user": "a", "group": "b"}]),
        RULE + "/recipients/0",
    ),
    (
        "a recipient twice",
        lambda d: _rule(d).update(recipients=["author", "author"]),
        RULE + "/recipients/1",
    ),
    (
        "a content state that cannot be searched",
        lambda d: _rule(d).update(contentStates=["trashed"]),
        RULE + "/contentStates/0",
    ),
    (
        "a cron of four fields",
        lambda d: _rule(d)["schedule"].update(cron="0 8 * *"),
        RULE + "/schedule/cron",
    ),
    (
        "a cron with seconds",
        lambda d: _rule(d)["schedule"].update(cron="0 0 8 * * 1"),
        RULE + "/schedule/cron",
    ),
    (
        "a cron of a 61st minute",
        lambda d: _rule(d)["schedule"].update(cron="61 8 * * 1"),
        RULE + "/schedule/cron",
    ),
    (
        "a cron that never comes",
        lambda d: d["schedules"]["refreshStatuses"].update(cron="0 0 30 2 *"),
        "/schedules/refreshStatuses/cron",
    ),
    (
        "an unknown time zone",
        lambda d: _rule(d)["schedule"].update(timeZone="Mars/Olympus"),
        RULE + "/schedule/timeZone",
    ),
    (
        "the machine's own zone",
        lambda d: _rule(d)["schedule"].update(timeZone="localtime"),
        RULE + "/schedule/timeZone",
    ),
    (
        "a time zone that is a path",
        lambda d: d["schedules"]["refreshStatuses"].update(timeZone="../etc/passwd"),
        "/schedules/refreshStatuses/timeZone",
    ),
    ("a hold until some day", lambda d: d["schedules"]["hold"].update(until=17), "/schedules/hold/until"),
    (
        "a hold until a time without zone",
        lambda d: d["schedules"]["hold"].update(until="2026-12-01T08:00:00"),
        "/schedules/hold/until",
    ),
    ("an unknown action", lambda d: _automation(d)["action"].update(type="purge"), AUTOMATION + "/action/type"),
    ("a cap above the limit", lambda d: _automation(d)["action"].update(cap=501), AUTOMATION + "/action/cap"),
    ("a cap of nothing", lambda d: _automation(d)["action"].update(cap=0), AUTOMATION + "/action/cap"),
    (
        "an action with a field of another",
        lambda d: _automation(d)["action"].update(label="old"),
        AUTOMATION + "/action/label",
    ),
    ("a selector of nothing", lambda d: d["excludedSpaces"].append({}), "/excludedSpaces/4"),
    ("a selector of two sorts", lambda d: d["excludedSpaces"].append({"key": "A", "type": "b"}), "/excludedSpaces/4"),
    ("a selector twice", lambda d: d["excludedSpaces"].append({"type": "personal"}), "/excludedSpaces/4"),
    ("a space chosen twice", lambda d: d.update(includedSpaces=[{"key": "A"}, {"key": "A"}]), "/includedSpaces/1"),
    ("a space chosen by nothing", lambda d: d.update(includedSpaces=[{}]), "/includedSpaces/0"),
    (
        "an assignment of an unknown scheme",
        lambda d: d["assignments"].append({"space": {"key": "A"}, "automationScheme": "gone"}),
        "/assignments/0/automationScheme",
    ),
    (
        "an assignment of nothing to many",
        lambda d: d["assignments"].append({"space": {"keyPattern": "A*"}}),
        "/assignments/0",
    ),
    ("a version that is no number", lambda d: d.update(version="3"), "/version"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "pointer"), [case[1:] for case in MISTAKES], ids=[case[0] for case in MISTAKES])
def test_a_mistake_is_named_by_its_pointer(change: Change, pointer: str) -> None:
    data = _shipped()
    change(data)
    errors = _errors(data)
    assert list(errors) == [pointer]
    assert errors[pointer]
    assert not errors[pointer].startswith("Value error")


def test_what_is_removed_while_it_is_used_is_named_where_it_is_used() -> None:
    data = _shipped()
    data["assignments"] = [{"space": {"key": "A"}, "statusScheme": "last-update"}]
    data["statusSchemes"] = [each for each in data["statusSchemes"] if each["id"] != "last-update"]
    data["statuses"] = data["statuses"][1:]
    errors = _errors(data)
    assert list(errors) == [
        "/statusSchemes/0/entries/0/status", "/statusSchemes/1/entries/0/status", "/assignments/0/statusScheme",
    ]  # fmt: skip
    assert "no status expired: what is used here cannot be removed" in errors["/statusSchemes/0/entries/0/status"]
    assert "no scheme last-update" in errors["/assignments/0/statusScheme"]


def test_all_mistakes_are_named_at_once_but_no_more_than_a_person_reads() -> None:
    data = _shipped()
    data["statuses"] = [{"id": "NO", "name": "", "colour": "x", "description": 1} for _ in range(30)]
    with refused_with_problem() as refused:
        PolicyDocument.read(data)
    assert len(refused.value.errors) == MAX_ERRORS
    assert "120 fields" in refused.value.detail


def test_pointers_escape_what_json_pointers_escape() -> None:
    data = _shipped() | {"a/b~c": 1}
    assert list(_errors(data)) == ["/a~1b~0c"]


def test_the_shipped_document_survives_reading_and_writing() -> None:
    data = _shipped()
    document = PolicyDocument.read(data)
    assert document.data() == data
    assert Policies(VirtualClock()).check(data).document == document


def test_what_may_be_left_out_has_a_harmless_default() -> None:
    data = _shipped()
    for part in (_rule(data), _automation(data)):
        part.pop("enabled")
        part["schedule"].pop("timeZone")
    _automation(data)["action"] = {"type": "delete"}
    data["schedules"].pop("hold")
    for field in ("version", "assignments", "excludedSpaces"):
        data.pop(field)
    document = PolicyDocument.read(data)
    assert not any(spec.enabled for spec in document.schedule_specs() if spec.job_type != "refresh-statuses")
    assert not document.schedules.hold.on
    action = document.automation_schemes[0].automations[0].action
    assert (action.cap, action.whole_subtree) == (500, False)


def test_recipients_keep_the_form_they_were_written_in() -> None:
    data = _shipped()
    _rule(data)["recipients"] = ["author", {"user": "5b:1"}, "spaceAdmins", {"group": "editors"}]
    document = PolicyDocument.read(data)
    recipients = document.notification_schemes[0].rules[0].recipients
    assert [(r.kind, r.id) for r in recipients] == [
        ("author", None),
        ("user", "5b:1"),
        ("spaceAdmins", None),
        ("group", "editors"),
    ]
    assert document.data() == data


def test_every_schedule_is_handed_on_disabled_ones_too() -> None:
    data = _shipped()
    _rule(data)["enabled"] = True
    specs = {(spec.job_type, spec.rule_id): spec for spec in PolicyDocument.read(data).schedule_specs()}
    assert set(specs) == {
        ("refresh-statuses", ""),
        ("send-notifications", "reminders/expired-content"),
        ("execute-automations", "clean-up/archive-expired"),
    }
    assert specs["send-notifications", "reminders/expired-content"].enabled
    assert not specs["execute-automations", "clean-up/archive-expired"].enabled
    assert specs["execute-automations", "clean-up/archive-expired"].cron == "0 2 * * 0"
