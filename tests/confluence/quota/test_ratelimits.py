from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from requests.structures import CaseInsensitiveDict

from addon.confluence.quota.ratelimits import RateLimit, rate_limit, retry_after

NOW = datetime(2026, 11, 22, 12, 20, tzinfo=UTC)
TURN = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)


def judged(status: int, **headers: str) -> RateLimit | None:
    return rate_limit(
        status, CaseInsensitiveDict({name.replace("_", "-"): value for name, value in headers.items()}), NOW
    )


@pytest.mark.parametrize(
    ("reason", "scope"),
    [
        ("confluence-quota-global-based", "pool"),
        ("confluence-quota-tenant-based", "tenant"),
        ("conf-global-based", "pool"),
        ("conf-tenant-based", "tenant"),
        ("confluence-burst-based", "burst"),
        ("confluence-global-burst-based", "burst"),
    ],
)
def test_reasons_are_matched_loosely_with_and_without_beta(reason: str, scope: str) -> None:
    for spelled in ("RateLimit_Reason", "Beta_RateLimit_Reason"):
        found = judged(429, **{spelled: reason, "Retry_After": "30"})
        assert found is not None
        assert (found.scope, found.until) == (scope, NOW + timedelta(seconds=30))


def test_a_quota_without_times_lasts_until_the_hour_turns() -> None:
    found = judged(429, RateLimit_Reason="confluence-quota-global-based")
    assert found is not None
    assert found.until == TURN


def test_a_gateways_429_uses_the_reset_and_counts_as_this_sites_quota() -> None:
    found = judged(429, X_Failure_Category="FAILURE CLIENT RATE LIMITED", X_RateLimit_Reset="2026-11-22T12:45Z")
    assert found is not None
    assert (found.scope, found.until) == ("tenant", NOW + timedelta(minutes=25))


def test_a_429_that_says_nothing_is_a_short_burst() -> None:
    found = judged(429)
    assert found is not None
    assert (found.scope, found.until - NOW) == ("burst", timedelta(seconds=5))


def test_a_429_with_points_left_is_a_burst_whenever_the_hour_turns() -> None:
    found = judged(429, X_RateLimit_Limit="65000", X_RateLimit_Remaining="64000", X_RateLimit_Reset="2026-11-22T13:00Z")
    assert found is not None
    assert found.scope == "burst"


@pytest.mark.parametrize(
    "number", ["99999999999999", "18446744073709551615", "9" * 5000, "Fri, 31 Dec 9999 23:59:59 GMT"]
)
def test_no_number_is_too_long_to_be_read(number: str) -> None:
    assert retry_after({"Retry-After": number}, NOW) == 7200
    for reason in ("confluence-quota-global-based", "burst", ""):
        found = judged(429, RateLimit_Reason=reason, Retry_After=number)
        assert found is not None
        assert found.until == NOW + timedelta(hours=2)
    assert rate_limit(200, CaseInsensitiveDict({"RateLimit": f'"global-app-quota";r={number}'}), NOW) is None
    assert judged(200, X_RateLimit_Limit=number, X_RateLimit_Remaining=number) is None


@pytest.mark.parametrize("date", ["Sun, 22 Nov 99999999999999 12:20:30 GMT", "Sun, 22 Nov -1 12:20 GMT", "0", "٣"])
def test_a_date_that_is_none_is_no_answer_or_none_to_wait_for(date: str) -> None:
    assert retry_after({"Retry-After": date}, NOW) in (None, 0)


def test_nonsense_never_closes_for_longer_than_two_hours() -> None:
    found = judged(429, RateLimit_Reason="quota", Retry_After="99999999")
    assert found is not None
    assert found.until == NOW + timedelta(hours=2)
    for nonsense in ("soon", "-5", ""):
        assert judged(429, RateLimit_Reason="confluence-quota-tenant-based", Retry_After=nonsense) is not None


@pytest.mark.parametrize(
    "headers",
    [
        {"RateLimit": '"global-app-quota";r=0;t=1200'},
        {"Beta-RateLimit": '"burst";r=5,"global-app-quota";r=0;t=1200'},
        {
            "X-RateLimit-Limit": "65000",
            "X-RateLimit-Remaining": "0",
            "RateLimit-Policy": '"global-app-quota";q=65000;w=3600',
        },
    ],
)
def test_an_answer_that_used_the_last_point_closes_the_hour(headers: dict[str, str]) -> None:
    found = rate_limit(200, CaseInsensitiveDict(headers), NOW)
    assert found is not None
    assert (found.scope, found.until) == ("pool", TURN)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"RateLimit": '"global-app-quota";r=12;t=1200'},
        {"RateLimit": '"global-app-quota";t=1200'},
        {"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "0"},
        {"X-RateLimit-Limit": "many", "X-RateLimit-Remaining": "0"},
    ],
)
def test_answers_with_points_left_close_nothing(headers: dict[str, str]) -> None:
    assert rate_limit(200, CaseInsensitiveDict(headers), NOW) is None


def test_retry_after_is_a_number_or_a_date() -> None:
    assert retry_after({"Retry-After": "1847"}, NOW) == 1847
    assert retry_after({"Retry-After": "Sun, 22 Nov 2026 12:20:30 GMT"}, NOW) == 30
    assert retry_after({"Retry-After": "Sun, 22 Nov 2026 12:00:00 GMT"}, NOW) == 0
    assert retry_after({"Retry-After": "whenever"}, NOW) is None
    assert retry_after({}, NOW) is None
