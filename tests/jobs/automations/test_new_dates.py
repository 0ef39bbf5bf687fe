"""Dates that somebody has just set: for a day they send no page to the trash, unless their author may do that."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from addon.sandbox.people import BOT, EVERYONE
from tests.jobs.automating import archive, automations, delete, log, status
from tests.jobs.conftest import Bench

EXPIRED = "stewardExpirationDate < now()"
KEY = "steward-review"
NEW = "its expiration date was set less than a day ago"
EDITOR, OWNER, LEFT = "u-editor", "u-owner", "u-left"


@pytest.fixture
def space(docs: Bench) -> Bench:
    """DOCS, where the editor may edit and the owner may delete as well; both may see it."""
    place = docs.site.space("DOCS").id
    docs.site.access.revoke(place, EVERYONE)
    for account in (EDITOR, OWNER, LEFT):
        docs.site.add_user(account, account, f"{account}@example.com")
        docs.site.access.grant(place, "user", account, "read", "space")
        docs.site.access.grant(place, "user", account, "create", "page")
    for account in (OWNER, LEFT, BOT):
        docs.site.access.grant(place, "user", account, "delete", "page")
    docs.site.people[LEFT].active = False
    return docs


def expire(bench: Bench, content_id: str, *, by: str = EDITOR, **more: Any) -> None:
    yesterday = (bench.clock.now() - timedelta(days=1)).date().isoformat()
    bench.site.set_property(content_id, KEY, {"expirationDate": yesterday, **more}, by=by)


def outcome(bench: Bench, content_id: str) -> tuple[str, str | None]:
    run, _ = bench.automate()
    _, verdict, reason = log(run)[content_id]
    assert (status(bench, content_id) == "current") == (verdict != "done")
    return verdict, reason


@pytest.mark.parametrize("wanted", [delete(EXPIRED), archive(EXPIRED)], ids=["delete", "archive"])
def test_a_page_is_not_removed_by_a_date_that_was_set_a_moment_ago(space: Bench, wanted: dict[str, Any]) -> None:
    page = space.page("DOCS", "Edited", months=1)
    space.put(automations(wanted))
    expire(space, page)
    assert outcome(space, page) == ("skipped", NEW)
    space.clock.advance(timedelta(hours=23))
    assert outcome(space, page) == ("skipped", NEW)
    space.clock.advance(timedelta(hours=1))
    assert outcome(space, page) == ("done", None)


def test_a_preview_says_so_too(space: Bench) -> None:
    page = space.page("DOCS", "Edited", months=1)
    space.put(automations(delete(EXPIRED)))
    expire(space, page)
    run, _ = space.automate(dry_run=True)
    assert log(run)[page] == ("delete", "skipped", NEW)


@pytest.mark.parametrize(
    ("setter", "verdict"),
    [(OWNER, "done"), (EDITOR, "skipped"), (LEFT, "skipped"), (BOT, "skipped"), ("u-unknown", "skipped")],
)
def test_a_date_counts_at_once_only_if_a_person_set_it_who_may_delete_there(
    space: Bench, setter: str, verdict: str
) -> None:
    page = space.page("DOCS", "Edited", months=1)
    space.put(automations(delete(EXPIRED)))
    expire(space, page, by=setter)
    assert outcome(space, page)[0] == verdict


def test_a_date_that_was_changed_again_stands_since_then(space: Bench) -> None:
    page = space.page("DOCS", "Edited", months=1)
    space.put(automations(delete(EXPIRED)))
    space.site.set_property(page, KEY, {"expirationDate": "2090-01-01"}, by=OWNER)
    space.clock.advance(timedelta(days=5))
    expire(space, page)
    assert outcome(space, page) == ("skipped", NEW)


def test_what_goes_without_the_date_as_well_is_not_kept_by_it(space: Bench) -> None:
    old, new = space.page("DOCS", "Old", months=30), space.page("DOCS", "New", months=1)
    space.put(automations(delete(f'lastmodified < now("-24M") or {EXPIRED}')))
    expire(space, old)
    expire(space, new)
    run, _ = space.automate()
    assert {id: verdict for id, (_, verdict, _) in log(run).items()} == {old: "done", new: "skipped"}


def test_a_protecting_date_that_was_taken_back_does_not_count_either(space: Bench) -> None:
    page = space.page("DOCS", "Protected", months=1)
    space.put(automations(delete("type = page and not (stewardExpirationDate > now())")))
    space.site.set_property(page, KEY, {"expirationDate": "2090-01-01"}, by=OWNER)
    space.clock.advance(timedelta(days=5))
    expire(space, page)
    assert outcome(space, page) == ("skipped", NEW)


def test_a_review_date_is_no_different(space: Bench) -> None:
    page = space.page("DOCS", "Edited", months=1)
    space.put(automations(delete('content.property[steward-review].reviewedOn < now("-12M")')))
    space.site.set_property(page, KEY, {"reviewedOn": "2001-01-01"}, by=EDITOR)
    assert outcome(space, page) == ("skipped", "its review date was set less than a day ago")


def test_a_status_that_such_a_date_led_to_does_not_count_for_a_day(space: Bench) -> None:
    page = space.page("DOCS", "Edited", months=1)
    space.put(automations(delete('stewardStatus = "expired"')))
    expire(space, page)
    space.clock.advance(timedelta(hours=1))
    space.refresh()
    assert space.stamp(page) == "expired"
    assert outcome(space, page) == ("skipped", NEW)
    space.clock.advance(timedelta(days=1))
    space.refresh()
    assert outcome(space, page) == ("done", None)


def test_a_status_that_no_date_leads_to_counts_at_once(space: Bench) -> None:
    page = space.page("DOCS", "Old", months=30)

    def change(data: dict[str, Any]) -> None:
        automations(delete('stewardStatus = "expired"'))(data)
        default = next(scheme for scheme in data["statusSchemes"] if scheme["default"])
        for entry in default["entries"]:
            if entry["status"] == "expired":
                entry["cql"] = 'lastmodified < now("-24M")'
            elif entry.get("cql"):
                entry["cql"] = 'lastmodified < now("-12M")'

    space.put(change)
    expire(space, page)
    space.clock.advance(timedelta(hours=1))
    space.refresh()
    assert outcome(space, page)[0] == "done"
    assert space.client.calls["may_delete"] == 0


def test_a_date_on_a_page_above_does_not_count_for_a_day_either(space: Bench) -> None:
    top = space.page("DOCS", "Top", months=1)
    below = space.page("DOCS", "Below", months=1, parent=top)

    def change(data: dict[str, Any]) -> None:
        automations(delete('stewardStatus = "expired"', wholeSubtree=True))(data)
        default = next(scheme for scheme in data["statusSchemes"] if scheme["default"])
        expired = next(entry for entry in default["entries"] if entry["status"] == "expired")
        expired |= {"cql": 'lastmodified < now("-90M")', "ancestorCql": EXPIRED}

    space.put(change)
    expire(space, top)
    space.clock.advance(timedelta(hours=1))
    space.refresh()
    assert space.stamp(below) == "expired"
    assert outcome(space, below) == ("skipped", "the expiration date of a page above it was set less than a day ago")
    space.clock.advance(timedelta(days=1))
    space.refresh()
    assert outcome(space, below)[0] == "done"


def test_it_costs_nothing_where_dates_have_stood_and_one_question_for_each_person_else(space: Bench) -> None:
    pages = [space.page("DOCS", f"Edited {number}", months=1) for number in range(4)]
    space.put(automations(archive(EXPIRED)))
    for page in pages:
        expire(space, page)
    space.automate()
    assert space.client.calls["may_delete"] == 1
    space.clock.advance(timedelta(days=1))
    _, metrics = space.automate()
    assert metrics["contentsArchived"] == 4
    assert space.client.calls["may_delete"] == 0
    assert space.client.calls["property"] == 4
