from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import requests
import responses

from addon.base import TenantGone, TenantId, Unreachable
from addon.confluence import Confluence, SiteClient, errors
from addon.confluence.content import Property
from tests.support.clock import VirtualClock

BASE = "https://one.atlassian.net/wiki"
V1, V2 = f"{BASE}/rest/api", f"{BASE}/api/v2"
TENANT = TenantId("0192f000-0000-7000-8000-000000000001")
PROPERTY = Property("5", "k", None, 2)
STORED = {"id": "5", "key": "k", "value": 1, "version": {"number": 3}}


@contextmanager
def running_clock(clock: VirtualClock) -> Iterator[None]:
    """Turn the clock a second at a time as long as somebody may be waiting on it."""
    done = threading.Event()

    def turn() -> None:
        while not done.wait(0.001):
            clock.advance(1)

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize(
    ("status", "kind", "transient"),
    [
        (400, errors.BadRequest, False),
        (403, errors.Forbidden, False),
        (404, errors.NotFound, False),
        (409, errors.Conflict, False),
        (410, errors.BadRequest, False),
        (413, errors.BadRequest, False),
        (414, errors.BadRequest, False),
        (429, errors.RateLimited, True),
        (500, errors.ServerError, True),
        (503, errors.ServerError, True),
        (302, errors.Redirected, False),
    ],
)
def test_each_answer_has_its_error(
    client: SiteClient, web: responses.RequestsMock, status: int, kind: type[errors.SiteError], transient: bool
) -> None:
    web.delete(f"{V2}/pages/1", status=status, json={"message": "Confluence's words"})
    with pytest.raises(kind) as caught:
        client.trash("page", "1")
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.transient) == (status, transient)


def test_a_redirect_is_not_followed_whatever_it_points_at(client: SiteClient, web: responses.RequestsMock) -> None:
    web.get(f"{V1}/settings/systemInfo", status=302, headers={"Location": "https://evil.example/steal"})
    web.get("https://evil.example/steal", json={"cloudId": "evil"})
    with pytest.raises(errors.Redirected):
        client.system_info()
    assert [call.request.url for call in web.calls] == [f"{V1}/settings/systemInfo"]


def test_rejected_cql_comes_with_confluences_explanation(client: SiteClient, web: responses.RequestsMock) -> None:
    message = "com.atlassian.confluence.api.service.exceptions.BadRequestException: Could not parse cql : x ="
    web.get(f"{V1}/content/search", status=400, json={"statusCode": 400, "message": message})
    with pytest.raises(errors.CqlRejected) as caught:
        list(client.search("x ="))
    assert caught.value.message == "Could not parse cql : x ="


def test_a_gateways_error_page_is_a_server_error_and_not_malformed(
    client: SiteClient, web: responses.RequestsMock
) -> None:
    web.get(f"{V1}/settings/systemInfo", status=502, body="<html>Bad Gateway</html>")
    with pytest.raises(errors.ServerError):
        client.system_info()


def test_reads_are_tried_three_times_and_each_time_signed_anew(
    client: SiteClient, web: responses.RequestsMock, guard: Any
) -> None:
    web.get(f"{V1}/settings/systemInfo", status=500)
    web.get(f"{V1}/settings/systemInfo", body=requests.ConnectionError("reset"))
    web.get(f"{V1}/settings/systemInfo", json={"cloudId": "c"})
    assert client.system_info().cloud_id == "c"
    assert [call.request.headers["Authorization"] for call in web.calls] == ["JWT v1-0", "JWT v1-1", "JWT v1-2"]
    assert (guard.calls, guard.points) == (3, 1 + 1 + 2)


def test_a_lasting_failure_ends_after_the_third_attempt(client: SiteClient, web: responses.RequestsMock) -> None:
    web.get(f"{V1}/settings/systemInfo", status=503)
    with pytest.raises(errors.ServerError):
        client.system_info()
    assert len(web.calls) == 3


def test_the_guard_is_asked_before_every_attempt_and_may_stop_them(
    client: SiteClient, web: responses.RequestsMock, guard: Any
) -> None:
    class Stop(Exception):
        pass

    def answer(_request: Any) -> tuple[int, dict[str, str], str]:
        guard.stop = Stop()
        return 500, {}, ""

    web.add_callback("GET", f"{V1}/settings/systemInfo", callback=answer)
    with pytest.raises(Stop):
        client.system_info()
    assert len(web.calls) == 1


def test_a_post_is_never_sent_twice(client: SiteClient, web: responses.RequestsMock) -> None:
    web.post(f"{V2}/pages/1/properties", status=500)
    web.post(f"{V1}/content/archive", body=requests.ReadTimeout("timed out"))
    web.delete(f"{V2}/pages/1", status=503)
    with pytest.raises(errors.ServerError):
        client.create_property("page", "1", "k", {})
    with pytest.raises(errors.Timeout):
        client.archive(["1"])
    with pytest.raises(errors.ServerError):
        client.trash("page", "1")
    assert len(web.calls) == 3


def test_a_versioned_put_may_be_repeated(client: SiteClient, web: responses.RequestsMock, guard: Any) -> None:
    web.put(f"{V2}/pages/1/properties/5", status=500)
    web.put(f"{V2}/pages/1/properties/5", json=STORED)
    assert client.update_property("page", "1", PROPERTY, 1).version == 3
    assert (guard.points, guard.writes) == (2, [True, True])


@pytest.mark.parametrize(
    "body", ["", "not json", "[]", "{}", '{"results": {}}', '{"results": [{"nothing": 1}]}', '{"results": [7]}', "null"]
)
def test_an_answer_that_is_not_what_was_promised_is_malformed(
    client: SiteClient, web: responses.RequestsMock, body: str
) -> None:
    web.get(f"{V2}/spaces", body=body)
    with pytest.raises(errors.Malformed):
        client.spaces()


def test_wrong_types_inside_an_answer_are_malformed_too(client: SiteClient, web: responses.RequestsMock) -> None:
    web.get(f"{V1}/content/search", json={"results": [{"id": "1", "type": "page", "version": {"number": "soon"}}]})
    with pytest.raises(errors.Malformed):
        list(client.search("type = page"))
    web.get(f"{V1}/search", json={"totalSize": "many"})
    with pytest.raises(errors.Malformed):
        client.count("type = page")


FAR = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"]
HUGE = [10**30, -1, 1e999, float("nan"), "9" * 5000, True, {}]


@pytest.mark.parametrize("value", HUGE)
def test_a_number_beyond_its_range_is_malformed_wherever_it_stands(
    client: SiteClient, web: responses.RequestsMock, value: Any
) -> None:
    number = json.dumps(value)
    web.get(f"{V1}/search", body=f'{{"totalSize": {number}}}')
    web.get(
        f"{V1}/content/search",
        body=f'{{"results": [{{"id": "1", "type": "page", "version": {{"number": {number}}}}}]}}',
    )
    web.get(f"{V2}/pages", body=f'{{"results": [{{"id": "1", "version": {{"number": {number}}}}}]}}')
    web.get(
        f"{V2}/pages/1/properties",
        body=f'{{"results": [{{"id": "5", "key": "k", "version": {{"number": {number}}}}}]}}',
    )
    task = f'{{"id": "t", "finished": true, "successful": true, "percentageComplete": {number}}}'
    web.get(f"{V1}/longtask/t", body=task)
    calls: list[Callable[[], object]] = [
        lambda: client.count("type = page"),
        lambda: list(client.search("type = page")),
        lambda: client.contents("page", ["1"]),
        lambda: client.property("page", "1", "k"),
        lambda: client.long_task("t"),
    ]
    for call in calls:
        with pytest.raises(errors.Malformed):
            call()


@pytest.mark.parametrize("value", [10**30, "x" * 200, "../1", "", "1 2", 1.5, {}, True])
def test_an_id_that_is_none_is_malformed_wherever_it_stands(
    client: SiteClient, web: responses.RequestsMock, value: Any
) -> None:
    web.get(f"{V2}/spaces", json={"results": [{"id": value, "key": "DOCS"}]})
    web.get(f"{V1}/content/search", json={"results": [{"id": value, "type": "page"}]})
    web.get(f"{V2}/pages", json={"results": [{"id": value}]})
    web.get(f"{V2}/pages/1/properties", json={"results": [{"id": value, "key": "k", "version": {"number": 1}}]})
    web.post(f"{V1}/content/archive", json={"id": value})
    web.post(f"{V2}/users-bulk", json={"results": [{"accountId": value}]})
    calls: list[Callable[[], object]] = [
        client.spaces,
        lambda: list(client.search("type = page")),
        lambda: client.contents("page", ["1"]),
        lambda: client.property("page", "1", "k"),
        lambda: client.archive(["1"]),
        lambda: client.users(["u1"]),
    ]
    for call in calls:
        with pytest.raises(errors.Malformed):
            call()


@pytest.mark.parametrize("text", FAR)
def test_times_at_the_ends_of_the_calendar_leave_room_for_sums(
    client: SiteClient, web: responses.RequestsMock, text: str
) -> None:
    row = {"id": "1", "createdAt": text, "version": {"number": 1, "createdAt": text}}
    web.get(f"{V2}/pages", json={"results": [row]})
    [content] = client.contents("page", ["1"])
    assert content.created_at is not None
    assert content.created_at - timedelta(days=60) < content.created_at < content.created_at + timedelta(days=60)


def test_an_answer_that_lacks_something_is_not_quoted_at_length(
    client: SiteClient, web: responses.RequestsMock
) -> None:
    web.get(f"{V2}/pages", json={"results": [{"id": "1", "version": {"number": "x" * 1_000_000}}]})
    with pytest.raises(errors.Malformed) as caught:
        client.contents("page", ["1"])
    assert len(str(caught.value)) < 400


def test_a_refused_signature_is_renewed_once(client: SiteClient, web: responses.RequestsMock, sites: Any) -> None:
    sites.renew(TENANT)
    web.get(f"{V1}/settings/systemInfo", status=401)
    web.get(f"{V1}/settings/systemInfo", json={"cloudId": "c"})
    web.get(f"{V1}/settings/systemInfo", json={"cloudId": "c"})
    assert client.system_info().cloud_id == "c"
    client.system_info()
    signatures = [call.request.headers["Authorization"] for call in web.calls]
    assert signatures == ["JWT v1-0", "JWT v2-0", "JWT v2-1"]
    assert len(sites.asked_stale) == 1


def test_a_site_that_refuses_every_signature_is_unreachable_after_two_calls(
    client: SiteClient, web: responses.RequestsMock, sites: Any
) -> None:
    sites.renew(TENANT)
    web.get(f"{V1}/settings/systemInfo", status=401)
    with pytest.raises(Unreachable):
        client.system_info()
    assert len(web.calls) == 2
    assert [site.secret_version for site in sites.asked_stale] == [1, 2]


def test_without_a_newer_secret_one_401_is_enough(client: SiteClient, web: responses.RequestsMock, sites: Any) -> None:
    web.post(f"{V1}/content/archive", status=401)
    with pytest.raises(Unreachable):
        client.archive(["1"])
    assert len(web.calls) == 1


def test_a_tenant_that_left_ends_the_work(
    client: SiteClient, confluence: Confluence, web: responses.RequestsMock, sites: Any
) -> None:
    del sites.current[TENANT]
    web.get(f"{V1}/settings/systemInfo", status=401)
    with pytest.raises(TenantGone):
        client.system_info()
    with pytest.raises(TenantGone):
        confluence.client(TENANT).__enter__()


def test_a_used_up_quota_closes_the_hour_for_everybody_until_it_turns(
    client: SiteClient, confluence: Confluence, make_confluence: Any, web: responses.RequestsMock, clock: VirtualClock
) -> None:
    url = f"{V1}/settings/systemInfo"
    headers = {"Retry-After": "600", "RateLimit-Reason": "confluence-quota-global-based"}
    web.get(url, status=429, headers=headers)
    with pytest.raises(errors.QuotaExhausted) as caught:
        client.system_info()
    reopened = clock.now() + timedelta(seconds=600)
    assert reopened <= caught.value.until < reopened + timedelta(seconds=600)
    other_process = make_confluence()
    other_tenant = TenantId("0192f000-0000-7000-8000-000000000002")
    with other_process.client(TENANT) as elsewhere, other_process.client(other_tenant) as neighbour:
        for blocked in (client, elsewhere, neighbour):
            with pytest.raises(errors.QuotaExhausted):
                blocked.system_info()
    assert len(web.calls) == 1
    clock.set(reopened)
    web.replace("GET", url, json={"cloudId": "c"})
    assert client.system_info().cloud_id == "c"


def test_a_tenants_own_quota_stops_only_that_tenant(
    client: SiteClient, confluence: Confluence, web: responses.RequestsMock
) -> None:
    headers = {"Retry-After": "600", "RateLimit-Reason": "confluence-quota-tenant-based"}
    web.get(f"{V1}/settings/systemInfo", status=429, headers=headers)
    web.get("https://two.atlassian.net/wiki/rest/api/settings/systemInfo", json={"cloudId": "two"})
    with pytest.raises(errors.QuotaExhausted):
        client.system_info()
    with confluence.client(TenantId("0192f000-0000-7000-8000-000000000002")) as other:
        assert other.system_info().cloud_id == "two"
