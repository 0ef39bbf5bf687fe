"""Ids sort by time, secrets open with any configured key, problems name the field."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.fernet import Fernet

from addon.base import SecretBox, new_id
from addon.base.secrets import SecretUnreadable


def test_ids_are_version_7_and_sort_in_the_order_they_were_made_in() -> None:
    ids = [new_id() for _ in range(5_000)]
    assert all(uuid.UUID(value).version == 7 and uuid.UUID(value).variant == uuid.RFC_4122 for value in ids)
    assert ids == sorted(set(ids))


def test_ids_made_by_many_threads_at_once_are_all_different() -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: new_id(), range(4_000)))
    assert len(set(ids)) == 4_000


def test_an_old_key_still_opens_what_it_sealed_and_rotation_moves_to_the_newest() -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    sealed = SecretBox([old]).seal("shared")
    both = SecretBox([new, old])
    assert both.open(sealed) == "shared"
    assert SecretBox([new]).open(both.rotate(sealed)) == "shared"
    with pytest.raises(SecretUnreadable):
        SecretBox([new]).open(sealed)


def test_no_key_is_no_box() -> None:
    with pytest.raises(ValueError, match="at least one"):
        SecretBox([])
