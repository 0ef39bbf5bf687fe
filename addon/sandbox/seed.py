"""The pretend site's first contents: a small company's wiki for the demo, or equal spaces of any number.

Both are the same every time for the same seed and clock. Ages are relative to the site's clock.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from addon.sandbox.people import ADMINISTRATORS, BOT
from addon.sandbox.records import Content
from addon.sandbox.site import ADMIN, Site

COMPANY = Path(__file__).with_name("company.yaml")
DOMAIN = "rivermark.example"
EXPIRES_AFTER = timedelta(days=732)
"""Content without an update for this long is certainly past the shipped "Expired" limit of 24 months."""
LONG_EXPIRED = timedelta(days=945)
"""Content this old has been expired for more than the six months that the shipped automation waits."""
LEFT_AGO = timedelta(days=500)
"""When the people who left the company did so."""
AGE_BANDS = ((62, 5, 355), (18, 370, 715), (10, 735, 940), (10, 950, 1440))
"""(weight, from, to) in days since the last update; the bands keep clear of the shipped limits of 12 and 24 months."""
YEAR = re.compile(r"\b(20\d\d)\b")


def seed_demo(site: Site, *, namespace: str = "steward", seed: int = 7) -> None:
    """Fill an empty site with a dozen spaces and a few hundred pages and blog posts of a small company.

    Some carry status stamps and review dates from an earlier life of the add-on (properties `<namespace>-status` and
    `<namespace>-review`), so that what expired long ago can be archived at once.
    """
    company = yaml.safe_load(COMPANY.read_text(encoding="utf-8"))
    site.title = company["company"]
    for person in company["people"]:
        _add_person(site, person)
    writer = _Company(site, namespace, random.Random(seed), company)  # noqa: S311 - a believable mixture, no secret
    for entry in company["spaces"]:
        writer.add_space(entry)
    writer.stamp_the_long_expired()
    writer.add_reviews()
    writer.add_outdated_stamps()


def seed_sized(
    site: Site,
    *,
    spaces: int,
    pages: int,
    seed: int = 1,
    stamped: bool = False,
    personal: int = 0,
    namespace: str = "steward",
) -> None:
    """Fill a site with `spaces` equal spaces that hold `pages` pages and blog posts in all, home pages included.

    `personal` of them, the last ones, are personal spaces. Called again, it adds further spaces.

    Of ten contents one was last updated 13 to 23 months ago and one more than 31 months ago (about 20 % are not up to
    date); one in ten is a blog post. With `stamped`, the oldest carry a stamp that says they expired long ago. Raises
    ValueError for less than one space, or fewer contents than spaces.
    """
    if spaces < 1 or pages < spaces:
        raise ValueError("a site needs at least one space, and at least one page for each space")
    chance = random.Random(seed)  # noqa: S311 - a believable mixture, no secret
    writers = [f"u-writer-{number}" for number in range(1, 21)]
    for number, account_id in enumerate(writers, start=1):
        if account_id not in site.people:
            site.add_user(account_id, f"Writer {number}", f"writer{number}@{DOMAIN}")
    with site.lock:
        there = len(site.spaces())
        for number in range(spaces):
            share = pages // spaces + (1 if number < pages % spaces else 0)
            key = f"S{there + number + 1:04}"
            kind = "global" if number < spaces - personal else "personal"
            created = site.clock.now() - timedelta(days=1600)
            site.add_space(key, f"Space {key[1:]}", type=kind, created_at=created, homepage=False)
            _fill_space(site, key, share, chance, writers, namespace if stamped else None)


def _fill_space(
    site: Site, key: str, share: int, chance: random.Random, writers: Sequence[str], namespace: str | None
) -> None:
    now, space = site.clock.now(), site.space(key)
    section = home = site.add_page(key, f"{space.name} home", created_at=now - timedelta(days=30))
    space.homepage_id = home.id
    for number in range(1, share):
        author = writers[chance.randrange(len(writers))]
        days = {3: chance.randrange(400, 700), 7: chance.randrange(960, 1400)}.get(
            number % 10, chance.randrange(5, 350)
        )
        updated = now - timedelta(days=days, minutes=chance.randrange(1440))
        times = {"author": author, "created_at": updated - timedelta(days=90), "updated_at": updated}
        if number % 10 == 9:
            site.add_blogpost(key, f"Post {number} of {key}", **times)
            continue
        is_section = number % 10 == 1
        page = site.add_page(key, f"Page {number} of {key}", parent=(home if is_section else section).id, **times)
        section = page if is_section else section
        if namespace and days >= LONG_EXPIRED.days:
            _stamp(site, page, namespace, "expired", "not-updated", updated + EXPIRES_AFTER)


def _add_person(site: Site, person: dict[str, Any]) -> None:
    plain = unicodedata.normalize("NFKD", person["name"]).encode("ascii", "ignore").decode().lower()
    address = re.sub(r"[^a-z]+", ".", plain.replace("'", "")).strip(".")
    site.add_user(
        person["id"],
        person["name"],
        f"{address}@{DOMAIN}",
        email_visible=not person.get("hidden", False),
        time_zone=person["zone"],
        admin=person.get("admin", False),
        active=not person.get("left", False),
    )


@dataclass
class _Company:
    """Writes the company's spaces; every draw comes from one source of chance, in one order."""

    site: Site
    namespace: str
    chance: random.Random
    company: dict[str, Any]

    def __post_init__(self) -> None:
        self.now = self.site.clock.now()

    def add_space(self, entry: dict[str, Any]) -> None:
        """Add one space with its home page, sections, leaves and blog posts."""
        space = self.site.add_space(
            entry["key"],
            entry["name"],
            type=entry.get("type", "global"),
            status=entry.get("status", "current"),
            author=entry["lead"],
            admins=[entry["lead"]],
            labels=entry["labels"][:1],
            created_at=self.now - timedelta(days=1500 + self.chance.randrange(200)),
            homepage=False,
        )
        home = self._add_page(entry, f"{entry['name']} home", None, old="home" in entry.get("old", ()))
        space.homepage_id = home.id
        for title, leaves in entry["pages"].items():
            section = self._add_page(entry, title, home.id, old=title in entry.get("old", ()))
            for leaf in leaves:
                self._add_page(entry, leaf, section.id)
            self._restrict(entry, section)
        for title in entry["posts"]:
            self.site.add_blogpost(entry["key"], title, **self._history(entry, title))

    def _add_page(self, entry: dict[str, Any], title: str, parent: str | None, *, old: bool = False) -> Content:
        history = self._history(entry, title)
        days = self._forced_age(entry, title, parent, old=old)
        if days is not None:
            history["updated_at"] = self.now - timedelta(days=days)
            history["created_at"] = history["updated_at"] - timedelta(days=60)
        page = self.site.add_page(entry["key"], title, parent=parent, **history)
        if title in entry.get("locked", ()):
            self.site.restrict(page.id, users=[entry["lead"]], groups=[ADMINISTRATORS], operation="update")
        return page

    def _forced_age(self, entry: dict[str, Any], title: str, parent: str | None, *, old: bool) -> int | None:
        """Return the days since the last update of pages that the demo tells something with, else None."""
        if old:
            return 1000 + self.chance.randrange(300)
        if title in entry.get("locked", ()):
            return LEFT_AGO.days
        return self.chance.randrange(5, 200) if parent is None else None

    def _history(self, entry: dict[str, Any], title: str) -> dict[str, Any]:
        updated = self._updated(title)
        people = [entry["lead"], *entry["people"]]
        if updated > self.now - LEFT_AGO:
            people = [account_id for account_id in people if self.site.people[account_id].active]
        labels = self.chance.sample(
            [*entry["labels"], *self.company["labels"]["general"]], self.chance.choice((0, 1, 1, 2))
        )
        return {
            "author": self.chance.choice(people),
            "updater": self.chance.choice(people),
            "created_at": updated - timedelta(days=self.chance.randrange(1, 420)),
            "updated_at": updated,
            "version": self.chance.randrange(2, 30),
            "labels": labels,
            "body": _body(title, entry["name"], self.chance),
        }

    def _updated(self, title: str) -> datetime:
        (band,) = self.chance.choices(AGE_BANDS, weights=[band[0] for band in AGE_BANDS])
        updated = self.now - timedelta(
            days=self.chance.randrange(band[1], band[2]), minutes=self.chance.randrange(1440)
        )
        year = YEAR.search(title)
        if year and int(year[1]) <= self.now.year:
            last_day = datetime(int(year[1]), 12, 20, 15, tzinfo=UTC)
            updated = min(last_day - timedelta(days=self.chance.randrange(200)), self.now - timedelta(days=3))
        return updated

    def _restrict(self, entry: dict[str, Any], section: Content) -> None:
        rule = entry.get("restricted", {}).get(section.title)
        if rule:
            team = [entry["lead"], *entry["people"]]
            self.site.restrict(section.id, users=[*team, *([BOT] if "shared" in rule else [])], groups=[ADMINISTRATORS])

    def _pages(self) -> Iterator[Content]:
        spaces = {space.id for space in self.site.spaces() if space.status == "current" and space.type != "personal"}
        return (page for page in list(self.site.contents()) if page.kind == "page" and page.space_id in spaces)

    def stamp_the_long_expired(self) -> None:
        """Give most pages that expired more than half a year ago the stamp they would have got then."""
        for page in self._pages():
            old = page.updated_at <= self.now - LONG_EXPIRED
            parent = bool(self.site.live.children(page.id))
            if old and self.site.access.app_edits(page) and (parent or self.chance.random() < 0.75):
                _stamp(self.site, page, self.namespace, "expired", "not-updated", page.updated_at + EXPIRES_AFTER)

    def add_reviews(self) -> None:
        """Let people have set dates: some have passed, some are to come, some old pages were reviewed or are kept."""
        today, key = self.now.date(), f"{self.namespace}-review"
        fresh = [page for page in self._pages() if page.updated_at > self.now - timedelta(days=300)]
        old = [page for page in self._pages() if page.updated_at < self.now - LONG_EXPIRED and not page.properties]
        for number, page in enumerate(self.chance.sample(fresh, 12)):
            days = -self.chance.randrange(10, 120) if number % 2 else self.chance.randrange(30, 400)
            self._set(page, key, {"expirationDate": (today + timedelta(days=days)).isoformat()})
        for page in self.chance.sample(old, min(4, len(old))):
            self._set(page, key, {"reviewedOn": (today - timedelta(days=40)).isoformat(), "keep": True})

    def add_outdated_stamps(self) -> None:
        """Leave stamps on a few pages that were updated since, so that the first refresh has something to take back."""
        fresh = [
            page for page in self._pages() if page.updated_at > self.now - timedelta(days=200) and not page.properties
        ]
        for page in self.chance.sample(fresh, 4):
            _stamp(self.site, page, self.namespace, "not-updated", None, page.updated_at - timedelta(days=50))

    def _set(self, page: Content, key: str, value: dict[str, Any]) -> None:
        self.site.set_property(page.id, key, value, by=page.author_id if page.author_id in self.site.people else ADMIN)


def _stamp(site: Site, page: Content, namespace: str, slug: str, previous: str | None, changed_on: datetime) -> None:
    """Stamp a page as the add-on does (docs/rules/statuses.md 5.2 gives the property's shape)."""
    name = slug.replace("-", " ").capitalize()
    value = {
        "id": slug,
        "name": {"value": name},
        "tooltip": {"value": f"{name} since {changed_on.date().isoformat()}"},
        "icon": None,
        "previous": previous,
        "changedOn": changed_on.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "content": page.id,
    }
    site.set_property(page.id, f"{namespace}-status", value)


def _body(title: str, space: str, chance: random.Random) -> str:
    openings = (
        f"This page collects what the {space} team knows about {title.lower()}.",
        f"{title}: how we do it today, and why.",
        f"Read this before you ask in the {space} channel about {title.lower()}.",
    )
    middles = (
        "The steps below have been tried by more than one person. If one of them fails, say so in a comment and leave "
        "the rest as it is.",
        "We decided this together. When the reasons no longer hold, change the page and tell the team.",
        "Numbers are rounded. The exact ones are in the report that is linked from the overview.",
    )
    ends = (
        "Questions go to the page's owner, whose name is at the top.",
        "Last checked against what is really in use; please check again before you rely on it.",
        "See also the other pages of this section.",
    )
    return "\n\n".join(chance.choice(part) for part in (openings, middles, ends))
