"""What an automation may not do, whatever its query matches: guards, forged stamps, caps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from addon.confluence import NotFound
from addon.jobs import ledger
from tests.jobs.automating import archive, automations, delete, log, status
from tests.jobs.conftest import Bench


class TestGuards:
    def reason(self, bench: Bench, content_id: str, wanted: dict[str, Any] | None = None) -> str | None:
        bench.put(automations(wanted or archive()))
        run, _ = bench.automate()
        _, outcome, reason = log(run)[content_id]
        assert outcome == "skipped"
        assert status(bench, content_id) == "current"
        return reason

    def test_the_home_page_stays(self, bench: Bench) -> None:
        then = bench.clock.now() - timedelta(days=900)
        space = bench.site.add_space("DOCS", created_at=then)
        assert space.homepage_id is not None
        assert self.reason(bench, space.homepage_id, delete()) == "home page of the space"

    def test_a_page_with_children_stays_even_when_they_go(self, docs: Bench) -> None:
        top = docs.page("DOCS", "Top", months=30)
        below = docs.page("DOCS", "Below", months=30, parent=top)
        assert self.reason(docs, top) == "has children"
        assert status(docs, below) == "archived"

    def test_a_whole_subtree_goes_bottom_up_when_the_option_is_on(self, docs: Bench) -> None:
        top = docs.page("DOCS", "Top", months=30)
        below = docs.page("DOCS", "Below", months=30, parent=top)
        deep = docs.page("DOCS", "Deep", months=30, parent=below)
        docs.put(automations(archive(wholeSubtree=True)))
        run, _ = docs.automate()
        assert [item.content_id for item in run.logged] == [deep, below, top]
        assert {status(docs, page) for page in (top, below, deep)} == {"archived"}

    def test_a_subtree_with_one_page_that_stays_keeps_its_parents(self, docs: Bench) -> None:
        top = docs.page("DOCS", "Top", months=30)
        below = docs.page("DOCS", "Below", months=30, parent=top)
        docs.page("DOCS", "Alive", parent=below)
        docs.put(automations(archive(wholeSubtree=True)))
        run, _ = docs.automate()
        assert log(run) == {
            below: ("archive", "skipped", "has children"),
            top: ("archive", "skipped", "has children"),
        }

    @pytest.mark.parametrize("whole", [False, True])
    def test_a_restricted_page_with_children_that_stay_is_never_touched(self, docs: Bench, whole: bool) -> None:
        secret = docs.page("DOCS", "Secret")
        top = docs.page("DOCS", "Top", months=30, parent=secret)
        docs.page("DOCS", "Below", parent=top)
        docs.site.restrict(secret, users=["u-admin", "u-app", "app"], groups=[])
        from addon.sandbox.people import BOT

        docs.site.restrict(secret, users=["u-admin", BOT])
        assert self.reason(docs, top, archive(wholeSubtree=whole)) == "would expose restricted children"

    def test_an_ancestor_that_cannot_be_read_gives_no_reason(self, docs: Bench) -> None:
        draft = docs.page("DOCS", "A draft")
        top = docs.page("DOCS", "Top", months=30, parent=draft)
        docs.page("DOCS", "Below", parent=top)

        def hidden(method: str, arguments: tuple[Any, ...]) -> None:
            if method == "read_restricted" and arguments == (draft,):
                raise NotFound("not found", status=404)

        docs.client.faults.append(hidden)
        assert self.reason(docs, top) == "has children"

    @pytest.mark.parametrize(
        ("zone", "hour", "gone"),
        [
            ("America/Los_Angeles", 5, True),
            ("America/Los_Angeles", 9, False),
            ("UTC", 5, False),
            ("Asia/Tokyo", -12, True),
        ],
    )
    def test_a_day_in_a_query_begins_when_it_begins_in_the_sites_zone(
        self, docs: Bench, zone: str, hour: int, gone: bool
    ) -> None:
        docs.site.time_zone = ZoneInfo(zone)
        at = datetime(2024, 3, 2, tzinfo=UTC) + timedelta(hours=hour)
        page = docs.site.add_page("DOCS", "Old", created_at=at).id
        docs.put(automations(archive('lastmodified < "2024-03-02"')))
        docs.automate()
        assert status(docs, page) == ("archived" if gone else "current")

    def test_a_type_is_read_in_any_case(self, docs: Bench) -> None:
        page = docs.page("DOCS", "Old", months=30)
        docs.put(automations(archive('type = PAGE and lastmodified < now("-24M")')))
        docs.automate()
        assert status(docs, page) == "archived"

    @pytest.mark.parametrize("negation", ["inclusive", "exclusive"])
    @pytest.mark.parametrize("cql", ['stewardStatus != "expired"', "not (stewardExpirationDate > now())"])
    def test_a_negation_finds_what_lacks_the_field_on_every_site(self, docs: Bench, negation: Any, cql: str) -> None:
        docs.site.negation = negation
        page = docs.page("DOCS", "Never stamped", months=15)
        kept = docs.page("DOCS", "To be kept", months=15)
        value = {"expirationDate": "2099-01-01"} if "Expiration" in cql else {"id": "expired", "content": kept}
        key = "steward-review" if "Expiration" in cql else "steward-status"
        docs.site.set_property(kept, key, value, by="u-admin")
        docs.put(automations(archive(f'lastmodified < now("-12M") and {cql}')))
        run, _ = docs.automate(dry_run=True)
        assert page in log(run)
        assert kept not in log(run)

    def test_what_people_marked_to_keep_is_kept(self, docs: Bench) -> None:
        old = docs.page("DOCS", "Old", months=30)
        docs.site.set_property(old, "steward-review", {"keep": True})
        assert self.reason(docs, old) == "marked to be kept"

    def test_a_page_edited_while_search_still_shows_the_old_one_is_left_alone(self, docs: Bench) -> None:
        old = docs.page("DOCS", "Old", months=30)
        docs.site.index_lag = 600
        docs.clock.advance(601)
        docs.site.edit(old)
        assert self.reason(docs, old) == "does not match any more, by the item itself and the status ledger"

    def test_a_page_that_is_gone_or_moved_while_search_still_shows_it_is_left_alone(self, docs: Bench) -> None:
        docs.site.add_space("OPS")
        gone, moved = docs.page("DOCS", "Gone", months=30), docs.page("DOCS", "Moved", months=30)
        docs.site.index_lag = 600
        docs.clock.advance(601)
        docs.site.trash(gone)
        docs.site.move(moved, space_key="OPS")
        docs.put(automations(archive()))
        run, _ = docs.automate()
        reasons = {id: reason for id, (_, _, reason) in log(run).items()}
        assert reasons[gone] == "no longer current, or not visible to the app"
        assert reasons[moved] == "moved to another space"


class TestForgedStamps:
    def forge(self, bench: Bench, page: str, **changes: Any) -> None:
        value = {
            "id": "expired",
            "name": {"value": "Expired"},
            "previous": None,
            "changedOn": "2020-01-01T00:00:00.000Z",
            "content": page,
        }
        bench.site.set_property(page, "steward-status", value | changes, by="u-eve")

    @pytest.fixture
    def expired(self, docs: Bench) -> Bench:
        docs.put(automations(delete('stewardStatus = "expired" and stewardStatusChangedOn < now("-6M")')))
        return docs

    def test_a_forged_stamp_gets_no_page_deleted_before_any_refresh(self, expired: Bench) -> None:
        page = expired.page("DOCS", "Mine", months=2)
        self.forge(expired, page)
        run, _ = expired.automate()
        assert log(run)[page][2] == "its status was never refreshed here; refresh the content statuses first"
        assert status(expired, page) == "current"

    def test_a_forged_stamp_gets_no_page_deleted_after_a_refresh(self, expired: Bench) -> None:
        page = expired.page("DOCS", "Mine", months=2)
        expired.refresh()
        self.forge(expired, page)
        run, _ = expired.automate()
        assert log(run)[page][1:] == (
            "skipped",
            "does not match any more, by the item itself and the status ledger",
        )
        expired.refresh()
        assert expired.stamp(page) == "up-to-date"
        run, _ = expired.automate()
        assert log(run) == {}

    def test_a_forged_date_makes_nothing_older(self, expired: Bench) -> None:
        expired.page("DOCS", "Elder", months=40)
        page = expired.page("DOCS", "Old", months=30)
        expired.refresh()
        self.forge(expired, page)
        run, _ = expired.automate()
        assert log(run)[page][1] == "skipped"
        expired.clock.advance(timedelta(days=1))
        with expired.db.write(expired.tenant_id) as session:
            ledger.drop(session, [page])
        expired.refresh()
        run, _ = expired.automate()
        assert status(expired, page) == "current"

    def test_a_page_edited_since_the_last_refresh_waits_for_the_next_one(self, expired: Bench) -> None:
        page = expired.page("DOCS", "Old", months=30)
        expired.refresh()
        expired.clock.advance(timedelta(days=200))
        expired.site.edit(page)
        run, _ = expired.automate()
        assert log(run)[page][2] == "updated since the last refresh of the content statuses"


class TestCaps:
    def test_an_automation_stops_at_its_cap(self, docs: Bench) -> None:
        for number in range(5):
            docs.page("DOCS", f"Old {number}", months=30)
        docs.put(automations(archive(cap=3)))
        run, metrics = docs.automate()
        assert (metrics["contentsArchived"], metrics["contentsSkipped"]) == (3, 2)
        reasons = {reason for _, outcome, reason in log(run).values() if outcome == "skipped"}
        assert reasons == {"over the limit of 3 items per automation and execution"}

    def test_the_cap_counts_over_all_spaces_of_the_execution(self, docs: Bench) -> None:
        docs.site.add_space("OPS")
        for key in ("DOCS", "OPS"):
            for number in range(3):
                docs.page(key, f"Old {number}", months=30)
        docs.put(automations(archive(cap=4)))
        _, metrics = docs.automate()
        assert metrics["contentsArchived"] == 4

    def test_the_execution_has_a_cap_of_its_own(self, docs: Bench) -> None:
        from dataclasses import replace

        docs.context = replace(docs.context, settings=replace(docs.context.settings, execution_cap=4))
        for number in range(3):
            docs.page("DOCS", f"Old {number}", months=30)
            docs.page("DOCS", f"Older {number}", months=40)
        docs.put(automations(archive('lastmodified < now("-35M")'), delete()))
        run, metrics = docs.automate()
        assert (metrics["contentsArchived"], metrics["contentsDeleted"]) == (3, 1)
        assert "over the limit of 4 items per execution" in {reason for _, _, reason in log(run).values()}

    def test_what_is_skipped_does_not_count_against_the_cap(self, docs: Bench) -> None:
        top = docs.page("DOCS", "Top", months=30)
        docs.page("DOCS", "Alive", parent=top)
        old = docs.page("DOCS", "Old", months=30)
        docs.put(automations(archive(cap=1)))
        docs.automate()
        assert status(docs, old) == "archived"
