from __future__ import annotations

import pytest

from addon.confluence.cql.checks import CqlRefused, check_administrators_cql


def checked(text: str, *, allow_aliases: bool = False) -> str:
    return check_administrators_cql(text, namespace="steward", allow_aliases=allow_aliases).cql


def test_an_order_is_taken_out_and_said_so() -> None:
    result = check_administrators_cql("label = x order by created desc", namespace="steward", allow_aliases=False)
    assert result.cql == "label = x"
    assert len(result.notices) == 1
    assert "ORDER BY" in result.notices[0]


def test_mixed_operators_come_back_in_parentheses_as_confluence_reads_them() -> None:
    assert checked("label = a or label = b and label = c") == "(label = a or label = b) and label = c"


def test_a_leading_negation_is_fine_in_our_combinations() -> None:
    assert checked("label != keep") == "label != keep"
    assert checked("not label = keep") == "not (label = keep)"


@pytest.mark.parametrize(
    "text",
    [
        "creator = currentUser()",
        "space = currentSpace()",
        "ancestor = currentContent()",
        "space in favouriteSpaces()",
        "id in recentlyViewedContent(10)",
        "label = x and (space in RECENTLYVIEWEDSPACES() or label = y)",
        "watcher = u-1",
        "favourite = u-1",
    ],
)
def test_what_depends_on_who_asks_is_refused(text: str) -> None:
    with pytest.raises(CqlRefused, match="who asks"):
        checked(text)


@pytest.mark.parametrize(
    "text",
    [
        'stewardStatus = "expired"',
        'STEWARDSTATUSNAME ~ "x"',
        "label = x or stewardPreviousStatus = y",
        "stewardStatusChangedOn < now(-7d)",
        "content.property[steward-status].id = expired",
    ],
)
def test_a_status_cannot_depend_on_the_status_but_rules_may(text: str) -> None:
    with pytest.raises(CqlRefused, match="status"):
        checked(text)
    assert checked(text, allow_aliases=True)


def test_peoples_own_review_dates_and_other_apps_properties_may_be_used() -> None:
    assert checked('stewardExpirationDate <= now() or lastmodified < now("-24M")')
    assert checked("otherStatus = expired")


@pytest.mark.parametrize(("text", "position"), [("", 0), ("label =", 7), ("order by created", 0)])
def test_what_is_no_condition_is_refused_with_its_place(text: str, position: int) -> None:
    with pytest.raises(CqlRefused) as caught:
        checked(text)
    assert caught.value.position == position
    assert caught.value.reason


def test_what_a_negation_of_another_apps_field_means_is_said_and_so_is_one_that_cannot_be_taken_apart() -> None:
    def notices(cql: str) -> list[str]:
        return check_administrators_cql(cql, namespace="steward", allow_aliases=True).notices

    assert notices("type != PAGE and label != x and not (stewardExpirationDate > now())") == []
    [said] = notices('not (otherAppRank = "high" or label = x)')
    assert "otherAppRank" in said
    assert notices("otherAppRank = high") == []
    tangled = " and ".join(f'(title = "{n}" or not label = l{n})' for n in range(6))
    [said] = notices(tangled)
    assert "one by one" in said
