"""The language of mail templates, and the process that renders them, in one file on purpose.

`render.Renderer` starts this file by its path in an isolated interpreter (`python -I`): it cannot import a neighbour,
and nothing of the add-on, its settings or its keys is loaded into the process that runs what administrators wrote. So
everything that process needs is here, over the standard library and Jinja alone, longer than other modules are.

Templates are Jinja, reduced to printing, conditions, loops and a few filters of our own: no calls, no assignments, no
macros, no way to switch escaping off, so that what an editor writes into a title never becomes markup in a mail. All
work of one rendering is counted against one budget. What a budget cannot see (one long operation inside Python) ends
the process, by its limits of CPU time and memory.
"""

from __future__ import annotations

import json
import math
import resource
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Literal

import jinja2
from jinja2 import filters, meta, nodes
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

Part = Literal["subject", "text", "html"]
PARTS: Final[tuple[Part, ...]] = ("subject", "text", "html")

CPU_SECONDS: Final = 1.0
"""CPU time of one request; the process dies when it is used up."""
MEMORY_BYTES: Final = 512 * 1024 * 1024
"""Address space of the process, the interpreter's own included."""
OUT_OF_MEMORY: Final = 3
"""The exit status of a process that needed more."""
MAX_STEPS: Final = 20_000
"""Passes through loops, and items that filters look at, of one rendering."""
MAX_TEXT: Final = 100_000
"""Characters of any one value that a filter takes or makes."""
MAX_WORK: Final = 5_000_000
"""Characters that all filters of one rendering take and make together."""
MAX_NUMBER: Final = 1_000_000_000
MAX_DIGITS: Final = 9
MAX_CHARACTERS: Final[Mapping[Part, int]] = {"subject": 2_000, "text": 300_000, "html": 1_000_000}
MAX_NESTED_LOOPS: Final = 4
MAX_NESTING: Final = 60
"""Expressions inside each other."""

ALLOWED: tuple[type[nodes.Node], ...] = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Const, nodes.Name, nodes.Getattr, nodes.Getitem,
    nodes.If, nodes.For, nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand, nodes.And, nodes.Or,
    nodes.Not, nodes.Add, nodes.Sub, nodes.Neg, nodes.Concat, nodes.Tuple, nodes.Keyword,
)  # fmt: skip
TESTS = (
    "defined", "undefined", "none", "string", "number", "odd", "even", "in", "eq", "ne", "lt", "le", "gt", "ge",
    "equalto", "lessthan", "greaterthan", "lower", "upper",
)  # fmt: skip
WORDS: Mapping[type[nodes.Node], str] = {
    nodes.Call: "functions cannot be called in a mail template",
    nodes.Assign: "{% set %} cannot be used in a mail template",
    nodes.AssignBlock: "{% set %} cannot be used in a mail template",
    nodes.Macro: "macros cannot be used in a mail template",
    nodes.Include: "other templates cannot be included",
    nodes.Import: "other templates cannot be imported",
    nodes.FromImport: "other templates cannot be imported",
    nodes.Extends: "other templates cannot be extended",
    nodes.Scope: "escaping cannot be switched off",
}
BUDGET: Final = "budget of the rendering"
COUNTED: Final = "counted passes"
RENDERING_ERRORS = (
    jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError,
)  # fmt: skip


class TemplateRefused(Exception):
    """A template cannot be used; the message says why."""


class Budget:
    """What one rendering may still do."""

    def __init__(self) -> None:
        self._steps = MAX_STEPS
        self._work = MAX_WORK

    def step(self, number: int = 1) -> None:
        """Spend `number` passes. Raises TemplateRuntimeError when there are not so many left."""
        self._steps -= number
        if self._steps < 0:
            raise jinja2.TemplateRuntimeError(f"the loops take more than {MAX_STEPS:,} passes")

    def text(self, length: int) -> None:
        """Spend the work on a text of `length` characters. Raises TemplateRuntimeError when it is too long."""
        self._work -= length
        if length > MAX_TEXT or self._work < 0:
            raise jinja2.TemplateRuntimeError(f"a filter makes a text of more than {MAX_TEXT:,} characters")


def render(part: Part, source: str, context: Mapping[str, Any]) -> str:
    """Return one text of a mail. Raises TemplateRefused."""
    template = compiled(part, source, tuple(sorted(context)))
    pieces: list[str] = []
    size = 0
    try:
        for piece in template.generate({**context, BUDGET: Budget()}):
            size += len(piece)
            if size > MAX_CHARACTERS[part]:
                raise TemplateRefused(f"renders to more than {MAX_CHARACTERS[part]:,} characters")
            pieces.append(piece)
    except RENDERING_ERRORS as error:
        raise TemplateRefused(str(error)[:300] or type(error).__name__) from error
    return "".join(pieces)


@lru_cache(maxsize=128)
def compiled(part: Part, source: str, names: tuple[str, ...]) -> jinja2.Template:
    """Return a template that may print the context's `names`. Raises TemplateRefused."""
    environment = HTML if part == "html" else TEXT
    try:
        tree = environment.parse(source)
        _refuse_more_than_printing(tree)
        unknown = meta.find_undeclared_variables(tree) - set(names)
        if unknown:
            raise TemplateRefused(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(names)}")
        for loop in list(tree.find_all(nodes.For)):
            loop.iter = nodes.Filter(loop.iter, COUNTED, [], [], None, None, lineno=loop.lineno)
        return jinja2.Template.from_code(environment, environment.compile(tree), {})
    except jinja2.TemplateSyntaxError as error:
        raise TemplateRefused(f"line {error.lineno}: {error.message}") from error
    except (SyntaxError, RecursionError, MemoryError, *RENDERING_ERRORS) as error:
        raise TemplateRefused("is too deeply nested to be read") from error


def _refuse_more_than_printing(tree: nodes.Template) -> None:
    for node, loops, depth in _walk(tree, 0, 0):
        reason = _reason(node, loops, depth)
        if reason:
            raise TemplateRefused(f"line {node.lineno}: {reason}")


def _reason(node: nodes.Node, loops: int, depth: int) -> str | None:
    if not isinstance(node, ALLOWED):
        return WORDS.get(type(node), f"{type(node).__name__} cannot be used in a mail template")
    if isinstance(node, nodes.Filter) and node.name not in FILTERS:
        return f"there is no filter {node.name}; there are {', '.join(sorted(FILTERS))}"
    if isinstance(node, nodes.Test) and node.name not in TESTS:
        return f"there is no test {node.name}; there are {', '.join(TESTS)}"
    if isinstance(node, nodes.Name) and node.name.startswith("_"):
        return f"there is no {node.name}"
    if isinstance(node, nodes.Const) and not _plain(node.value):
        return f"a number is at most {MAX_NUMBER:,}"
    if isinstance(node, nodes.For) and node.recursive:
        return "loops cannot be recursive in a mail template"
    if loops > MAX_NESTED_LOOPS:
        return f"more than {MAX_NESTED_LOOPS} loops inside each other"
    if depth > MAX_NESTING:
        return "is too deeply nested to be read"
    return None


def _plain(value: Any) -> bool:
    return not isinstance(value, int | float) or (math.isfinite(value) and abs(value) <= MAX_NUMBER)


def _walk(node: nodes.Node, loops: int, depth: int) -> Iterator[tuple[nodes.Node, int, int]]:
    loops += isinstance(node, nodes.For)
    depth += isinstance(node, nodes.Expr | nodes.Stmt)
    yield node, loops, depth
    for child in node.iter_child_nodes():
        yield from _walk(child, loops, depth)


# Filters. Each takes the context, for the budget; Jinja folds no such filter into a constant while it compiles.


def _budget(context: Context) -> Budget:
    budget: Budget = context[BUDGET]
    return budget


def _of_text(change: Callable[..., str]) -> Callable[..., str]:
    @jinja2.pass_context
    def changed(context: Context, value: Any, *arguments: Any, **named: Any) -> str:
        budget = _budget(context)
        budget.text(len(_text(value)))
        result = change(value, *arguments, **named)
        budget.text(len(result))
        return result

    return changed


def _text(value: Any) -> str:
    """Return a printable value. Lists and objects are refused: their representation has no bound and no reader."""
    if isinstance(value, Undefined):
        return str(value)
    if not isinstance(value, str | int | float):
        raise jinja2.TemplateRuntimeError("this filter takes a text or a number")
    return value if isinstance(value, str) else str(value)


def _items(context: Context, value: Any) -> list[Any]:
    if isinstance(value, Undefined):
        return list(value)
    if not isinstance(value, list | tuple | str | dict):
        raise jinja2.TemplateRuntimeError("this filter takes a list")
    _budget(context).step(len(value))
    return list(value)


@jinja2.pass_context
def _counted(context: Context, values: Iterable[Any]) -> Iterator[Any]:
    budget = _budget(context)
    for value in values:
        budget.step()
        yield value


@jinja2.pass_context
def _join(context: Context, value: Any, d: str = "", attribute: str | None = None) -> str:
    items = _items(context, value)
    if attribute is not None:
        items = [context.environment.getitem(item, attribute) for item in items]
    budget = _budget(context)
    total = len(_text(d)) * max(0, len(items) - 1) + sum(len(_text(item)) for item in items)
    budget.text(total)
    joined: str = filters.do_join(context.eval_ctx, items, d)
    return joined


@jinja2.pass_context
def _sort(context: Context, value: Any, reverse: bool = False, attribute: str | None = None) -> list[Any]:
    return filters.do_sort(context.environment, _items(context, value), bool(reverse), False, attribute)


@jinja2.pass_context
def _groupby(context: Context, value: Any, attribute: str) -> list[Any]:
    grouped: list[Any] = filters.sync_do_groupby(context.environment, _items(context, value), attribute)
    return grouped


@jinja2.pass_context
def _first(context: Context, value: Any) -> Any:
    return next(iter(_items(context, value)), "")


@jinja2.pass_context
def _last(context: Context, value: Any) -> Any:
    return next(reversed(_items(context, value)), "")


@jinja2.pass_context
def _length(context: Context, value: Any) -> int:
    return len(_items(context, value))


@jinja2.pass_context
def _round(context: Context, value: Any, precision: int = 0) -> float:
    _budget(context).step()
    if not isinstance(precision, int) or not 0 <= precision <= MAX_DIGITS:
        raise jinja2.TemplateRuntimeError(f"round takes 0 to {MAX_DIGITS} digits")
    if not isinstance(value, int | float) or not _plain(value):
        raise jinja2.TemplateRuntimeError(f"round takes a number of at most {MAX_NUMBER:,}")
    return round(float(value), precision)


@jinja2.pass_context
def _abs(context: Context, value: Any) -> Any:
    _budget(context).step()
    return abs(value)


@jinja2.pass_context
def _default(context: Context, value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    _budget(context).step()
    return filters.do_default(value, default_value, bool(boolean))


@jinja2.pass_context
def _escape(context: Context, value: Any) -> str:
    budget = _budget(context)
    budget.text(len(_text(value)))
    escaped: str = filters.FILTERS["escape"](value)
    budget.text(len(escaped))
    return escaped


@jinja2.pass_context
def _truncate(context: Context, value: Any, length: int = 255) -> str:
    text = _text(value)
    _budget(context).text(len(text))
    if not isinstance(length, int) or not 4 <= length <= MAX_TEXT:
        raise jinja2.TemplateRuntimeError(f"truncate takes a length of 4 to {MAX_TEXT:,} characters")
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"


FILTERS: Mapping[str, Callable[..., Any]] = {
    "abs": _abs,
    "capitalize": _of_text(filters.do_capitalize),
    "count": _length,
    "d": _default,
    "default": _default,
    "e": _escape,
    "escape": _escape,
    "first": _first,
    "groupby": _groupby,
    "join": _join,
    "last": _last,
    "length": _length,
    "lower": _of_text(filters.do_lower),
    "round": _round,
    "sort": _sort,
    "title": _of_text(filters.do_title),
    "trim": _of_text(filters.do_trim),
    "truncate": _truncate,
    "upper": _of_text(filters.do_upper),
    "urlencode": _of_text(filters.do_urlencode),
}


def _environment(*, escape: bool) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        autoescape=escape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        cache_size=0,
        optimized=False,
    )
    # A name with a blank in it cannot be written in a template.
    environment.filters = {**FILTERS, COUNTED: _counted}
    environment.tests = {name: environment.tests[name] for name in TESTS}
    environment.globals.clear()
    return environment


TEXT = _environment(escape=False)
HTML = _environment(escape=True)


# The process.


def check(texts: Mapping[str, str], contexts: Sequence[Mapping[str, Any]]) -> list[tuple[Part, str]]:
    """Return what is wrong with a template, as (part, reason); empty when every text renders with every context."""
    mistakes: list[tuple[Part, str]] = []
    for part in PARTS:
        try:
            for context in contexts:
                if not render(part, texts[part], context).strip():
                    raise TemplateRefused("renders to nothing")
        except TemplateRefused as refused:
            mistakes.append((part, str(refused)))
    return mistakes


def digest(texts: Mapping[str, str], context: Mapping[str, Any]) -> dict[str, Any]:
    """Return the three texts of a mail, or the part that failed and why."""
    rendered: list[str] = []
    for part in PARTS:
        try:
            rendered.append(render(part, texts[part], context))
        except TemplateRefused as refused:
            return {"mistake": [part, str(refused)]}
    return {"texts": rendered}


def answer(request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the answers to one request: one for a digest, one for each template of a check."""
    if "context" in request:
        yield digest(request["template"], request["context"])
        return
    for texts in request["templates"]:
        yield {"mistakes": check(texts, request["contexts"])}


def main() -> None:
    """Answer requests, one JSON object a line, until the input ends. SIGPROF ends it when one takes too long."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A service manager sends SIGTERM to all processes of a service. This one ends when its input does, because its
    # parent may still need a mail rendered while it stops.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for line in sys.stdin:
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        try:
            for each in answer(json.loads(line)):
                sys.stdout.write(json.dumps(each) + "\n")
                sys.stdout.flush()
        except MemoryError:
            sys.exit(OUT_OF_MEMORY)
        signal.setitimer(signal.ITIMER_PROF, 0)


if __name__ == "__main__":
    main()
