from __future__ import annotations

import pytest
from sqlalchemy import exc

from addon.jobs.faults import reason_of


def test_a_database_that_is_away_is_no_contents_and_no_spaces_fault() -> None:
    away = exc.OperationalError("SELECT", {}, Exception("the server closed the connection"))
    with pytest.raises(exc.OperationalError) as raised:
        reason_of(away)
    assert raised.value is away
