"""Send notifications: everybody concerned gets one mail about everything due, and never the same twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from addon.confluence import errors
from addon.engine.job import CancelRequested, Interrupted, JobRefused
from addon.jobs import mail_addresses
from addon.jobs.models import NotificationMatch
from addon.jobs.notifications.job import SendNotifications
from addon.mail import Mailer
from addon.mail.models import OutboxMail
from tests.jobs.conftest import Bench


@pytest.fixture
def company(bench: Bench) -> Bench:
    """Two spaces; Ann wrote what is old in both, Bob updated one of them; the shipped rule is switched on."""
    bench.site.add_user("u-ann", "Ann Author", "ann@example.com")
    bench.site.add_user("u-bob", "Bob Builder", "bob@example.com")
    bench.site.add_user("u-hid", "Hida Hidden", "hida@example.com", email_visible=False)
    bench.site.add_space("DOCS")
    bench.site.add_space("OPS")
    bench.page("DOCS", "Old guide", months=30, author="u-ann")
    bench.page("OPS", "Old runbook", months=30, author="u-ann", updater="u-bob")
    bench.page("OPS", "New runbook", months=1, author="u-ann")
    bench.put(switch_on)
    bench.refresh()
    return bench


def switch_on(data: dict[str, Any]) -> None:
    data["notificationSchemes"][0]["rules"][0]["enabled"] = True


def recipients(*wanted: Any) -> Any:
    def change(data: dict[str, Any]) -> None:
        data["notificationSchemes"][0]["rules"][0]["recipients"] = list(wanted)

    return change


def stored(bench: Bench, table: type[Any]) -> int:
    with bench.db.read(bench.tenant_id) as session:
        return session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


class TestWhoGetsWhat:
    def test_each_person_gets_one_mail_about_everything(self, company: Bench) -> None:
        run, metrics = company.notify()
        assert company.post.recipients == ["ann@example.com", "bob@example.com"]
        text = company.post.text("ann@example.com")
        assert "Old guide" in text
        assert "Old runbook" in text
        assert "New runbook" not in text
        assert "Hello Ann Author" in text
        assert "http://127.0.0.1/wiki/spaces/DOCS/pages/" in text
        assert "Old guide" not in company.post.text("bob@example.com")
        assert metrics == {
            "contentsMatched": 2,
            "emailsSent": 2,
            "emailsFailed": 0,
            "emailsSuppressed": 0,
            "emailsPending": 0,
        }
        assert run.metrics_of("OPS") == {"contentsMatched": 1}

    @pytest.mark.parametrize("negation", ["inclusive", "exclusive"])
    def test_a_rules_negation_finds_what_lacks_the_field_on_every_site(self, company: Bench, negation: Any) -> None:
        company.site.negation = negation
        company.clock.advance(timedelta(days=8))
        company.refresh()
        cql = 'type = page and stewardStatus != "expired" and not (stewardReviewedOn > now("-1M"))'
        company.put(lambda data: data["notificationSchemes"][0]["rules"][0].update(cql=cql))
        company.notify()
        assert "New runbook" in company.post.text("ann@example.com")
        assert "Old guide" not in company.post.text("ann@example.com")

    def test_the_matches_are_gone_when_everything_is_decided(self, company: Bench) -> None:
        company.notify()
        assert stored(company, NotificationMatch) == 0

    def test_hidden_addresses_and_inactive_people_are_counted_as_suppressed(self, company: Bench) -> None:
        company.site.add_user("u-out", "Olga Out", "olga@example.com", active=False)
        company.put(recipients({"user": "u-hid"}, {"user": "u-out"}, "author"))
        _, metrics = company.notify()
        assert company.post.recipients == ["ann@example.com"]
        assert (metrics["emailsSent"], metrics["emailsSuppressed"]) == (1, 2)

    def test_groups_and_space_administrators_can_be_told(self, company: Bench) -> None:
        company.site.add_group("g-ops", "ops")
        company.site.add_user("u-gil", "Gil Group", "gil@example.com", groups=["g-ops"])
        company.site.add_user("u-sam", "Sam Spaceadmin", "sam@example.com")
        company.site.access.admit(company.site.space("OPS").id, "user", "u-sam", admin=True)
        company.put(recipients({"group": "g-ops"}, "spaceAdmins"))
        company.notify()
        assert "gil@example.com" in company.post.recipients
        assert "sam@example.com" in company.post.recipients
        assert company.client.calls["group_members"] == 1

    def test_archived_contents_are_reported_only_where_a_rule_says_so(self, company: Bench) -> None:
        gone = company.page("DOCS", "Archived note", months=40, author="u-bob")
        company.site.label(gone, "note")
        company.site.archive(gone)
        company.put(lambda data: data["notificationSchemes"][0]["rules"][0].update(cql="label = note"))
        _, metrics = company.notify()
        assert metrics["contentsMatched"] == 0
        company.put(lambda data: data["notificationSchemes"][0]["rules"][0].update(contentStates=["archived"]))
        _, metrics = company.notify()
        assert metrics["contentsMatched"] == 1
        assert company.post.recipients == ["bob@example.com"]


class TestWhichRules:
    def two_rules(self, data: dict[str, Any]) -> None:
        first = data["notificationSchemes"][0]["rules"][0]
        second = {**first, "id": "fresh", "name": "Fresh contents", "cql": 'lastmodified > now("-2M")'}
        data["notificationSchemes"][0]["rules"].append(second)

    def test_a_scheduled_run_evaluates_only_the_rules_that_are_due(self, company: Bench) -> None:
        company.put(self.two_rules)
        company.notify(trigger="scheduled", params={"rules": ["reminders/fresh"]})
        text = company.post.text("ann@example.com")
        assert "New runbook" in text
        assert "Old guide" not in text

    def test_a_manual_run_makes_every_enabled_rule_a_section(self, company: Bench) -> None:
        company.put(self.two_rules)
        company.notify()
        text = company.post.text("ann@example.com")
        assert text.index("Expired content (2)") < text.index("Fresh contents (1)")
        assert len([to for to in company.post.recipients if to == "ann@example.com"]) == 1

    def test_a_disabled_rule_reports_nothing_and_asks_nothing(self, company: Bench) -> None:
        company.put(lambda data: data["notificationSchemes"][0]["rules"][0].update(enabled=False))
        company.client.calls.clear()
        run, metrics = company.notify()
        assert metrics["contentsMatched"] == 0
        assert run.states() == {"DOCS": "done", "OPS": "done"}
        assert company.client.calls["search"] == 0


class TestNeverTwice:
    def test_finalizing_may_be_repeated_after_a_crash(self, company: Bench) -> None:
        job = SendNotifications(company.context)
        run = company.run("send-notifications")
        run.fix(job.list_spaces(run))
        job.work(run, run.left())
        checks = iter([None, None, Interrupted("killed")])

        def before(recipient: str) -> None:
            error = next(checks, None)
            if recipient == "bob@example.com" and error is None and len(company.post.mails) == 1:
                run.lost = True

        company.post.refuse = before
        try:
            job.finalize(run)
        except Interrupted:
            run.lost = False
        company.post.refuse = lambda recipient: None
        job.finalize(run)
        metrics = run.end(job)
        assert company.post.recipients == ["ann@example.com", "bob@example.com"]
        assert (metrics["emailsSent"], metrics["emailsPending"]) == (2, 0)

    def test_a_space_redone_after_a_crash_does_not_double_its_matches(self, company: Bench) -> None:
        job = SendNotifications(company.context)
        run = company.run("send-notifications")
        run.fix(job.list_spaces(run))
        job.work(run, run.left())
        with company.db.write(company.tenant_id) as session:
            session.execute(sa.text("UPDATE execution_space SET state = 'running'"))
        job.work(run, run.left())
        metrics = run.end(job)
        assert metrics["contentsMatched"] == 2
        assert metrics["emailsSent"] == 2

    def test_a_retry_mails_only_what_the_failed_space_holds(self, company: Bench) -> None:
        def broken(method: str, arguments: tuple[Any, ...]) -> None:
            if method == "search" and '"OPS"' in arguments[0]:
                raise errors.ServerError("index broken", status=500)

        company.client.faults.append(broken)
        run, metrics = company.notify()
        assert run.states() == {"DOCS": "done", "OPS": "failed"}
        assert metrics["emailsSent"] == 1
        company.client.faults.clear()
        company.post.mails.clear()
        job = SendNotifications(company.context)
        ops = company.site.space("OPS").id
        again = company.run("send-notifications", trigger="retry", params={"spaces": [ops]})
        again.fix([space for space in job.list_spaces(again) if space.id == ops])
        job.work(again, again.left())
        again.end(job)
        assert "Old guide" not in company.post.text("ann@example.com")
        assert "Old runbook" in company.post.text("ann@example.com")

    def test_a_cancelled_run_sends_nothing(self, company: Bench) -> None:
        job = SendNotifications(company.context)
        run = company.run("send-notifications")
        run.fix(job.list_spaces(run))
        run.on_safe_point = lambda count: run.cancelled.set()
        with pytest.raises(CancelRequested):
            job.work(run, run.left())
        assert stored(company, OutboxMail) == 0


class TestWhenSomethingIsMissing:
    def test_without_a_mail_server_the_job_refuses_and_says_what_to_do(self, company: Bench) -> None:
        context = company.context
        mute = Mailer(company.db, company.clock, None, "steward@example.com")
        job = SendNotifications(replace(context, mailer=mute))
        with company.db.read(company.tenant_id) as session, pytest.raises(JobRefused, match="STEWARD_SMTP_URL"):
            job.admit(session, company.tenant_id)
        with company.db.read(company.tenant_id) as session:
            SendNotifications(context).admit(session, company.tenant_id)

    def test_a_site_that_tells_no_addresses_leaves_the_mails_in_the_outbox(self, company: Bench) -> None:
        def mute(method: str, arguments: tuple[Any, ...]) -> None:
            if method in ("users", "system_info"):
                raise errors.ServerError("down", status=503)

        company.client.faults.append(mute)
        _, metrics = company.notify()
        assert (metrics["emailsSent"], metrics["emailsPending"]) == (0, 2)
        assert stored(company, NotificationMatch) == 0
        company.client.faults.clear()
        company.clock.advance(timedelta(hours=1))
        company.context.mailer.send_due(addresses=mail_addresses(company.context.confluence))
        assert company.post.recipients == ["ann@example.com", "bob@example.com"]

    def test_a_template_that_fails_with_these_contents_gives_way_to_the_shipped_one(self, company: Bench) -> None:
        company.put(lambda data: data["templates"][0].update(text="{{ sections[7].name.x.y }}"))
        company.notify()
        assert "Old guide" in company.post.text("ann@example.com")
