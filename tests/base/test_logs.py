"""A log line is found by its action and by what it is about, in every room and every library."""

import logging
import threading
from collections.abc import Iterator
from contextvars import copy_context
from io import StringIO

import pytest

from addon.base.logs import about, bind, formatter, get_logger, unbind


@pytest.fixture
def written() -> Iterator[StringIO]:
    """What the process would have written to standard error."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter())
    logger = logging.getLogger("addon.written")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield stream
    logger.removeHandler(handler)


def line(stream: StringIO) -> str:
    """Return the one line of `stream` without its time."""
    [text] = stream.getvalue().splitlines()
    time, _, rest = text.partition(" ")
    assert time.startswith("timestamp=20")
    assert time.endswith("Z")
    return rest


def test_a_line_has_its_action_before_its_sentence_and_its_ids_behind(written: StringIO) -> None:
    get_logger("addon.written").warning("a mail waits", action="mail_put_off", mail="m1", tenant="t1")
    assert (
        line(written) == 'level=warning logger=addon.written action=mail_put_off event="a mail waits" tenant=t1 mail=m1'
    )


def test_what_a_thread_is_about_is_on_every_line_of_it_also_of_libraries(written: StringIO) -> None:
    with about(tenant="t1", execution="e1", space=None):
        logging.getLogger("addon.written.library").warning("retrying %s", "a")
    assert line(written) == ('level=warning logger=addon.written.library event="retrying a" tenant=t1 execution=e1')


def test_a_pools_thread_is_about_nothing_until_it_gets_the_context(written: StringIO) -> None:
    log = get_logger("addon.written")

    def say() -> None:
        log.info("said", action="said")

    with about(tenant="t1"):
        context = copy_context()
        for work in (say, lambda: context.run(say)):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
    first, second = written.getvalue().splitlines()
    assert "tenant" not in first
    assert second.endswith("tenant=t1")


def test_what_is_bound_ends_with_unbind(written: StringIO) -> None:
    bind(tenant="t1")
    unbind("tenant", "execution")
    get_logger("addon.written").info("said", action="said")
    assert "tenant" not in line(written)


def test_what_a_site_sent_stays_on_its_line_and_controls_no_terminal(written: StringIO) -> None:
    get_logger("addon.written").info("said", action="said", error='a\x1b[31m\r "b"\nlevel=error')
    assert line(written).endswith(
        'error="a\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER} \\"b\\"\\nlevel=error"'
    )


def test_a_traceback_follows_its_line(written: StringIO) -> None:
    try:
        raise ValueError("bad")
    except ValueError:
        get_logger("addon.written").exception("failed", action="failed", tenant="t1")
    first, second, *_, last = written.getvalue().splitlines()
    assert first.endswith("action=failed event=failed tenant=t1")
    assert second == "Traceback (most recent call last):"
    assert last == "ValueError: bad"


def test_a_handler_of_another_kind_gets_the_sentence_and_the_fields(caplog: pytest.LogCaptureFixture) -> None:
    get_logger("addon.written").warning("100 % full", action="full", tenant="t1")
    [record] = caplog.records
    assert record.getMessage() == "100 % full"
    assert vars(record).items() >= {"action": "full", "tenant": "t1"}.items()
