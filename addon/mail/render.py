"""How does an administrator's template become a mail? In a sandbox that can loop and print, and nothing else.

Templates are Jinja, of which they may use printing, conditions, loops and a few filters. There are no calls, no
assignments, no macros, no way to switch escaping off: what a page's author writes into a title can never become markup
in somebody's mail. Loops and output are counted, so that no template can keep a worker busy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, Protocol

import jinja2
from jinja2 import meta, nodes
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from addon.mail.digest import FULL, MINIMAL
from addon.mail.message import one_line

Part = Literal["subject", "text", "html"]

MAX_PASSES = 20_000
"""Passes through loops of one rendering, all loops together."""
MAX_CHARACTERS = {"subject": 2_000, "text": 300_000, "html": 1_000_000}
MAX_NESTED_LOOPS = 4
FILTERS = (
    "abs", "capitalize", "count", "d", "default", "e", "escape", "first", "groupby", "join", "last", "length", "lower",
    "round", "sort", "title", "trim", "truncate", "upper", "urlencode",
)  # fmt: skip
ALLOWED: tuple[type[nodes.Node], ...] = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Const, nodes.Name, nodes.Getattr, nodes.Getitem,
    nodes.If, nodes.For, nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand, nodes.And, nodes.Or,
    nodes.Not, nodes.Add, nodes.Sub, nodes.Neg, nodes.Concat, nodes.Tuple, nodes.Keyword,
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
PASSES = "passes left"
RENDERING_ERRORS = (
    jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError,
)  # fmt: skip


class TemplateMistake(Exception):
    """A template cannot be used. `part` is subject, text or html."""

    def __init__(self, part: Part, reason: str) -> None:
        super().__init__(f"{part}: {reason}")
        self.part = part
        self.reason = reason


class DigestTemplate(Protocol):
    """The three texts of a template."""

    @property
    def subject(self) -> str:
        """One line of plain text."""
        ...

    @property
    def text(self) -> str:
        """Plain text."""
        ...

    @property
    def html(self) -> str:
        """HTML."""
        ...


def render_digest(template: DigestTemplate, context: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return (subject, text, html) of a digest.

    Parameters: `context` as made by `addon.mail.digest.digest_context`. Raises TemplateMistake.
    """
    return (
        one_line(_render("subject", template.subject, context)),
        _render("text", template.text, context).strip() + "\n",
        _render("html", template.html, context).strip() + "\n",
    )


def check_template(subject: str, text: str, html: str) -> Sequence[tuple[str, str]]:
    """Return what is wrong with a template, as (part, reason); empty when it renders with a full and a small digest."""
    mistakes: list[tuple[str, str]] = []
    parts: tuple[tuple[Part, str], ...] = (("subject", subject), ("text", text), ("html", html))
    for part, source in parts:
        try:
            for context in (FULL, MINIMAL):
                rendered = _render(part, source, context)
            if not rendered.strip():
                raise TemplateMistake(part, "renders to nothing")
        except TemplateMistake as mistake:
            mistakes.append((mistake.part, mistake.reason))
    return mistakes


def _render(part: Part, source: str, context: Mapping[str, Any]) -> str:
    template = _compiled(part, source)
    pieces: list[str] = []
    size = 0
    try:
        for piece in template.generate({**context, PASSES: [MAX_PASSES]}):
            size += len(piece)
            if size > MAX_CHARACTERS[part]:
                raise TemplateMistake(part, f"renders to more than {MAX_CHARACTERS[part]:,} characters")
            pieces.append(piece)
    except RENDERING_ERRORS as error:
        raise TemplateMistake(part, one_line(str(error))[:300] or type(error).__name__) from error
    return "".join(pieces)


@lru_cache(maxsize=128)
def _compiled(part: Part, source: str) -> jinja2.Template:
    environment = HTML if part == "html" else TEXT
    try:
        tree = environment.parse(source)
        _refuse_more_than_printing(part, tree)
        unknown = meta.find_undeclared_variables(tree) - set(FULL)
        if unknown:
            known = ", ".join(sorted(FULL))
            raise TemplateMistake(part, f"there is no {', '.join(sorted(unknown))}; there are {known}")
        for loop in list(tree.find_all(nodes.For)):
            loop.iter = nodes.Filter(loop.iter, "counted passes", [], [], None, None, lineno=loop.lineno)
        return jinja2.Template.from_code(environment, environment.compile(tree), {})
    except jinja2.TemplateSyntaxError as error:
        raise TemplateMistake(part, f"line {error.lineno}: {error.message}") from error
    except (SyntaxError, RecursionError, MemoryError, *RENDERING_ERRORS) as error:
        raise TemplateMistake(part, "is too deeply nested to be read") from error


def _refuse_more_than_printing(part: Part, tree: nodes.Template) -> None:
    for node, loops in _walk(tree, 0):
        if not isinstance(node, ALLOWED):
            reason = WORDS.get(type(node), f"{type(node).__name__} cannot be used in a mail template")
        elif isinstance(node, nodes.Filter) and node.name not in FILTERS:
            reason = f"there is no filter {node.name}; there are {', '.join(FILTERS)}"
        elif isinstance(node, nodes.Name) and node.name.startswith("_"):
            reason = f"there is no {node.name}"
        elif loops > MAX_NESTED_LOOPS:
            reason = f"more than {MAX_NESTED_LOOPS} loops inside each other"
        else:
            continue
        raise TemplateMistake(part, f"line {node.lineno}: {reason}")


def _walk(node: nodes.Node, loops: int) -> Iterator[tuple[nodes.Node, int]]:
    loops += isinstance(node, nodes.For)
    yield node, loops
    for child in node.iter_child_nodes():
        yield from _walk(child, loops)


@jinja2.pass_context
def _counted(context: Context, values: Iterable[Any]) -> Iterator[Any]:
    left = context[PASSES]
    for value in values:
        left[0] -= 1
        if left[0] < 0:
            raise jinja2.TemplateRuntimeError(f"the loops take more than {MAX_PASSES:,} passes")
        yield value


def _environment(*, escape: bool) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        autoescape=escape, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, cache_size=0
    )
    environment.filters = {name: environment.filters[name] for name in FILTERS}
    # A name with a blank in it cannot be written in a template.
    environment.filters["counted passes"] = _counted
    environment.globals.clear()
    return environment


TEXT = _environment(escape=False)
HTML = _environment(escape=True)
