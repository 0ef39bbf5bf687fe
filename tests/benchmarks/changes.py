"""Changes on the site between two runs: contents that people edit, and contents that grow old."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta
from itertools import islice

from addon.sandbox.site import ADMIN, Site
from tests.benchmarks.model import DEFAULT, FRESHNESS, plain_status, shared

AGED = timedelta(days=400)
"""Long enough without an update to be "not-updated", and not to be expired."""


def change_some(site: Site, number: int) -> None:
    """Give `number` contents another status: half of them grow old, half are brought up to date again."""
    with site.lock:
        old = (content.id for content in shared(site) if plain_status(site, content, FRESHNESS) != DEFAULT)
        edited = list(islice(old, number - number // 2))
        young = (content.id for content in shared(site) if plain_status(site, content, FRESHNESS) == DEFAULT)
        aged = list(islice(young, number // 2))
        for content_id in edited:
            site.edit(content_id)
        age(site, aged)


def age(site: Site, content_ids: Sequence[str]) -> None:
    """Let nobody have updated these contents for more than a year."""
    for content_id in content_ids:
        site.edit(content_id, at=site.clock.now() - AGED)


def label_sections(site: Site, label: str) -> int:
    """Label the first section of each shared space; return how many there are."""
    number = 0
    with site.lock:
        for content in list(shared(site)):
            if content.title.startswith("Page 1 of "):
                site.label(content.id, label)
                number += 1
    return number


def close_some(site: Site, number: int) -> list[str]:
    """Let the app edit `number` contents no more, and let a fifth of them have grown old before; return their ids."""
    chance = random.Random(1)
    with site.lock:
        ids = [content.id for content in shared(site)]
        closed = sorted(chance.sample(ids, number), key=int)
        young = [each for each in closed if plain_status(site, site.get(each), FRESHNESS) == DEFAULT]
        age(site, young[: number // 5])
        for content_id in closed:
            site.restrict(content_id, users=[ADMIN], operation="update")
    return closed


def open_again(site: Site, content_ids: Sequence[str]) -> None:
    """Let the app edit these contents again."""
    with site.lock:
        for content_id in content_ids:
            site.unrestrict(content_id)
