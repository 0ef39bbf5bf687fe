"""The modules that a refresh of one space runs through: what somebody has to read who wants to follow one."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from addon.jobs import statuses
from tests.jobs.conftest import Bench

ROOM = Path(statuses.__file__).parent
MOST = 9


def test_a_refresh_of_one_space_that_changes_a_status_is_read_in_at_most_nine_modules(
    docs: Bench,
) -> None:
    docs.page("DOCS", "First", months=30)
    docs.refresh()
    docs.clock.advance(24 * 3600)
    second = docs.page("DOCS", "Second", months=30)
    space = docs.site.spaces()[0]
    run = docs.run(scope="space", space_id=space.id, space_key=space.key)
    entered: set[Path] = set()

    def note(frame: FrameType, event: str, arg: Any) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and ROOM in path.parents and frame.f_code.co_name != "<module>":
            entered.add(path.relative_to(ROOM))

    before = sys.getprofile()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        run.go(docs.refresh_job)
    finally:
        sys.setprofile(before)
        threading.setprofile(None)
    assert docs.stamp(second) == "expired"
    assert len(entered) <= MOST, sorted(map(str, entered))
