"""The trigger that keeps ended executions as they are, on both databases.

Deleting them stays possible, and so does clearing who started or cancelled them: a person may have to be erased.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from addon.engine.models import TERMINAL, JobExecution

_NAME = "job_execution_terminal_rows_never_change"
_MAY_BECOME_NULL = ("retry_of", "started_by", "cancel_requested_by")
_MESSAGE = "an execution that has ended never changes"


def _columns() -> list[Any]:
    return [column for column in JobExecution.__table__.columns if column.name not in _MAY_BECOME_NULL]


def _terminal() -> str:
    return f"OLD.status IN ({', '.join(repr(status) for status in TERMINAL)})"


def _sqlite() -> tuple[str, str]:
    changed = [f"NEW.{column.name} IS NOT OLD.{column.name}" for column in _columns()]
    changed += [f"(NEW.{name} IS NOT NULL AND NEW.{name} IS NOT OLD.{name})" for name in _MAY_BECOME_NULL]
    create = (
        f"CREATE TRIGGER {_NAME} BEFORE UPDATE ON job_execution\n"
        f"WHEN {_terminal()} AND (\n  " + "\n  OR ".join(changed) + "\n)\n"
        f"BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END"
    )
    return create, f"DROP TRIGGER IF EXISTS {_NAME}"


def _postgresql() -> tuple[str, str]:
    def text(prefix: str, column: Any) -> str:
        # json has no equality; its text has.
        return f"{prefix}.{column.name}::text" if isinstance(column.type, sa.JSON) else f"{prefix}.{column.name}"

    changed = [f"{text('NEW', column)} IS DISTINCT FROM {text('OLD', column)}" for column in _columns()]
    changed += [f"(NEW.{name} IS NOT NULL AND NEW.{name} IS DISTINCT FROM OLD.{name})" for name in _MAY_BECOME_NULL]
    create = (
        f"CREATE FUNCTION {_NAME}() RETURNS trigger LANGUAGE plpgsql AS $body$\n"
        f"BEGIN RAISE EXCEPTION '{_MESSAGE}' USING ERRCODE = 'restrict_violation'; END $body$;\n"
        f"CREATE TRIGGER {_NAME} BEFORE UPDATE ON job_execution FOR EACH ROW\n"
        f"WHEN ({_terminal()} AND (\n  " + "\n  OR ".join(changed) + f"\n)) EXECUTE FUNCTION {_NAME}()"
    )
    drop = f"DROP TRIGGER IF EXISTS {_NAME} ON job_execution;\nDROP FUNCTION IF EXISTS {_NAME}()"
    return create, drop


TRIGGER_DDL: dict[str, tuple[str, str]] = {"sqlite": _sqlite(), "postgresql": _postgresql()}
"""By dialect: the statements that create and drop the trigger, for MetaData.create_all and for the migration."""

for _dialect, (_create, _drop) in TRIGGER_DDL.items():
    event.listen(JobExecution.__table__, "after_create", sa.DDL(_create).execute_if(dialect=_dialect))
    if _dialect == "postgresql":
        event.listen(JobExecution.__table__, "before_drop", sa.DDL(_drop).execute_if(dialect=_dialect))
