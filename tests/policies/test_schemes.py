"""Which scheme a space has and whether it is excluded: the first selector that matches wins."""

from __future__ import annotations

from typing import Any

import pytest

from addon.base import Space, TenantId
from addon.policies import PolicyDocument, Selector, shipped
from addon.policies.schemes import matches

DOCS = Space("1", "DOCS", "Docs", "global", labels=frozenset({"handbook"}))
HOME = Space("2", "~5b10", "Ada's space", "personal")
OTHER_HOME = Space("3", "~5b11", "Bob's space", "personal")


def _document(**changes: Any) -> PolicyDocument:
    data = shipped("steward", TenantId("t")).data()
    data["statusSchemes"].append(data["statusSchemes"][0] | {"id": "strict", "default": False})
    data["automationSchemes"].append(data["automationSchemes"][0] | {"id": "gentle", "default": False})
    return PolicyDocument.read(data | changes)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({"key": "docs"}, True),
        ({"key": "DOC"}, False),
        ({"type": "global"}, True),
        ({"type": "personal"}, False),
        ({"label": "Handbook"}, True),
        ({"label": "hand"}, False),
        ({"keyPattern": "D*"}, True),
        ({"keyPattern": "D?CS"}, True),
        ({"keyPattern": "*"}, True),
        ({"keyPattern": "D"}, False),
        ({"keyPattern": "?OC"}, False),
        ({"keyPattern": "[D]OCS"}, False),
    ],
)
def test_a_selector_selects_by_exactly_what_it_names(selector: dict[str, str], expected: bool) -> None:
    assert matches(Selector.model_validate(selector), DOCS) is expected


def test_a_pattern_of_many_stars_answers_at_once() -> None:
    space = Space("9", "A" * 200, "Long", "global")
    assert not matches(Selector(key_pattern="*A" * 60 + "B"), space)


def test_without_an_assignment_the_default_schemes_hold() -> None:
    document = _document()
    assert document.status_scheme(DOCS).id == "freshness"
    assert document.notification_scheme(DOCS).id == "reminders"
    scheme = document.automation_scheme(DOCS)
    assert scheme is not None
    assert scheme.id == "clean-up"


def test_the_first_assignment_that_names_a_scheme_of_the_sort_wins() -> None:
    document = _document(
        assignments=[
            {"space": {"label": "handbook"}, "automationScheme": "gentle"},
            {"space": {"key": "DOCS"}, "statusScheme": "strict", "automationScheme": "clean-up"},
            {"space": {"keyPattern": "*"}, "statusScheme": "freshness"},
        ]
    )
    assert document.status_scheme(DOCS).id == "strict"
    scheme = document.automation_scheme(DOCS)
    assert scheme is not None
    assert scheme.id == "gentle"
    assert document.status_scheme(HOME).id == "freshness"


def test_personal_spaces_have_automations_only_when_named_one_by_one() -> None:
    document = _document(
        assignments=[
            {"space": {"type": "personal"}, "automationScheme": "gentle"},
            {"space": {"keyPattern": "~*"}, "automationScheme": "gentle"},
            {"space": {"key": "~5B10"}, "automationScheme": "gentle"},
        ],
        excludedSpaces=[],
    )
    assert document.automation_scheme(OTHER_HOME) is None
    scheme = document.automation_scheme(HOME)
    assert scheme is not None
    assert scheme.id == "gentle"


@pytest.mark.parametrize(
    ("type_", "reason"),
    [
        ("personal", "excluded by rule: personal spaces"),
        ("system", "excluded by rule: system spaces"),
        ("onboarding", "excluded by rule: onboarding spaces"),
        ("xflow_sample_space", "excluded by rule: sample spaces"),
        ("global", None),
        ("collaboration", None),
        ("knowledge_base", None),
    ],
)
def test_what_is_excluded_at_first_says_why(type_: str, reason: str | None) -> None:
    assert _document().exclusion(Space("1", "X", "X", type_)) == reason


def test_other_exclusions_say_why_too() -> None:
    document = _document(excludedSpaces=[{"key": "DOCS"}, {"label": "old"}, {"keyPattern": "ARCH*"}, {"type": "team"}])
    assert document.exclusion(DOCS) == "excluded by rule: space DOCS"
    old = Space("1", "A", "A", "global", labels=frozenset({"old"}))
    assert document.exclusion(old) == "excluded by rule: spaces labelled old"
    plain: frozenset[str] = frozenset()
    arch, team = Space("1", "ARCH1", "A", "global", labels=plain), Space("1", "T", "T", "team", labels=plain)
    assert document.exclusion(arch) == "excluded by rule: spaces whose key fits ARCH*"
    assert document.exclusion(team) == "excluded by rule: spaces of the type team"


def test_nothing_is_decided_by_labels_of_a_space_whose_labels_were_not_asked_for() -> None:
    unasked = Space("1", "A", "A", "global")
    with pytest.raises(ValueError, match="labels"):
        _document(excludedSpaces=[{"label": "old"}]).exclusion(unasked)
    scheme = [{"space": {"label": "old"}, "automationScheme": "gentle"}]
    document = _document(assignments=[{"space": {"key": "A"}, "statusScheme": "strict"}, *scheme])
    assert document.status_scheme(unasked).id == "strict"
    with pytest.raises(ValueError, match="labels"):
        document.automation_scheme(unasked)


def test_naming_one_personal_space_lets_it_in_but_lifts_no_other_exclusion() -> None:
    assignments = [{"space": {"key": "~5b10"}}, {"space": {"key": "DOCS"}, "statusScheme": "strict"}]
    document = _document(assignments=assignments)
    assert document.exclusion(HOME) is None
    assert document.exclusion(OTHER_HOME) == "excluded by rule: personal spaces"
    document = _document(assignments=assignments, excludedSpaces=[{"type": "personal"}, {"keyPattern": "~*"}])
    assert document.exclusion(HOME) == "excluded by rule: spaces whose key fits ~*"
    for selector in ({"key": "DOCS"}, {"label": "handbook"}, {"keyPattern": "D*"}):
        assert _document(assignments=assignments, excludedSpaces=[selector]).exclusion(DOCS) is not None


def test_only_chosen_spaces_take_part_and_all_do_when_none_is_chosen() -> None:
    chosen = _document(includedSpaces=[{"key": "docs"}, {"keyPattern": "T*"}, {"label": "live"}])
    plain: frozenset[str] = frozenset()
    assert chosen.exclusion(DOCS) is None
    assert chosen.exclusion(Space("4", "TEAM", "Team", "global", labels=plain)) is None
    assert chosen.exclusion(Space("5", "X", "X", "global", labels=frozenset({"live"}))) is None
    later = Space("6", "LATER", "Later", "global", labels=plain)
    assert chosen.exclusion(later) == "not included: only the spaces chosen in the policies take part"
    assert _document(includedSpaces=[]).exclusion(later) is None


def test_to_be_chosen_lifts_no_exclusion() -> None:
    document = _document(includedSpaces=[{"key": "~5b10"}, {"key": "DOCS"}], excludedSpaces=[{"type": "personal"}])
    assert document.exclusion(HOME) == "excluded by rule: personal spaces"
    assert document.exclusion(DOCS) is None
