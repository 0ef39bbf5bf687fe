"""What the Jobs screen shows of the present, and the hold on all schedules."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from addon.engine.models import AuditEvent
from addon.jobs import apply_policies
from tests.screens.conftest import ADMIN, SAM, House


def by_slug(house: House, **query: str) -> dict[str, dict[str, object]]:
    return {job["job"]: job for job in house.get("/jobs", **query).json["items"]}


def test_the_jobs_are_there_with_their_next_times(house: House) -> None:
    answer = house.get("/jobs").json
    assert [job["job"] for job in answer["items"]] == ["refresh-statuses", "send-notifications", "execute-automations"]
    refresh, notify, automate = answer["items"]
    assert refresh["nextAt"] > "2026-11-22T12:00:00"
    assert refresh["startable"] is True
    assert (notify["nextAt"], automate["nextAt"]) == (None, None)
    assert (refresh["dryRun"], automate["dryRun"]) == (False, True)
    assert answer["current"] is None
    assert answer["hold"]["on"] is False
    assert answer["firstRun"] is False
    assert answer["timeZone"] == "Europe/Berlin"
    assert [status["id"] for status in answer["statuses"]] == ["expired", "not-updated", "up-to-date"]


def test_while_one_runs_no_other_is_startable_and_the_reason_is_given(house: House) -> None:
    running = house.start().json["id"]
    answer = house.get("/jobs").json
    assert answer["current"]["id"] == running
    assert {job["startable"] for job in answer["items"]} == {False}
    assert "only one runs at a time" in answer["items"][0]["reason"]


def test_a_job_that_needs_something_says_so_before_anybody_clicks(house: House) -> None:
    house.jobs["send-notifications"].refusal = "No mail transport is configured."
    jobs = by_slug(house)
    assert jobs["send-notifications"]["startable"] is False
    assert jobs["send-notifications"]["reason"] == "No mail transport is configured."
    assert jobs["refresh-statuses"]["startable"] is True


def test_an_excluded_space_shows_that_it_is_and_offers_nothing(house: House) -> None:
    house.site.add_space("~sam", "Sam", type="personal", admins=[SAM])
    answer = house.get("/jobs", account=SAM, spaceKey="~sam").json
    assert answer["space"]["excluded"] == "excluded by rule: personal spaces"
    assert not any(job["startable"] for job in answer["items"])


def test_a_hold_stops_scheduled_starts_says_who_and_ends_by_itself(house: House) -> None:
    until = (house.clock.now() + timedelta(days=2)).isoformat()
    answer = house.call("POST", "/hold", json={"on": True, "reason": "Migration weekend", "until": until})
    assert answer.status_code == 200, answer.json
    hold = house.get("/jobs").json["hold"]
    assert (hold["on"], hold["reason"], hold["by"]) == (True, "Migration weekend", ADMIN)
    assert house.get("/policies").json["schedules"]["hold"]["on"] is True
    house.clock.advance(timedelta(days=1))
    assert house.parts.engine.schedule_tick() == 0
    assert house.start().status_code == 201
    house.parts.engine.run_due()
    house.clock.advance(timedelta(days=1, minutes=1))
    assert house.get("/jobs").json["hold"]["on"] is False
    assert house.parts.engine.schedule_tick() == 1


def test_saving_other_policies_leaves_the_hold_to_the_person_who_set_it(house: House) -> None:
    def events() -> list[tuple[str, str | None]]:
        with house.parts.db.read(house.tenant_id) as session:
            lane = sa.select(AuditEvent).where(AuditEvent.execution_id.is_(None)).order_by(AuditEvent.id)
            return [(event.tag.removeprefix("job:lane:"), event.actor_id) for event in session.scalars(lane)]

    def save(by: str, **hold: object) -> None:
        with house.parts.db.write(house.tenant_id) as session:
            version, document = house.parts.policies.current(session, house.tenant_id)
            data = document.data()
            data["schedules"]["hold"].update(hold)
            data["schedules"]["refreshStatuses"]["cron"] = f"{version} 3 * * *"
            house.parts.policies.put(
                session, house.tenant_id, house.parts.policies.check(data), if_match=version, by=by
            )
            _, stored = house.parts.policies.current(session, house.tenant_id)
            apply_policies(house.parts.engine, session, house.tenant_id, stored, by=by)

    house.call("POST", "/hold", json={"on": True, "reason": "Migration weekend"})
    before = events()
    assert before[-1] == ("held", ADMIN)
    save("u-other")
    hold = house.get("/jobs").json["hold"]
    assert (hold["on"], hold["by"]) == (True, ADMIN)
    assert events() == before, "the same hold is one event"
    save("u-other", reason="Migration week")
    assert house.get("/jobs").json["hold"]["by"] == "u-other", "another hold is the other person's"
    save("u-third", on=False, reason=None)
    save("u-fourth")
    assert events() == [*before, ("held", "u-other"), ("released", "u-third")]


def test_a_hold_is_released(house: House) -> None:
    house.call("POST", "/hold", json={"on": True})
    assert house.call("POST", "/hold", json={"on": False}).json["on"] is False
    house.clock.advance(timedelta(hours=7))
    assert house.parts.engine.schedule_tick() == 1


def test_a_hold_that_cannot_be_meant_is_refused(house: House) -> None:
    for body in (
        {},
        {"on": "yes"},
        {"on": True, "until": "2020-01-01T00:00:00Z"},
        {"on": True, "until": "2030-01-01T00:00:00"},
        {"on": True, "until": "soon"},
        {"on": True, "reason": "a\u0000b"},
        {"on": True, "reason": "x" * 501},
        {"on": True, "why": "because"},
    ):
        answer = house.call("POST", "/hold", json=body)
        assert answer.status_code == 422, body
        assert answer.json["errors"], body
    assert house.get("/jobs").json["hold"]["on"] is False


def test_the_revision_changes_with_every_change_of_the_log_and_with_nothing_else(house: House) -> None:
    revisions = [house.get("/jobs").json["revision"]]
    assert house.get("/jobs").json["revision"] == revisions[0]
    started = house.start().json["id"]
    revisions.append(house.get("/jobs").json["revision"])
    house.call("POST", f"/executions/{started}/cancel")
    revisions.append(house.get("/jobs").json["revision"])
    house.run("send-notifications")
    revisions.append(house.get("/jobs").json["revision"])
    assert len(set(revisions)) == 4
