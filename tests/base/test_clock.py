"""A time zone is one of IANA's names; what a machine keeps next to them is none."""

import pytest

from addon.base import known_zone, zone_names


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+12"])
def test_a_name_of_ianas_is_a_zone(name: str) -> None:
    assert known_zone(name).key == name
    assert name in zone_names()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "localtime",
        "Factory",
        "posixrules",
        "posix/Europe/Berlin",
        "right/UTC",
        "europe/berlin",
        "Europe/Berlin ",
        "Europe",
        "Mars/Olympus",
        "GMT+02:00",
        "../etc/passwd",
        "/etc/localtime",
        "a\0b",
        "x" * 5000,
    ],
)
def test_what_only_this_machine_or_no_machine_knows_is_none(name: str) -> None:
    with pytest.raises(ValueError, match="unknown time zone"):
        known_zone(name)
