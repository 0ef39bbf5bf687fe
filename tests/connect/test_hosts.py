"""Host patterns: what may be a tenant's site, and what only looks like one."""

from __future__ import annotations

import pytest

from addon.connect import AllowedHosts
from addon.connect.hosts import HostPattern

ATLASSIAN = AllowedHosts(("*.atlassian.net", "*.jira.com"))


@pytest.mark.parametrize(
    "url", ["https://one.atlassian.net/wiki", "https://a.b.jira.com", "https://ONE.ATLASSIAN.NET:443/wiki"]
)
def test_sites_of_atlassian_are_allowed(url: str) -> None:
    assert ATLASSIAN.allows(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://one.atlassian.net/wiki",
        "https://atlassian.net/wiki",
        "https://.atlassian.net/wiki",
        "https://evilatlassian.net/wiki",
        "https://one.atlassian.net.evil.com/wiki",
        "https://one.atlassian.net:8443/wiki",
        "https://one.atlassian.net@evil.com/wiki",
        "https://evil.com/.atlassian.net",
        "https://evil.com?.atlassian.net",
        "https://evil.com#.atlassian.net",
        "https://evil.com\\.atlassian.net",
        "https://one_two.atlassian.net/wiki",
        "https://-one.atlassian.net/wiki",
        "https://one.atlassian.net./wiki",
        "https://%6fne.atlassian.net/wiki",
        "https://öne.atlassian.net/wiki",
        "https://one.atlassian.net/wiki\t",
        "https://one.atlassian.net/./wiki",
        "https://[::1]/wiki",
        "//one.atlassian.net/wiki",
        "javascript:alert(1)",
        "",
    ],
)
def test_what_only_looks_like_a_site_is_not(url: str) -> None:
    assert not ATLASSIAN.allows(url)


def test_plain_http_is_for_this_machine_and_only_when_configured() -> None:
    sandbox = AllowedHosts(("http://127.0.0.1:*", "http://localhost:8080"))
    assert sandbox.allows("http://127.0.0.1:8123/wiki")
    assert sandbox.allows("http://localhost:8080/wiki")
    assert not sandbox.allows("http://localhost:8081/wiki")
    assert not sandbox.allows("https://127.0.0.1:8123/wiki")
    assert not sandbox.allows("http://127.0.0.1.evil.com:8123/wiki")
    assert not sandbox.allows("http://127.0.0.2:8123/wiki")


def test_an_entry_may_name_one_host_and_port() -> None:
    one = AllowedHosts(("wiki.example.org", "https://staging.example.org:8443"))
    assert one.allows("https://wiki.example.org/wiki")
    assert not one.allows("https://sub.wiki.example.org/wiki")
    assert one.allows("https://staging.example.org:8443/wiki")
    assert not one.allows("https://staging.example.org/wiki")


@pytest.mark.parametrize(
    "entry",
    [
        "*",
        "*.com",
        "http://*.example.org",
        "http://example.org",
        "ftp://a.b",
        "a b",
        "*.a.*",
        "https://a.b/wiki",
        "",
        "a.b:x",
    ],
)
def test_a_careless_entry_stops_the_start(entry: str) -> None:
    with pytest.raises(ValueError):
        AllowedHosts((entry,))


@pytest.mark.parametrize(
    ("entry", "source"),
    [
        ("*.atlassian.net", "https://*.atlassian.net"),
        ("http://127.0.0.1:*", "http://127.0.0.1:*"),
        ("https://a.example.org:8443", "https://a.example.org:8443"),
        ("a.example.org:443", "https://a.example.org"),
    ],
)
def test_entries_as_sources_of_a_content_security_policy(entry: str, source: str) -> None:
    assert HostPattern.parse(entry).csp_source == source
