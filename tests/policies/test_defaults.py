"""What a new site starts with: useful, spread over the day, and harmless until somebody decides."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from cronsim import CronSim

from addon.base import TenantId, new_id
from addon.confluence.cql import check_administrators_cql
from addon.mail import Renderer
from addon.policies import Policies, refresh_cron, shipped
from tests.support.clock import VirtualClock

TENANT = TenantId("0192f0c1-2222-7000-8000-000000000001")


def test_the_shipped_document_passes_every_check_there_is() -> None:
    def check_cql(text: str, allow_aliases: bool) -> tuple[str, list[str]]:
        checked = check_administrators_cql(text, namespace="steward", allow_aliases=allow_aliases)
        return checked.cql, list(checked.notices)

    policies = Policies(VirtualClock(), check_cql=check_cql, check_templates=Renderer().check)
    for document in (shipped("steward", TENANT), shipped("steward", TENANT, hold=False, switched_on=True)):
        checked = policies.check(document)
        assert checked.notices == ()
        assert checked.document == document


def test_nothing_mails_or_acts_until_somebody_switches_it_on() -> None:
    specs = shipped("steward", TENANT).schedule_specs()
    assert [spec.job_type for spec in specs if spec.enabled] == ["refresh-statuses"]
    assert shipped("steward", TENANT).schedules.hold.on
    assert shipped("steward", TENANT).schedules.hold.reason
    assert all(spec.enabled for spec in shipped("steward", TENANT, switched_on=True).schedule_specs())
    assert not shipped("steward", TENANT, hold=False).schedules.hold.on


def test_a_refresh_comes_every_six_hours_at_a_minute_of_10_to_35_that_never_moves() -> None:
    assert refresh_cron(TENANT) == refresh_cron(TENANT)
    for _ in range(50):
        fires = CronSim(refresh_cron(TenantId(new_id())), datetime(2026, 1, 1, tzinfo=UTC))
        times = [next(fires) for _ in range(9)]
        assert {later - earlier for earlier, later in pairwise(times)} == {timedelta(hours=6)}
        assert all(10 <= time.minute <= 35 for time in times)
        assert times[0].hour < 6


def test_the_refreshes_of_many_sites_are_spread_over_the_hours_and_minutes() -> None:
    crons = Counter(refresh_cron(TenantId(f"tenant-{number}")) for number in range(1560))
    assert len(crons) == 6 * 26
    assert max(crons.values()) < 40


@pytest.mark.parametrize("namespace", ["steward", "acme"])
def test_every_alias_carries_the_namespace(namespace: str) -> None:
    document = shipped(namespace, TENANT)
    expired, not_updated, default = document.status_schemes[0].entries
    assert expired.cql is not None
    assert f"{namespace}ExpirationDate <= now()" in expired.cql
    assert f"{namespace}ReviewedOn" in (not_updated.cql or "")
    assert default.cql is None
    assert document.status_schemes[0].default_status == "up-to-date"
    assert document.notification_schemes[0].rules[0].cql == f'{namespace}Status = "expired"'
    assert document.automation_schemes[0].automations[0].cql.startswith(f'{namespace}Status = "expired" AND ')


def test_three_status_schemes_ship_and_the_default_looks_at_date_and_update() -> None:
    document = shipped("steward", TENANT)
    by_id = {scheme.id: scheme for scheme in document.status_schemes}
    assert list(by_id) == ["freshness", "last-update", "expiry-date"]
    assert [scheme.id for scheme in document.status_schemes if scheme.default] == ["freshness"]
    assert [entry.status for entry in by_id["freshness"].entries] == ["expired", "not-updated", "up-to-date"]
    assert all(scheme.description for scheme in document.status_schemes)

    def cql_of(scheme: str) -> str:
        return " ".join(entry.cql or "" for entry in by_id[scheme].entries)

    assert "ExpirationDate" not in cql_of("last-update")
    assert "lastmodified" in cql_of("last-update")
    assert cql_of("expiry-date").strip() == "stewardExpirationDate <= now()"


def test_the_zone_is_that_of_rule_and_automation_while_the_refresh_is_spread_in_utc() -> None:
    zones = {
        spec.job_type: spec.time_zone for spec in shipped("steward", TENANT, time_zone="Europe/Oslo").schedule_specs()
    }
    assert zones == {
        "refresh-statuses": "UTC",
        "send-notifications": "Europe/Oslo",
        "execute-automations": "Europe/Oslo",
    }
