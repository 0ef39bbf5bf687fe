"""Whatever document is accepted survives being exported and imported, as YAML and as JSON."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from addon.base import TenantId
from addon.policies import Policies, PolicyDocument, dump, parse, shipped
from tests.support.clock import VirtualClock

SHIPPED = shipped("steward", TenantId("t")).data()
POLICIES = Policies(VirtualClock())

SLUG = st.from_regex(r"[a-z0-9]{1,6}(-[a-z0-9]{1,5})?", fullmatch=True) | st.sampled_from(
    ["on", "no", "null", "true", "12", "0x1", "1e3", "2026-12-01"]
)
LINE = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30).filter(str.strip)
PROSE = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]) | st.sampled_from("\n\t\r:#'\"-|> "),
    min_size=1,
    max_size=60,
).filter(str.strip)
WORD = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1, max_size=12)
KEY = WORD.filter(lambda text: not set(text) & set('/?#"\\') and text.strip() and not any(map(str.isspace, text)))
COLOUR = st.from_regex(r"#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})", fullmatch=True)
ICON = KEY.filter(lambda text: not set(text) & set("<>\"'&\\/:"))
ZONE = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"])
CRON = st.fixed_dictionaries({"cron": st.sampled_from(["0 8 * * 1", "*/5 * * * *", "1 1 1 1 *"]), "timeZone": ZONE})
SELECTOR = st.one_of(
    st.fixed_dictionaries({"key": KEY}),
    st.fixed_dictionaries({"type": LINE}),
    st.fixed_dictionaries({"label": LINE}),
    st.fixed_dictionaries({"keyPattern": KEY}),
)
SELECTORS = st.lists(SELECTOR, max_size=4, unique_by=lambda each: next((k, v.strip()) for k, v in each.items()))


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Return a document that the checks accept, with awkward words in every place that takes words."""
    slugs = draw(st.lists(SLUG, min_size=1, max_size=4, unique=True))
    names = draw(
        st.lists(LINE, min_size=len(slugs), max_size=len(slugs), unique_by=lambda name: name.strip().casefold())
    )
    statuses = [
        {"id": slug, "name": name, "description": draw(PROSE), "colour": draw(COLOUR), "icon": draw(ICON)}
        for slug, name in zip(slugs, names, strict=True)
    ]
    schemes = [
        {
            "id": scheme,
            "name": draw(LINE),
            "description": draw(PROSE),
            "default": n == 0,
            "entries": draw(entries(slugs)),
        }
        for n, scheme in enumerate(draw(st.lists(SLUG, min_size=1, max_size=3, unique=True)))
    ]
    assignments = [
        {"space": selector, "statusScheme": draw(st.sampled_from(schemes))["id"]} for selector in draw(SELECTORS)
    ]
    rule = SHIPPED["notificationSchemes"][0]["rules"][0] | {"id": draw(SLUG), "name": draw(LINE), "cql": draw(PROSE)}
    recipients = st.sampled_from(["author", "spaceAdmins"]) | st.fixed_dictionaries({"user": KEY})
    rule |= {"recipients": [draw(recipients)], "schedule": draw(CRON), "enabled": draw(st.booleans())}
    template = {"id": "digest", "name": draw(LINE), "subject": draw(LINE), "text": draw(PROSE), "html": draw(PROSE)}
    hold = {
        "on": draw(st.booleans()),
        "reason": draw(LINE),
        "until": draw(st.sampled_from([None, "2026-12-01T08:00:00Z"])),
    }
    return SHIPPED | {
        "statuses": statuses,
        "statusSchemes": schemes,
        "templates": [template],
        "notificationSchemes": [SHIPPED["notificationSchemes"][0] | {"rules": [rule]}],
        "assignments": assignments,
        "excludedSpaces": draw(SELECTORS),
        "includedSpaces": draw(SELECTORS),
        "statusStamps": draw(st.booleans()),
        "indicator": {"on": draw(st.booleans()), "spaces": draw(SELECTORS)},
        "schedules": SHIPPED["schedules"] | {"hold": hold},
    }


def entries(slugs: list[str]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Return the entries of a scheme over some of the statuses, the last without CQL."""

    @st.composite
    def made(draw: st.DrawFn) -> list[dict[str, Any]]:
        used = draw(st.lists(st.sampled_from(slugs), min_size=1, max_size=len(slugs), unique=True))
        first = [{"status": slug, "cql": draw(PROSE), "ancestorCql": draw(st.none() | PROSE)} for slug in used[:-1]]
        return [*first, {"status": used[-1]}]

    return made()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents())
def test_an_accepted_document_is_the_same_after_export_and_import(data: dict[str, Any]) -> None:
    document = PolicyDocument.read(data)
    assert POLICIES.check(data).document == document
    for content_type in ("application/yaml", "application/json"):
        again = PolicyDocument.read(parse(dump(document, content_type), content_type))
        assert again == document
        assert POLICIES.check(again).document == document
        assert dump(again, content_type) == dump(document, content_type)
