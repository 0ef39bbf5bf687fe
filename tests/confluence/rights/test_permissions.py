from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest

from addon.base import Caller, Space, TenantGone, TenantId, Unreachable
from addon.confluence import READ_AGE, WRITE_AGE, Permissions, errors
from addon.screens.problems import Problem
from tests.support.answers import refused_with_problem
from tests.support.clock import VirtualClock

ONE, TWO = TenantId("one"), TenantId("two")
DOCS, HR = Space("1", "DOCS", "Documents", "global"), Space("2", "HR", "People", "global")


class Site:
    """A double of the gateway and its clients: who administers what, and how often that was asked."""

    def __init__(self) -> None:
        self.site_admins = {(ONE, "ada")}
        self.space_admins = {(ONE, "sam", "1")}
        self.asked: Counter[str] = Counter()
        self.changes: Counter[TenantId] = Counter()
        self.failure: Exception | None = None

    def client(self, tenant_id: TenantId) -> Any:
        return nullcontext(Client(self, tenant_id))


class Client:
    def __init__(self, site: Site, tenant_id: TenantId) -> None:
        self._site = site
        self._tenant_id = tenant_id

    def is_site_admin(self, account_id: str) -> bool:
        self._ask("site")
        return (self._tenant_id, account_id) in self._site.site_admins

    def is_space_admin(self, account_id: str, space_id: str) -> bool:
        self._ask("space")
        return (self._tenant_id, account_id, space_id) in self._site.space_admins

    def _ask(self, what: str) -> None:
        self._site.asked[what] += 1
        if self._site.failure:
            raise self._site.failure


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def permissions(site: Any, clock: VirtualClock) -> Permissions:
    return Permissions(site, clock, changes=site.changes.__getitem__)


def refused(call: Any, *args: Any, **options: Any) -> Problem:
    with refused_with_problem() as caught:
        call(*args, **options)
    return caught.value


def of_space(permissions: Permissions, caller: Caller, space: Space | None, key: str = "") -> None:
    """Let in as the screens do: Confluence administrators everywhere, and a space's own."""
    if not permissions.is_site_admin(caller, max_age=WRITE_AGE):
        permissions.require_space_admin(caller, space.key if space else key, lambda: space)


def test_only_confluence_administrators_pass_site_checks(permissions: Permissions) -> None:
    permissions.require_site_admin(Caller(ONE, "ada"))
    problem = refused(permissions.require_site_admin, Caller(ONE, "sam"))
    assert problem.status == 403
    assert "Confluence administrators" in problem.detail


def test_space_administrators_pass_in_their_space_only_and_site_administrators_everywhere(
    permissions: Permissions,
) -> None:
    of_space(permissions, Caller(ONE, "sam"), DOCS)
    of_space(permissions, Caller(ONE, "ada"), HR)
    problem = refused(of_space, permissions, Caller(ONE, "sam"), HR)
    assert problem.status == 403
    assert "HR" in problem.detail


def test_the_same_person_on_another_site_is_somebody_else(permissions: Permissions) -> None:
    permissions.require_site_admin(Caller(ONE, "ada"))
    assert refused(permissions.require_site_admin, Caller(TWO, "ada")).status == 403


def test_reads_trust_a_decision_for_a_quarter_of_an_hour_and_writes_for_a_minute(
    permissions: Permissions, site: Site, clock: VirtualClock
) -> None:
    ada = Caller(ONE, "ada")
    permissions.require_site_admin(ada, max_age=READ_AGE)
    clock.advance(timedelta(seconds=59))
    permissions.require_site_admin(ada, max_age=WRITE_AGE)
    assert site.asked["site"] == 1
    site.site_admins.clear()
    clock.advance(timedelta(seconds=2))
    permissions.require_site_admin(ada, max_age=READ_AGE)
    assert refused(permissions.require_site_admin, ada, max_age=WRITE_AGE).status == 403
    assert refused(permissions.require_site_admin, ada, max_age=READ_AGE).status == 403
    assert site.asked["site"] == 2


def test_a_right_just_granted_works_within_a_minute(permissions: Permissions, site: Site, clock: VirtualClock) -> None:
    sam = Caller(ONE, "sam")
    refused(permissions.require_site_admin, sam, max_age=READ_AGE)
    site.site_admins.add((ONE, "sam"))
    refused(permissions.require_site_admin, sam, max_age=READ_AGE)
    clock.advance(timedelta(seconds=61))
    permissions.require_site_admin(sam, max_age=READ_AGE)


def test_a_webhook_about_permissions_makes_the_next_question_real(permissions: Permissions, site: Site) -> None:
    ada, sam = Caller(ONE, "ada"), Caller(ONE, "sam")
    permissions.require_site_admin(ada)
    of_space(permissions, sam, DOCS)
    site.site_admins.clear()
    site.changes[TWO] += 1
    permissions.require_site_admin(ada)
    site.changes[ONE] += 1
    assert refused(permissions.require_site_admin, ada).status == 403


def test_memory_is_bounded(site: Any, clock: VirtualClock) -> None:
    permissions = Permissions(site, clock, changes=site.changes.__getitem__, remembered=2)
    for account in ("ada", "b", "c"):
        permissions.is_site_admin(Caller(ONE, account))
    permissions.is_site_admin(Caller(ONE, "c"))
    assert site.asked["site"] == 3
    permissions.is_site_admin(Caller(ONE, "ada"))
    assert site.asked["site"] == 4


@pytest.mark.parametrize(
    ("failure", "status", "kind"),
    [
        (errors.ServerError("down", status=503, retry_after=7), 503, "site-unavailable"),
        (errors.Timeout("slow"), 503, "site-unavailable"),
        (errors.Malformed("odd"), 503, "site-unavailable"),
        (errors.Forbidden("no", status=403), 503, "site-unavailable"),
        (Unreachable("signature"), 503, "needs-installation"),
        (TenantGone("left"), 403, "not-installed"),
    ],
)
def test_when_the_site_cannot_be_asked_nobody_passes(
    permissions: Permissions, site: Site, failure: Exception, status: int, kind: str
) -> None:
    site.failure = failure
    problem = refused(permissions.require_site_admin, Caller(ONE, "ada"))
    assert (problem.status, problem.kind) == (status, kind)
    assert refused(of_space, permissions, Caller(ONE, "ada"), DOCS).status == status
    site.failure = None
    permissions.require_site_admin(Caller(ONE, "ada"))


def test_without_points_for_people_the_answer_says_when_to_come_back(
    permissions: Permissions, site: Site, clock: VirtualClock
) -> None:
    site.failure = errors.QuotaExhausted(clock.now() + timedelta(minutes=40), "used up")
    problem = refused(permissions.require_site_admin, Caller(ONE, "ada"))
    assert (problem.status, problem.retry_after) == (503, 2400)


def test_a_withdrawn_right_does_not_live_on_because_the_site_is_down(
    permissions: Permissions, site: Site, clock: VirtualClock
) -> None:
    permissions.require_site_admin(Caller(ONE, "ada"))
    clock.advance(timedelta(minutes=16))
    site.failure = errors.ServerError("down", status=500)
    assert refused(permissions.require_site_admin, Caller(ONE, "ada"), max_age=READ_AGE).status == 503


def test_an_answer_from_before_a_change_is_not_remembered_after_it(
    site: Site, permissions: Permissions, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, answer = Caller(ONE, "ada"), Client.is_site_admin

    def changed_meanwhile(self: Client, account_id: str) -> bool:
        allowed = answer(self, account_id)
        site.site_admins.clear()
        site.changes[ONE] += 1
        return allowed

    monkeypatch.setattr(Client, "is_site_admin", changed_meanwhile)
    assert permissions.is_site_admin(ada)
    monkeypatch.setattr(Client, "is_site_admin", answer)
    assert not permissions.is_site_admin(ada)


def test_a_space_that_is_not_there_is_refused_as_one_that_is_not_yours_and_asked_about_once_a_minute(
    permissions: Permissions, site: Site, clock: VirtualClock
) -> None:
    sam = Caller(ONE, "sam")
    other, missing = refused(of_space, permissions, sam, HR), refused(of_space, permissions, sam, None, "HR")
    assert other.document() == missing.document()
    assert site.asked == {"site": 1, "space": 1}, "the second was answered from memory"
    nowhere = refused(of_space, permissions, sam, None, "NOPE")
    assert nowhere.document() == other.document() | {"detail": other.detail.replace("HR", "NOPE")}
    assert site.asked["space"] == 2, "it takes as many calls"
    for _again in range(100):
        refused(of_space, permissions, sam, None, "NOPE")
    assert site.asked == {"site": 1, "space": 2}
    site.changes[ONE] += 1
    refused(of_space, permissions, sam, None, "NOPE")
    assert site.asked["space"] == 3, "a webhook about rights ends it"
    clock.advance(timedelta(seconds=61))
    refused(of_space, permissions, sam, None, "NOPE")
    assert site.asked["space"] == 4


def test_while_there_are_no_points_an_older_decision_stops_work_but_starts_none(
    permissions: Permissions, site: Site, clock: VirtualClock
) -> None:
    ada, sam = Caller(ONE, "ada"), Caller(ONE, "sam")
    permissions.require_site_admin(ada)
    refused(permissions.require_site_admin, sam)
    clock.advance(timedelta(minutes=14))
    site.failure = errors.QuotaExhausted(clock.now() + timedelta(minutes=40), "used up")
    permissions.require_site_admin(ada, max_age=WRITE_AGE, in_need=READ_AGE)
    assert refused(permissions.require_site_admin, ada, max_age=WRITE_AGE).status == 503
    assert refused(permissions.require_site_admin, sam, max_age=WRITE_AGE, in_need=READ_AGE).status == 403
    clock.advance(timedelta(minutes=2))
    assert refused(permissions.require_site_admin, ada, max_age=WRITE_AGE, in_need=READ_AGE).status == 503


def test_an_older_decision_stops_nothing_once_rights_changed_or_while_the_site_is_only_down(
    permissions: Permissions, site: Site, clock: VirtualClock
) -> None:
    ada = Caller(ONE, "ada")
    permissions.require_site_admin(ada)
    clock.advance(timedelta(minutes=2))
    site.failure = errors.ServerError("down", status=500)
    assert refused(permissions.require_site_admin, ada, max_age=WRITE_AGE, in_need=READ_AGE).status == 503
    site.failure = errors.QuotaExhausted(clock.now() + timedelta(minutes=40), "used up")
    site.changes[ONE] += 1
    assert refused(permissions.require_site_admin, ada, max_age=WRITE_AGE, in_need=READ_AGE).status == 503
