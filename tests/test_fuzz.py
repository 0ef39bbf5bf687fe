"""Whatever is sent to whichever route: no server error, the security headers always, every error a problem document.

CI sends the same cases every time; STEWARD_FUZZ multiplies them and takes new ones (`make fuzz`).
"""

from __future__ import annotations

import http.client
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from addon.connect.route_access import audience_of
from addon.sandbox.auth import query_hash
from addon.screens.api.blueprint import all_operations
from tests.support.answers import assert_problem, assert_secure
from tests.support.clock import VirtualClock
from tests.support.house import House, house_over
from tests.support.site import small_site

TIMES = int(os.environ.get("STEWARD_FUZZ", "1"))
OPERATIONS = [f"{declared.method} {declared.path}" for declared in all_operations()]
INPUTLESS = {
    f"{each.method} {each.path}"
    for each in all_operations()
    if not (each.query or each.body or each.raw or "{execution_id}" in each.path)
}
MODES = [(label, mode) for label in OPERATIONS for mode in GenerationMode if mode.is_positive or label not in INPUTLESS]
"""What takes no input cannot be asked wrongly."""
pytestmark = [pytest.mark.timeout(120 * TIMES), pytest.mark.filterwarnings("default::Warning:schemathesis")]


def cases(number: int) -> settings:
    return settings(
        max_examples=number * TIMES,
        derandomize=TIMES == 1,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
    )


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    clock = VirtualClock()
    with house_over(small_site(clock), clock, tmp_path_factory.mktemp("fuzz")) as made:
        yield made


@pytest.fixture(scope="module")
def described(house: House) -> dict[str, Any]:
    document: dict[str, Any] = requests.get(f"{house.url}/api/openapi.json", timeout=10).json()
    return document


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.trust_env = False
        yield made


@pytest.fixture(scope="module")
def finished(house: House) -> str:
    return str(house.run("refresh-statuses")["id"])


def operation(described: dict[str, Any], label: str) -> Any:
    # The tests say who calls: schemathesis would make up tokens of its own from this.
    open_to_all = {name: part for name, part in described.items() if name != "security"}
    for found in schemathesis.openapi.from_dict(open_to_all).get_all_operations():
        described_one: Any = found
        if described_one.ok().label == label:
            return described_one.ok()
    raise AssertionError(f"{label} is not described")


def test_every_route_of_the_api_is_described(house: House, described: dict[str, Any]) -> None:
    told = {f"{method.upper()} {path}" for path, item in described["paths"].items() for method in item}
    assert told == set(OPERATIONS)
    routes = {
        f"{method} {route.rule.removeprefix('/api').replace('<', '{').replace('>', '}')}"
        for route in house.app.url_map.iter_rules()
        if audience_of(house.app, route.endpoint) == "api"
        for method in (route.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert routes == told


def check(case: Any, response: Any) -> None:
    where = f"{case.method} {response.request.url} {str(response.request.body)[:300]}"
    headers = requests.structures.CaseInsensitiveDict({name: ", ".join(v) for name, v in response.headers.items()})
    assert response.status_code < 500, f"{where}: {response.status_code} {response.text[:300]}"
    assert_secure(response.status_code, headers, where=where)
    if response.status_code >= 400:
        assert_problem(response.status_code, headers, response.content, where=where)


@pytest.mark.parametrize(("label", "mode"), MODES, ids=[f"{label} {mode.value}" for label, mode in MODES])
def test_an_administrators_calls_never_break_the_api(
    house: House, described: dict[str, Any], session: requests.Session, finished: str, label: str, mode: GenerationMode
) -> None:
    """Half of the calls about an execution or a content are about one that exists; PUT names the current version."""
    wanted = operation(described, label)
    strategy = wanted.as_strategy(generation_mode=mode)
    if "{execution_id}" in label:
        strategy = strategy | wanted.as_strategy(generation_mode=mode, path_parameters={"execution_id": finished})
    if "{content_id}" in label:
        known = next(page.id for page in house.site.contents() if page.title == "Runbook")
        strategy = strategy | wanted.as_strategy(generation_mode=mode, path_parameters={"content_id": known})
    version = house.api("GET", "/api/policies").headers["ETag"] if label.startswith("PUT") else '"1"'

    @cases(40)
    @given(strategy)
    def call(case: Any) -> None:
        headers = {"Authorization": f"JWT {house.site.host.context_token('u-admin')}"}
        if mode is GenerationMode.POSITIVE:
            headers["If-Match"] = version
        response = case.call(base_url=f"{house.url}/api", session=session, headers=headers)
        check(case, response)
        assert response.status_code != 401, response.text
        if response.status_code < 300:
            case.validate_response(response, checks=[schemathesis.checks.response_schema_conformance])

    call()


@pytest.mark.parametrize("label", OPERATIONS)
def test_without_a_token_every_call_is_refused(
    house: House, described: dict[str, Any], session: requests.Session, label: str
) -> None:
    wanted = operation(described, label)
    strategy = wanted.as_strategy() | wanted.as_strategy(generation_mode=GenerationMode.NEGATIVE)

    @cases(12)
    @given(strategy)
    def call(case: Any) -> None:
        response = case.call(base_url=f"{house.url}/api", session=session)
        check(case, response)
        assert response.status_code == 401, f"{case.method} {response.request.url}"

    call()


ANY_TEXT = st.text(st.characters(max_codepoint=0x2FF, exclude_categories=["Cs"]), max_size=12)
ANY_JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=5,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from _places(each, (*path, key))


def _replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copied = value.copy()
    copied[path[0]] = _replaced(value[path[0]], path[1:], new)
    return copied


def test_policies_with_anything_in_any_place_never_break_the_api(house: House, session: requests.Session) -> None:
    current = house.api("GET", "/api/policies")
    document = current.json()

    @cases(100)
    @given(st.sampled_from(sorted(_places(document), key=str)), ANY_JSON, st.sampled_from(["json", "yaml"]))
    def put(place: tuple[Any, ...], value: Any, kind: str) -> None:
        answer = session.put(
            f"{house.url}/api/policies",
            data=json.dumps(_replaced(document, place, value)).encode(),
            headers={
                "Authorization": f"JWT {house.site.host.context_token('u-admin')}",
                "Content-Type": f"application/{kind}",
                "If-Match": current.headers["ETag"],
            },
            timeout=30,
        )
        assert answer.status_code in (200, 400, 412, 422), f"{place} {value!r}: {answer.status_code} {answer.text}"
        assert_secure(answer.status_code, answer.headers)
        if answer.status_code >= 400:
            assert_problem(answer.status_code, answer.headers, answer.content)

    put()


METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "get")
PIECES = st.lists(
    st.sampled_from(
        [*"ab01-_~.;:,@&=+$!'()*[]|\\^`{}<>\"", "/", "//", "%2F", "%00", "%", "%zz", "%ff", "%C3%A4", ".."]
    ),
    max_size=6,
).map("".join)
PARAMETERS = st.lists(
    st.tuples(st.sampled_from(["spaceKey", "jwt", "version", "cursor", "lic", "xdm_e", "", "a"]), PIECES), max_size=4
).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs))
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "Accept",
            "Content-Type",
            "Content-Encoding",
            "X-Forwarded-Host",
            "X-HTTP-Method-Override",
            "Origin",
            "Range",
            "Cookie",
            "If-None-Match",
            "If-Modified-Since",
            "Accept-Language",
            "Forwarded",
            "Referer",
            "User-Agent",
        ]
    ),
    st.sampled_from(["", "*/*", "text/html", "application/json", "a/b;q=x", "gzip", "bytes=0-0", "bytes=9-1", "\xff"])
    | ANY_TEXT.map(lambda text: "".join(c for c in text if c.isprintable() and ord(c) < 256)),
    max_size=3,
)
BODIES = (
    st.just(b"")
    | st.binary(max_size=40)
    | ANY_JSON.map(lambda value: json.dumps(value).encode())
    | st.sampled_from(
        [b"{" * 3000, b"[" * 100_000, b"a" * 70_000, b"\xff\xfe", b'{"key": 1' + b"0" * 5000 + b"}", b'"\\ud800"']
    )
)
SIGNED = st.sampled_from(["right", "right", "right", "none", "context", "garbage", "lifecycle"])


class Raw:
    """Sends requests exactly as they are written, signed as the host would sign them."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.netloc = urlsplit(house.url).netloc
        self.seen: Counter[int] = Counter()
        self.signers: dict[str, Callable[[str, str, str], str | None]] = {
            "page": self._bound,
            "host": self._bound,
            "api": self._context,
            "context": self._context,
            "install": self._lifecycle,
            "lifecycle": self._lifecycle,
            "garbage": lambda *_: "a.b.c",
            "none": lambda *_: None,
            "public": lambda *_: None,
        }

    def _bound(self, method: str, path: str, query: str) -> str:
        host = self.house.site.host
        return host.token(host.addon(), method, path, query, "u-admin")

    def _context(self, *_: str) -> str:
        return self.house.site.host.context_token("u-admin")

    def _lifecycle(self, method: str, path: str, query: str) -> str:
        host, now = self.house.site.host, int(self.house.clock.now().timestamp())
        claims = {"iss": "fuzz", "aud": [self.house.url], "iat": now, "exp": now + 900}
        claims["qsh"] = query_hash(method, path, query)
        return jwt.encode(claims, host._private_key, "RS256", headers={"kid": host.kid})

    def send(self, kind: str, method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> int:
        token = self.signers[kind](method.upper(), path, query)
        where = f"{kind} {method} {path}?{query} {headers} {body[:200]!r}"
        with closing(http.client.HTTPConnection(self.netloc, timeout=30)) as connection:
            connection.putrequest(method, f"{path}?{query}" if query else path, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value.encode("latin-1"))
            if token is not None:
                connection.putheader("Authorization", f"JWT {token}")
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            content = answer.read()
        self.seen[answer.status] += 1
        found = requests.structures.CaseInsensitiveDict(answer.getheaders())
        # Nothing ticks here, and /readyz says so.
        unready = path == "/readyz" and answer.status == 503
        assert answer.status < 500 or unready, f"{where}: {answer.status} {content[:400]!r}"
        assert_secure(answer.status, found, static=path.startswith("/static/"), where=where)
        if answer.status >= 400 and method.upper() != "HEAD" and not unready:
            assert_problem(answer.status, found, content, where=where)
        return answer.status


@pytest.fixture(scope="module")
def raw(house: House) -> Raw:
    return Raw(house)


@pytest.mark.parametrize("kind", ["public", "page", "host", "install"])
def test_no_raw_request_to_any_route_breaks_the_server(house: House, raw: Raw, kind: str) -> None:
    """Addresses, queries, headers and bodies of every shape; most signed rightly, so that they get past the door."""
    routes = house.app.url_map.iter_rules()
    found = sorted(route.rule for route in routes if audience_of(house.app, route.endpoint) == kind)
    assert found

    @cases(100)
    @given(
        st.sampled_from(found),
        st.sampled_from(METHODS) | st.just("GET" if kind in ("public", "page") else "POST"),
        PIECES,
        st.sampled_from(["", "", "", "extra"]),
        PARAMETERS,
        HEADERS,
        BODIES | _lifecycle_bodies(house),
        SIGNED,
    )
    def send(
        route: str, method: str, piece: str, extra: str, query: str, headers: dict[str, str], body: bytes, signed: str
    ) -> None:
        path = re.sub(r"<[^>]+>", lambda _: piece, route) + (piece if extra else "")
        raw.send(kind if signed == "right" else signed, method, path, query, headers, body)

    send()
    assert raw.send(kind, "GET", "/healthz", "", {}, b"") == 200


def test_the_fuzzing_gets_past_the_door(house: House, raw: Raw) -> None:
    """Were everything refused at the signature, the other tests here would prove little."""
    for kind, method, path, query, expected in [
        ("page", "GET", "/jobs", "", 200),
        ("page", "GET", "/space-jobs", "spaceKey=DOCS", 200),
        ("page", "GET", "/space-jobs", "spaceKey=%2F", 422),
        ("install", "POST", "/connect/installed", "", 400),
        ("host", "POST", "/connect/enabled", "", 400),
    ]:
        assert raw.send(kind, method, path, query, {}, b"{}") == expected, path


def _lifecycle_bodies(house: House) -> Any:
    """What Confluence sends, with anything in any one place. The site is one of the fuzzing's own."""
    body = {
        "key": "content-steward", "clientKey": "fuzz", "sharedSecret": "s" * 40, "baseUrl": house.site.base_url,
        "displayUrl": house.site.base_url, "productType": "confluence", "eventType": "installed", "oauthClientId": "o",
    }  # fmt: skip
    return st.builds(
        lambda name, value, event: json.dumps(body | {"eventType": event, name: value}).encode(),
        st.sampled_from([*body, "description", "unknown"]),
        ANY_JSON | PIECES,
        st.sampled_from(["installed", "uninstalled", "enabled", "disabled"]),
    )
