"""Execute automations: what is matched for sure is archived or trashed, everything else is left alone with a reason."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from addon.jobs import ledger
from tests.jobs.automating import archive, automations, delete, log, status
from tests.jobs.conftest import Bench


class TestActing:
    def test_what_matches_is_archived_and_logged_with_its_title(self, docs: Bench) -> None:
        old, new = docs.page("DOCS", "Old", months=30), docs.page("DOCS", "New")
        docs.put(automations(archive()))
        run, metrics = docs.automate()
        assert (status(docs, old), status(docs, new)) == ("archived", "current")
        [item] = run.logged
        assert (item.content_id, item.action, item.outcome, item.title) == (old, "archive", "done", "Old")
        assert metrics == {
            "contentsMatched": 1,
            "contentsArchived": 1,
            "contentsDeleted": 0,
            "contentsSkipped": 0,
            "contentsFailed": 0,
        }

    def test_deleting_means_the_trash(self, docs: Bench) -> None:
        old = docs.page("DOCS", "Old", months=30)
        post = docs.site.add_blogpost("DOCS", "Post", created_at=docs.clock.now() - timedelta(days=900)).id
        docs.put(automations(delete()))
        _, metrics = docs.automate()
        assert (status(docs, old), status(docs, post)) == ("trashed", "trashed")
        assert metrics["contentsDeleted"] == 2

    def test_a_dry_run_does_everything_but_act(self, docs: Bench) -> None:
        top = docs.page("DOCS", "Top", months=30)
        below = docs.page("DOCS", "Below", months=30, parent=top)
        docs.put(automations(archive(wholeSubtree=True)))
        run, metrics = docs.automate(dry_run=True)
        assert docs.client.writes == 0
        assert {id: outcome for id, (_, outcome, _) in log(run).items()} == {top: "planned", below: "planned"}
        assert (metrics["contentsMatched"], metrics["contentsArchived"]) == (2, 0)
        assert metrics["contentsPlanned"] == 2

    def test_a_space_shows_how_far_it_has_come_while_it_is_worked_on(self, docs: Bench) -> None:
        docs.site.edition = "standard"
        for number in range(4):
            docs.page("DOCS", f"Old {number}", months=30)
        docs.put(automations(archive()))
        run, _ = docs.automate()
        assert run.progressed == [("DOCS", number, 4) for number in range(1, 5)]

    def test_pages_go_300_a_batch_where_the_edition_allows_it_and_else_one_by_one(self, docs: Bench) -> None:
        for number in range(301):
            docs.page("DOCS", f"Old {number}", months=30)
        docs.put(automations(archive()))
        docs.automate()
        assert docs.client.calls["archive"] == 2
        docs.site.edition = "standard"
        for number in range(3):
            docs.page("DOCS", f"Also old {number}", months=30)
        _, metrics = docs.automate()
        assert (docs.client.calls["archive"], metrics["contentsArchived"]) == (3, 3)

    def test_the_shipped_automation_archives_what_was_expired_for_six_months(self, docs: Bench) -> None:
        old, ageing = docs.page("DOCS", "Old", months=30), docs.page("DOCS", "Ageing", months=20)
        docs.put(lambda data: data["automationSchemes"][0]["automations"][0].update(enabled=True))
        docs.refresh()
        run, _ = docs.automate()
        assert log(run) == {}
        docs.clock.advance(timedelta(days=200))
        docs.refresh()
        run, _ = docs.automate()
        assert status(docs, old) == "archived"
        assert status(docs, ageing) == "current"
        with docs.db.read(docs.tenant_id) as session:
            assert old not in ledger.load(session, [old])


class TestFirstMatchClaims:
    def test_a_content_belongs_to_the_first_automation_that_matches(self, docs: Bench) -> None:
        old = docs.page("DOCS", "Old", months=30)
        docs.put(automations(archive(), delete()))
        run, _ = docs.automate()
        assert status(docs, old) == "archived"
        assert len(run.logged) == 1

    def test_what_an_automation_cannot_do_is_not_handed_on(self, docs: Bench) -> None:
        post = docs.site.add_blogpost("DOCS", "Post", created_at=docs.clock.now() - timedelta(days=900)).id
        docs.put(automations(archive(), delete()))
        run, metrics = docs.automate()
        assert status(docs, post) == "current"
        assert log(run)[post] == ("archive", "skipped", "blog posts cannot be archived")
        assert metrics["contentsSkipped"] == 1

    def test_the_free_edition_archives_nothing_and_says_so(self, docs: Bench) -> None:
        docs.site.edition = "free"
        old = docs.page("DOCS", "Old", months=30)
        docs.put(automations(archive(), delete()))
        run, _ = docs.automate()
        assert log(run)[old] == ("archive", "skipped", "archiving is not available in the Free edition")
        assert docs.client.writes == 0

    def test_a_scheduled_run_lets_only_due_automations_claim(self, docs: Bench) -> None:
        old = docs.page("DOCS", "Old", months=30)
        docs.put(automations(archive(), delete()))
        docs.automate(trigger="scheduled", params={"rules": ["clean-up/a1"]})
        assert status(docs, old) == "trashed"

    def test_personal_spaces_take_part_only_when_named_one_by_one(self, bench: Bench) -> None:
        bench.site.add_space("~ann", type="personal")
        bench.site.add_space("~bob", type="personal")
        ann, bob = bench.page("~ann", "Old", months=30), bench.page("~bob", "Old", months=30)

        def change(data: dict[str, Any]) -> None:
            automations(archive())(data)
            data["excludedSpaces"] = []
            data["assignments"] = [{"space": {"key": "~bob"}, "automationScheme": "clean-up"}]

        bench.put(change)
        run, _ = bench.automate()
        assert (status(bench, ann), status(bench, bob)) == ("current", "archived")
        assert run.states() == {"~ann": "done", "~bob": "done"}
