"""The log of the add-on: one event a line, found by its action and by what it is about.

A line is written through structlog and the standard library:

    log = get_logger(__name__)
    log.warning("The lease has expired; the execution is free again.", action="lease_expired", execution=row.id)

The event is a constant sentence for people and is never put together from values, so that equal lines can be counted.
`action` is the same for programs, and each line has its own. The ids are `tenant`, `execution`, `space` (its key),
`content` and `schedule`, as far as they are known; what several lines of one piece of work have in common is bound once
with `about` and then is on the lines of libraries too. A secret is never a value.
"""

from __future__ import annotations

import logging
import re
import sys
from contextlib import AbstractContextManager
from datetime import UTC, datetime

import structlog
from structlog.stdlib import BoundLogger, ExtraAdder, LoggerFactory, ProcessorFormatter, filter_by_level
from structlog.typing import EventDict, WrappedLogger

_FIRST = ("timestamp", "level", "logger", "action", "event", "tenant", "execution", "space")
_CHATTY = ("apscheduler", "urllib3", "waitress.queue", "mail.log", "atlassian", "alembic", "procrastinate")
"""Libraries that write at INFO what no one needs in normal times."""
_UNPRINTABLE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def get_logger(name: str) -> BoundLogger:
    """Return the logger of a module; `name` is its `__name__`, by which the standard library filters."""
    logger: BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def about(**ids: str | None) -> AbstractContextManager[None]:
    """Put `ids` on every line that this thread writes inside the context; None is left out.

    A pool's thread has a context of its own: hand it over with `contextvars.copy_context().run`.
    """
    return structlog.contextvars.bound_contextvars(**{key: value for key, value in ids.items() if value is not None})


def bind(**ids: str) -> None:
    """Put `ids` on every line that this thread writes until `unbind`: for frameworks that call before and after."""
    structlog.contextvars.bind_contextvars(**ids)


def unbind(*names: str) -> None:
    """Take ids off that `bind` has put on; names that are not bound do no harm."""
    structlog.contextvars.unbind_contextvars(*names)


def configure(*, verbose: bool = False) -> None:
    """Write all logs of this process to standard error as lines of key=value, tracebacks below their line.

    `verbose` adds the lines at DEBUG and what libraries say at INFO. Called once, by the command line; a root logger
    that has handlers already keeps them.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter())
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler])
    if not verbose:
        for library in _CHATTY:
            logging.getLogger(library).setLevel(logging.WARNING)


def formatter() -> ProcessorFormatter:
    """Return the formatter of the lines of the add-on and of its libraries alike."""
    return ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.contextvars.merge_contextvars,
            ExtraAdder(),
            _when,
        ],
        processors=[
            ProcessorFormatter.remove_processors_meta,
            _on_one_line,
            structlog.processors.LogfmtRenderer(key_order=_FIRST, drop_missing=True),
        ],
        keep_exc_info=True,
    )


def _when(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the time at which the record was made; a slow handler writes it later."""
    made = datetime.fromtimestamp(event["_record"].created, UTC)
    event["timestamp"] = made.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return event


def _on_one_line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Leave tracebacks to the standard library, and no control character in what a site or a mail server sent."""
    return {
        key: value if isinstance(value, bool | None) else _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", str(value))
        for key, value in event.items()
        if key not in ("exc_info", "stack_info")
    }


structlog.configure(
    processors=[
        filter_by_level,
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.render_to_log_kwargs,
    ],
    logger_factory=LoggerFactory(),
    wrapper_class=BoundLogger,
    cache_logger_on_first_use=True,
)
