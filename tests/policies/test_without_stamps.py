"""On a site that keeps no stamps Confluence cannot find statuses: who asks for them is told at once."""

from __future__ import annotations

from typing import Any

import pytest

from addon.base import TenantId
from addon.confluence.cql import check_administrators_cql
from addon.policies.checks import check_texts
from addon.policies.defaults import shipped
from addon.policies.document import PolicyDocument


def check_cql(text: str, allow_aliases: bool) -> tuple[str, list[str]]:
    checked = check_administrators_cql(text, namespace="steward", allow_aliases=allow_aliases)
    return checked.cql, checked.notices


def checked(*, stamps: bool, enabled: bool, cql: str | None = None) -> tuple[list[str], list[str]]:
    data: dict[str, Any] = shipped("steward", TenantId("t"), switched_on=enabled).data()
    data["statusStamps"] = stamps
    if cql is not None:
        data["notificationSchemes"][0]["rules"][0]["cql"] = cql
    errors, notices = check_texts(data, PolicyDocument.read(data), check_cql, lambda *_parts: [])
    return [error.pointer for error in errors], [notice.pointer for notice in notices]


RULE = "/notificationSchemes/0/rules/0/cql"
AUTOMATION = "/automationSchemes/0/automations/0/cql"


def test_rules_that_are_on_and_ask_for_statuses_are_refused() -> None:
    assert checked(stamps=False, enabled=True) == ([RULE, AUTOMATION], [])


def test_rules_that_are_off_get_a_notice() -> None:
    assert checked(stamps=False, enabled=False) == ([], [RULE, AUTOMATION])


def test_review_dates_can_be_searched_without_stamps() -> None:
    assert checked(stamps=False, enabled=True, cql="stewardExpirationDate <= now()")[0] == [AUTOMATION]


@pytest.mark.parametrize("enabled", [True, False])
def test_with_stamps_every_rule_may_ask(enabled: bool) -> None:
    assert checked(stamps=True, enabled=enabled) == ([], [])
