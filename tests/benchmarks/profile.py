"""The sizes of what is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """Sizes of one bench. All contents lie in equal spaces; every tenth is a blog post, every fifth not up to date.

    `usual`: contents and spaces of the twin site on which the usual script is measured, as dense as the large one.
    `crowd`: contents, shared spaces and personal spaces of the site with personal spaces. `wall`: contents and spaces
    of the run by the wall clock, None where it is not measured. `memory`: contents and spaces of the site as it grows
    from run to run: warm-up, small, large; None where it is not measured. `ticks`: installations of each tick.
    """

    contents: int
    spaces: int
    usual: tuple[int, int]
    crowd: tuple[int, int, int]
    wall: tuple[int, int] | None
    memory: tuple[tuple[int, int], ...] | None
    ticks: tuple[int, ...]


DEFAULT = Profile(
    contents=100_000,
    spaces=200,
    usual=(2_000, 4),
    crowd=(60_000, 200, 3_000),
    wall=(10_000, 20),
    memory=((2_000, 4), (10_000, 20), (100_000, 200)),
    ticks=(300, 1_000),
)
LONG = Profile(
    contents=1_000_000,
    spaces=200,
    usual=(2_000, 1),
    crowd=(60_000, 200, 3_000),
    wall=(10_000, 20),
    memory=((2_000, 4), (10_000, 20), (100_000, 200)),
    ticks=(1_000, 3_000, 10_000),
)
SHORT = Profile(
    contents=500,
    spaces=10,
    usual=(100, 1),
    crowd=(600, 6, 60),
    wall=None,
    memory=None,
    ticks=(),
)
