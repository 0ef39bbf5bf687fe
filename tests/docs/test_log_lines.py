"""Every line that the add-on logs has a constant sentence, an action of its own, and says what it is about."""

import ast
import logging
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
IDS = {"tenant", "execution", "space", "content", "schedule"}
BOUND = {
    "addon/engine/worker/runner.py": "run_next binds the tenant and the execution",
    "addon/engine/worker/settling.py": "run_next binds the tenant and the execution",
    "addon/jobs": "the engine runs it, on threads that run_next has bound, or the line names the tenant",
    "addon/screens": "the boundary of a request binds the tenant",
    "addon/confluence/people.py": "people are asked for inside a run or a request",
    "addon/confluence/rights": "asked inside a request",
}
"""Where every line is written inside a context that has the ids, and who makes it."""
OF_THE_PROCESS = {
    "cancel_check_failed": "asks for all executions of this process at once",
    "connections_limited": "the server, before any request",
    "descriptor_invalid": "the same descriptor for all sites",
    "heartbeat_failed": "one beat for all executions of this process",
    "key_host_down": "the host serves all sites",
    "mail_loop_stopped": "the process stops",
    "mail_server_down_long": "one server for all sites",
    "queue_lost": "one queue for all sites",
    "queue_silent": "one queue for all sites",
    "renderer_ended": "one process renders the mails of all sites",
    "renderer_silent": "one process renders the mails of all sites",
    "report_put_off": "Atlassian answers for all sites together",
    "row_refused": "the database; the caller logs whose it was",
    "runner_failed": "before an execution was claimed",
    "setting_unknown": "the environment",
    "start_failed": "the process starts",
    "stop": "the process stops",
    "stop_timed_out": "the process stops",
    "stop_without_database": "the process stops",
    "tick_failed": "a tick is for all sites",
}
"""Lines about no single tenant, and what they are about instead."""
RESERVED = vars(logging.makeLogRecord({})).keys() | {"message", "asctime"}


@dataclass(frozen=True)
class Line:
    """A call that logs."""

    path: str
    call: ast.Call
    event: ast.expr

    @property
    def action(self) -> str:
        for keyword in self.call.keywords:
            if keyword.arg == "action" and isinstance(keyword.value, ast.Constant):
                return str(keyword.value.value)
        return ""

    def __str__(self) -> str:
        return f"{self.path}:{self.call.lineno}"


def trees() -> Iterator[tuple[str, ast.Module]]:
    for folder in ("addon", "descriptor"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def lines() -> list[Line]:
    """Return every call of a logger, and of the engine's helper that chooses the level."""
    found = []
    for path, tree in trees():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            called = node.func
            if isinstance(called, ast.Attribute) and called.attr in LEVELS and _is_logger(called.value):
                found.append(Line(path, node, node.args[0]))
            elif isinstance(called, ast.Name) and called.id == "log_failure":
                found.append(Line(path, node, node.args[2]))
    return [line for line in found if line.path != "addon/engine/errors.py"]


def _is_logger(value: ast.expr) -> bool:
    return isinstance(value, ast.Name) and value.id in ("log", "logger")


def test_every_line_has_a_constant_sentence_and_an_action_of_its_own() -> None:
    found = lines()
    assert len(found) > 60
    wrong = [
        str(line)
        for line in found
        if not (isinstance(line.event, ast.Constant) and "%" not in str(line.event.value))
        or " " not in str(line.event.value)
        or not re.fullmatch(r"[a-z]+(_[a-z]+)*", line.action)
        or line.call.args[-1] is not line.event
    ]
    assert wrong == []
    assert [action for action, count in Counter(line.action for line in found).items() if count > 1] == []


def test_every_line_says_what_it_is_about() -> None:
    nothing = [
        f"{line} {line.action}"
        for line in lines()
        if IDS.isdisjoint(keyword.arg or "" for keyword in line.call.keywords)
        and line.action not in OF_THE_PROCESS
        and not line.path.startswith(tuple(BOUND))
    ]
    assert nothing == []


def test_no_field_has_the_name_of_one_that_the_standard_library_sets() -> None:
    assert [
        str(line) for line in lines() if RESERVED & {keyword.arg for keyword in line.call.keywords} - {"exc_info"}
    ] == []


def test_every_exemption_is_needed() -> None:
    found = lines()
    assert OF_THE_PROCESS.keys() - {line.action for line in found} == set()
    assert [place for place in BOUND if not any(line.path.startswith(place) for line in found)] == []


def test_no_module_has_a_logger_of_the_standard_library() -> None:
    """Settings of a library's own logger are made where its name is given."""
    wrong = [
        f"{path}:{node.lineno}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("logging.getLogger", "print", "logging.warning", "logging.info", "logging.error")
        and "__name__" in ast.unparse(node)
    ]
    assert wrong == []
