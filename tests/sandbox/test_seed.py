"""What the pretend site holds at first: believable, the same every time, and enough for every job to find work."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from addon.sandbox.people import BOT
from addon.sandbox.seed import seed_demo, seed_sized
from addon.sandbox.site import Site
from tests.support.clock import VirtualClock

YEAR = timedelta(days=366)


@pytest.fixture
def company(clock: VirtualClock) -> Site:
    site = Site(clock)
    seed_demo(site)
    return site


def test_the_demo_is_a_small_company_with_a_dozen_spaces_and_a_few_hundred_contents(company: Site) -> None:
    kinds = Counter(content.kind for content in company.contents())
    assert 12 <= len(company.spaces()) <= 15
    assert 250 <= kinds["page"] <= 600
    assert kinds["blogpost"] >= 25
    assert {space.type for space in company.spaces()} == {"global", "knowledge_base", "collaboration", "personal"}
    assert {space.status for space in company.spaces()} == {"current", "archived"}
    assert all(space.homepage_id and company.get(space.homepage_id) for space in company.spaces())


def test_ages_reach_from_days_to_four_years_and_none_lies_ahead(company: Site, clock: VirtualClock) -> None:
    ages = [clock.now() - content.updated_at for content in company.contents()]
    assert min(ages) > timedelta(0)
    assert max(ages) < timedelta(days=1800)
    fresh, middle, old = (
        sum(low <= age < high for age in ages)
        for low, high in ((timedelta(0), YEAR), (YEAR, 2 * YEAR), (2 * YEAR, 9 * YEAR))
    )
    assert fresh > middle > 40
    assert old > 60
    assert all(content.created_at <= content.updated_at for content in company.contents())


def test_people_have_addresses_some_hidden_one_left_and_roles_to_try(company: Site) -> None:
    people = [company.people[account] for account in company.people if account != BOT]
    assert len(people) >= 12
    assert sum(not person.email_visible for person in people) >= 2
    assert sum(not person.active for person in people) == 1
    assert company.people.is_admin("u-admin")
    assert company.people["u-sales-lead"].email == "diego.alvarez@rivermark.example"
    ops, eng = company.space("OPS"), company.space("ENG")
    assert company.access.permits("u-ops-lead", ops.id, "administer")
    assert not company.access.permits("u-ops-lead", eng.id, "administer")


def test_long_expired_pages_carry_old_stamps_so_that_archiving_has_leaves_homes_and_parents(
    company: Site, clock: VirtualClock
) -> None:
    stamped = [c for c in company.contents() if c.properties.get("steward-status")]
    expired = [c for c in stamped if c.properties["steward-status"].value["id"] == "expired"]
    assert all(c.properties["steward-status"].value["content"] == c.id for c in stamped)
    half_a_year_ago = (clock.now() - timedelta(days=190)).isoformat()
    assert all(c.properties["steward-status"].value["changedOn"] < half_a_year_ago for c in expired)
    homes = {space.homepage_id for space in company.spaces()}
    parents = {c.id for c in expired if company.live.children(c.id)}
    assert {c.id for c in expired} & homes
    assert parents - homes
    assert len([c for c in expired if c.id not in parents]) >= 15
    assert [c for c in stamped if c not in expired and clock.now() - c.updated_at < YEAR]


def test_some_pages_are_hidden_from_the_app_some_restricted_with_it_and_one_is_read_only(company: Site) -> None:
    pages = {content.title: content for content in company.contents()}
    assert not company.access.app_sees(pages["Bands 2024"])
    assert company.access.app_sees(pages["Interview guide"])
    assert company.access.restriction(pages["Hiring"].id, "read") is not None
    assert company.access.app_sees(pages["Signature matrix"])
    assert not company.access.app_edits(pages["Signature matrix"])


def test_review_dates_have_passed_are_to_come_or_protect_old_pages(company: Site, clock: VirtualClock) -> None:
    reviews = [c.properties["steward-review"].value for c in company.contents() if "steward-review" in c.properties]
    today = clock.now().date().isoformat()
    assert any(review.get("expirationDate", "9") < today for review in reviews)
    assert any(review.get("expirationDate", "0") > today for review in reviews)
    assert any(review.get("keep") for review in reviews)


def test_the_same_seed_makes_the_same_site(company: Site) -> None:
    again = Site(VirtualClock())
    seed_demo(again)
    assert list(again.contents()) == list(company.contents())


@pytest.mark.parametrize(("spaces", "pages"), [(1, 1), (3, 10), (7, 700)])
def test_a_sized_site_has_exactly_the_contents_asked_for_in_equal_spaces(
    clock: VirtualClock, spaces: int, pages: int
) -> None:
    site = Site(clock)
    seed_sized(site, spaces=spaces, pages=pages)
    shares = [sum(1 for _ in site.contents(space.key)) for space in site.spaces()]
    assert len(shares) == spaces
    assert sum(shares) == pages
    assert max(shares) - min(shares) <= 1


def test_a_fifth_of_a_sized_site_is_not_up_to_date(clock: VirtualClock) -> None:
    site = Site(clock)
    seed_sized(site, spaces=4, pages=2000)
    old = sum(clock.now() - content.updated_at > YEAR for content in site.contents())
    assert 0.19 <= old / 2000 <= 0.21
    assert {content.kind for content in site.contents()} == {"page", "blogpost"}
    assert not any(content.properties for content in site.contents())


def test_a_sized_site_can_carry_stamps_of_what_expired_long_ago(clock: VirtualClock) -> None:
    site = Site(clock)
    seed_sized(site, spaces=2, pages=100, stamped=True)
    stamped = [content for content in site.contents() if content.properties]
    assert len(stamped) == 10
    assert all(clock.now() - content.updated_at > 2 * YEAR for content in stamped)


def test_a_sized_site_can_have_personal_spaces_and_grow(clock: VirtualClock) -> None:
    site = Site(clock)
    seed_sized(site, spaces=5, pages=50, personal=3)
    assert [space.type for space in site.spaces()] == ["global"] * 2 + ["personal"] * 3
    seed_sized(site, spaces=2, pages=20)
    assert [space.type for space in site.spaces()][5:] == ["global"] * 2
    assert len(site.live) == 70


def test_a_site_smaller_than_its_spaces_is_refused(clock: VirtualClock) -> None:
    with pytest.raises(ValueError, match="at least one page"):
        seed_sized(Site(clock), spaces=5, pages=4)


def test_a_hundred_thousand_contents_are_made_in_seconds(clock: VirtualClock) -> None:
    site = Site(clock)
    seed_sized(site, spaces=200, pages=100_000)
    assert len(site.live) == 100_000
