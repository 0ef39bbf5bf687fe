"""A process that dies for real at a failpoint: `python -m tests.engine.dying_process URL TENANT STORY POINT`."""

from __future__ import annotations

import os
import sys

import addon.migrations.tables  # noqa: F401  (registers every table)
from addon.base import Database, TenantId
from addon.engine import failpoints
from tests.engine.stories import STORIES, World
from tests.support.clock import VirtualClock

KILLED = 137


def main(url: str, tenant: str, story: str, point: str) -> None:
    def die(passed: str) -> None:
        if passed == point:
            os._exit(KILLED)

    with failpoints.armed(die):
        STORIES[story](World(Database(url), VirtualClock(), TenantId(tenant)))


if __name__ == "__main__":
    main(*sys.argv[1:])
