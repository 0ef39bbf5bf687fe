"""The personal data report: each account once a cycle, 90 at a time, and what Atlassian answers is done."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
import responses
import sqlalchemy as sa
from cryptography.fernet import Fernet

from addon.app import create_app, parts_of, stop
from addon.base import Database, SecretBox, TenantId
from addon.config import Settings
from addon.connect import Tenants
from addon.connect.models import AccountReport, ReportCycle, Tenant
from addon.connect.qsh import query_hash
from addon.engine.models import AuditEvent
from addon.mail.models import OutboxMail
from addon.maintenance.reporting import Reporting
from addon.maintenance.ticks import housekeeping
from tests.support.clock import VirtualClock
from tests.support.rows import one_of_each

URL = "https://api.atlassian.com/app/report-accounts/"
SECRET = "the-shared-secret-of-a-site-0123456789abcdef"
ACTIVE = "5be24ad8b1653240376955d2"
CLOSED = "5be24ba3f91c106033269289"
TenantIn = Callable[..., TenantId]
BOX = SecretBox([Fernet.generate_key().decode()])


@pytest.fixture
def atlassian() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def reporting(db: Database, clock: VirtualClock) -> Reporting:
    return Reporting(db, clock, Tenants(db, BOX, clock, addon_key="content-steward"))


@pytest.fixture
def site(db: Database, tenant_in: TenantIn) -> TenantId:
    return tenant_in(db, client_key="the-client-key", secret=BOX.seal(SECRET))


def _hold(db: Database, clock: VirtualClock, tenant_id: TenantId, *accounts: str) -> None:
    with db.write_all() as session:
        session.add_all(
            AuditEvent(
                id=f"{tenant_id[-8:]}{who}",
                tenant_id=tenant_id,
                seq=seq,
                at=clock.now(),
                actor_type="user",
                actor_id=who,
                tag="job:lane:held",
            )
            for seq, who in enumerate(accounts)
        )


def _sent(atlassian: responses.RequestsMock) -> list[dict[str, str]]:
    """What each call reported: account -> updatedAt."""
    bodies = [json.loads(call.request.body or "{}") for call in atlassian.calls]
    return [{entry["accountId"]: entry["updatedAt"] for entry in body["accounts"]} for body in bodies]


def _held(db: Database) -> set[str]:
    with db.read_all() as session:
        return set(session.scalars(sa.select(AuditEvent.actor_id).where(AuditEvent.actor_id.is_not(None))))


def test_accounts_are_reported_with_the_time_we_got_them_and_not_again_before_the_cycle_is_over(
    db: Database, clock: VirtualClock, site: TenantId, reporting: Reporting, atlassian: responses.RequestsMock
) -> None:
    atlassian.post(URL, status=204)
    _hold(db, clock, site, ACTIVE)
    clock.advance(timedelta(hours=2))
    assert reporting.tick() == 1
    assert _sent(atlassian) == [{ACTIVE: "2026-11-22T12:00:00.000Z"}]
    clock.advance(timedelta(days=6, hours=23))
    assert reporting.tick() == 0
    _hold(db, clock, site, "a-new-one")
    assert reporting.tick() == 1
    clock.advance(timedelta(hours=1))
    assert reporting.tick() == 1
    assert [set(sent) for sent in _sent(atlassian)] == [{ACTIVE}, {"a-new-one"}, {ACTIVE}]


def test_a_call_is_signed_for_itself_as_the_installation_that_holds_the_accounts(
    db: Database, clock: VirtualClock, site: TenantId, reporting: Reporting, atlassian: responses.RequestsMock
) -> None:
    atlassian.post(URL, status=204)
    _hold(db, clock, site, ACTIVE)
    reporting.tick()
    scheme, _, token = str(atlassian.calls[0].request.headers["Authorization"]).partition(" ")
    claims: dict[str, Any] = jwt.decode(
        token, SECRET, ["HS256"], audience="the-client-key", options={"verify_exp": False, "verify_iat": False}
    )
    now = int(clock.now().timestamp())
    assert (scheme, claims["iss"], claims["exp"] - claims["iat"], claims["iat"]) == ("JWT", "content-steward", 180, now)
    assert claims["qsh"] == query_hash("POST", "/app/report-accounts/", "")


def test_a_call_names_at_most_ninety_accounts_of_one_installation(
    db: Database, clock: VirtualClock, site: TenantId, tenant_in: TenantIn, reporting: Reporting,
    atlassian: responses.RequestsMock,
) -> None:  # fmt: skip
    atlassian.post(URL, status=204)
    other = tenant_in(db, secret=BOX.seal(SECRET))
    _hold(db, clock, site, *(f"account-{number:03}" for number in range(200)))
    _hold(db, clock, other, "account-000", "only-there")
    assert reporting.tick() == 201
    assert [len(sent) for sent in _sent(atlassian)] == [90, 90, 20, 1]
    assert len({who for sent in _sent(atlassian) for who in sent}) == 201, "nobody twice"


def test_a_closed_account_is_erased_everywhere_and_an_updated_one_loses_its_name(
    db: Database, clock: VirtualClock, site: TenantId, tenant_in: TenantIn, reporting: Reporting,
    atlassian: responses.RequestsMock,
) -> None:  # fmt: skip
    other = tenant_in(db, secret=BOX.seal(SECRET))
    _hold(db, clock, site, CLOSED, ACTIVE)
    _hold(db, clock, other, CLOSED, "not-asked-for")
    one_of_each(db, other, clock.now(), outbox__account_id=ACTIVE, outbox__text="Hello Eve")
    answer = [
        {"accountId": CLOSED, "status": "closed"},
        {"accountId": ACTIVE, "status": "updated"},
        {"accountId": "never-heard-of", "status": "closed"},
        {"accountId": ACTIVE, "status": "of a kind not known"},
        "nonsense",
    ]
    atlassian.post(URL, json={"accounts": answer})
    clock.advance(60)
    reporting.tick()
    assert _held(db) == {ACTIVE, "not-asked-for"}
    with db.read_all() as session:
        assert session.scalars(sa.select(OutboxMail.text)).all() == [""]
        assert CLOSED not in set(session.scalars(sa.select(AccountReport.account_id)))
    atlassian.replace(responses.POST, URL, status=204)
    clock.advance(timedelta(days=7))
    reporting.tick()
    [again] = [sent for sent in _sent(atlassian)[2:] if ACTIVE in sent]
    assert again[ACTIVE] == "2026-11-22T12:01:00.000Z", "what had changed was let go then"


@pytest.mark.parametrize(("header", "days"), [("14", 14), ("P3D", 3), ("0", 1), ("soon", 7), ("-2", 7)])
def test_the_cycle_that_atlassian_names_is_kept(
    db: Database, clock: VirtualClock, site: TenantId, reporting: Reporting, atlassian: responses.RequestsMock,
    header: str, days: int,
) -> None:  # fmt: skip
    atlassian.post(URL, status=204, headers={"Cycle-Period": header})
    _hold(db, clock, site, ACTIVE)
    assert reporting.tick() == 1
    with db.read_all() as session:
        assert session.scalars(sa.select(ReportCycle.days)).one() == days
    clock.advance(timedelta(days=days, seconds=-1))
    assert reporting.tick() == 0
    clock.advance(1)
    assert reporting.tick() == 1


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        ({"status": 429, "headers": {"Retry-After": "120"}}, 120),
        ({"status": 429, "headers": {"Retry-After": "Sun, 22 Nov 2026 12:05:00 GMT"}}, 300),
        ({"status": 429, "headers": {"Retry-After": "99999999999"}}, 86_400),
        ({"status": 429, "headers": {"Retry-After": "Sun, 22 Nov 99999999999999 12:05:00 GMT"}}, 21_600),
        ({"status": 302, "headers": {"Location": "http://[::1"}}, 21_600),
        ({"status": 429}, 21_600),
        ({"status": 401}, 21_600),
        ({"status": 302, "headers": {"Location": "https://elsewhere.example.com/"}}, 21_600),
        ({"status": 500}, 21_600),
        ({"status": 200, "body": "<html>"}, 21_600),
        ({"status": 200, "body": "[]"}, 21_600),
        ({"status": 200, "body": "x" * 70_000}, 21_600),
        ({"body": requests.ConnectionError("no way")}, 21_600),
    ],
)
def test_a_report_that_is_not_taken_erases_nothing_and_waits(
    db: Database, clock: VirtualClock, site: TenantId, reporting: Reporting, atlassian: responses.RequestsMock,
    answer: dict[str, Any], wait: int, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    atlassian.post(URL, **answer)
    _hold(db, clock, site, ACTIVE)
    assert reporting.tick() == 0
    assert "put off" in caplog.text
    clock.advance(wait - 1)
    assert reporting.tick() == 0
    assert len(atlassian.calls) == 1
    clock.advance(1)
    atlassian.replace(responses.POST, URL, status=204)
    assert reporting.tick() == 1
    assert _held(db) == {ACTIVE}


def test_only_one_process_reports_at_a_time(
    db: Database, clock: VirtualClock, site: TenantId, reporting: Reporting, atlassian: responses.RequestsMock
) -> None:
    second: list[int] = []

    def answer(_request: Any) -> tuple[int, dict[str, str], str]:
        second.append(reporting.tick())
        return 204, {}, ""

    atlassian.add_callback(responses.POST, URL, answer)
    _hold(db, clock, site, ACTIVE)
    assert reporting.tick() == 1
    assert second == [0]


def test_nothing_is_remembered_of_an_account_that_is_not_held_any_more(
    db: Database, clock: VirtualClock, site: TenantId, reporting: Reporting, atlassian: responses.RequestsMock
) -> None:
    atlassian.post(URL, status=204)
    _hold(db, clock, site, ACTIVE)
    reporting.tick()
    with db.write_all() as session:
        session.execute(sa.delete(AuditEvent))
    assert reporting.tick() == 0
    with db.read_all() as session:
        assert session.scalars(sa.select(AccountReport)).all() == []


def test_it_is_off_until_it_is_switched_on(
    tmp_path: Path, clock: VirtualClock, atlassian: responses.RequestsMock
) -> None:
    atlassian.post(URL, status=204)
    key = Fernet.generate_key().decode()
    for value, calls in (("off", 0), ("on", 1), ("off", 1)):
        app = create_app(
            Settings(
                database_url=f"sqlite:///{tmp_path / 'steward.sqlite3'}",
                encryption_keys=(key,),
                personal_data_reporting=value,
            ),
            clock=clock,
        )
        parts = parts_of(app)
        with parts.db.write_all() as session:
            if not parts.tenants.installed():
                at = clock.now()
                session.add(
                    Tenant(
                        id=TenantId("t"), client_key="c", base_url="https://one.atlassian.net/wiki", state="installed",
                        secret=parts.tenants.seal(SECRET), installed_at=at, updated_at=at,
                    )
                )  # fmt: skip
                session.flush()
                session.add(
                    AuditEvent(id="e", tenant_id="t", seq=1, at=at, actor_type="user", actor_id=ACTIVE, tag="t")
                )
        for tick in housekeeping(parts):
            tick.call()
        assert len(atlassian.calls) == calls
        with parts.db.read_all() as session:
            assert bool(session.scalars(sa.select(AccountReport)).all()) == (value == "on")
        stop(app)
