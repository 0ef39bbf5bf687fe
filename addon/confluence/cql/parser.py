"""The parser of CQL: from text to a tree and back, for checks, for rewriting and for the sandbox that evaluates it.

The language is Confluence Cloud's (docs/rules/confluence-api.md 8). Without parentheses AND and OR are read left to
right with equal precedence, as Confluence documents it; `to_cql` writes parentheses wherever another reader could
differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken, VisitError

MAX_LENGTH = 16_000
"""Characters a query may have. The URL limit of a request is far below it."""
MAX_CONNECTIVES = 200
"""AND, OR and NOT of one query, which bounds how deep its tree can be."""

_GRAMMAR = r"""
    query: [expression] [order]
    ?expression: term
        | expression "and"i term -> both
        | expression "or"i term -> either
    ?term: "not"i term -> negation
        | "(" expression ")"
        | clause
    clause: FIELD OPERATOR value -> comparison
        | FIELD "in"i _values -> inside
        | FIELD "not"i "in"i _values -> outside
    _values: "(" value ("," value)* ")" | function
    ?value: literal | function
    literal: WORD -> word | STRING -> string
    function: WORD "(" [argument ("," argument)*] ")"
    argument: WORD | SIGNED | STRING
    order: "order"i "by"i sort ("," sort)*
    sort: FIELD -> ascending | FIELD "asc"i -> ascending | FIELD "desc"i -> descending

    OPERATOR: "!=" | "!~" | ">=" | "<=" | "=" | "~" | ">" | "<"
    FIELD: /[^\W\d][\w\-]*(\.[\w\-]+|\[[^\[\]\s"']{1,255}\])*/
    WORD: /\d{4}\/\d{1,2}\/\d{1,2}|-?\d+\.\d+|[\w\-:]+/
    SIGNED: /\+[\w\-]+/
    STRING: /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/s
    %ignore /\s+/
"""
_RESERVED = frozenset({"and", "or", "not", "in", "order", "by"})
_WORD = re.compile(r"\d{4}/\d{1,2}/\d{1,2}|-?\d+\.\d+|[\w\-:]+")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}


class CqlSyntaxError(ValueError):
    """The text is not CQL. `position` is the offset in characters where reading stopped."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


@dataclass(frozen=True, slots=True)
class Literal:
    """A plain value; `quoted` says whether it was in quotes."""

    text: str
    quoted: bool = True


@dataclass(frozen=True, slots=True)
class Function:
    """A function call such as now("-12M"); arguments without their quotes."""

    name: str
    args: tuple[str, ...] = ()


Value = Literal | Function


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition. `operator`: = != ~ !~ > >= < <= in, not in; only the last two take several values."""

    field: str
    operator: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class And:
    """Both sides hold."""

    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Or:
    """At least one side holds."""

    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Not:
    """The operand does not hold."""

    operand: Expression


Expression = Clause | And | Or | Not


@dataclass(frozen=True, slots=True)
class Query:
    """A whole query. `order_by` holds (field, descending)."""

    where: Expression | None
    order_by: tuple[tuple[str, bool], ...] = ()


def parse(text: str) -> Query:
    """Return what `text` says.

    `where` is None only when nothing but ORDER BY was written. Raises CqlSyntaxError with a sentence for people and
    the position on anything that is not CQL, on empty text and on more than MAX_LENGTH characters.
    """
    if len(text) > MAX_LENGTH:
        raise CqlSyntaxError(f"a query has at most {MAX_LENGTH} characters, this one has {len(text)}", MAX_LENGTH)
    if not text.strip():
        raise CqlSyntaxError("the query is empty", 0)
    try:
        query = _parser().parse(text)
    except VisitError as error:
        if isinstance(error.orig_exc, CqlSyntaxError):
            raise error.orig_exc from None
        raise
    except UnexpectedInput as error:
        raise _explained(error, text) from None
    assert isinstance(query, Query)
    if query.where is not None and _connectives(query.where) > MAX_CONNECTIVES:
        raise CqlSyntaxError(f"a query has at most {MAX_CONNECTIVES} of AND, OR and NOT together", 0)
    return query


def to_cql(expression: Expression | Query) -> str:
    """Return CQL that `parse` reads as `expression`, with every mixed AND, OR and NOT in parentheses."""
    if isinstance(expression, Query):
        order = ", ".join(f"{name} {'desc' if descending else 'asc'}" for name, descending in expression.order_by)
        where = "" if expression.where is None else to_cql(expression.where)
        return f"{where} order by {order}".strip() if order else where
    match expression:
        case And(left, right):
            return f"{_side(left, And)} and {_side(right, None)}"
        case Or(left, right):
            return f"{_side(left, Or)} or {_side(right, None)}"
        case Not(operand):
            return f"not ({to_cql(operand)})"
        case Clause(name, operator, values):
            return f"{name} {operator} {_operand(operator, values)}"


def quote(text: str) -> str:
    """Return `text` as a quoted CQL string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    for letter, character in _ESCAPED.items():
        escaped = escaped.replace(character, f"\\{letter}")
    return f'"{escaped}"'


def clauses(expression: Expression | None) -> Iterator[Clause]:
    """Yield every condition of `expression`, from left to right."""
    match expression:
        case None:
            return
        case Clause():
            yield expression
        case Not(operand):
            yield from clauses(operand)
        case And(left, right) | Or(left, right):
            yield from clauses(left)
            yield from clauses(right)


def _side(expression: Expression, same: type[And] | type[Or] | None) -> str:
    plain = isinstance(expression, Clause) or (same is not None and isinstance(expression, same))
    return to_cql(expression) if plain else f"({to_cql(expression)})"


def _operand(operator: str, values: tuple[Value, ...]) -> str:
    written = [_value(value) for value in values]
    if operator not in ("in", "not in"):
        return written[0]
    single_function = len(values) == 1 and isinstance(values[0], Function)
    return written[0] if single_function else f"({', '.join(written)})"


def _value(value: Value) -> str:
    if isinstance(value, Function):
        return f"{value.name}({', '.join(arg if arg.isdecimal() else quote(arg) for arg in value.args)})"
    bare = not value.quoted and _WORD.fullmatch(value.text) and value.text.lower() not in _RESERVED
    return value.text if bare else quote(value.text)


def _unquoted(token: Token) -> str:
    def character(match: re.Match[str]) -> str:
        code = match[1]
        return chr(int(code[1:], 16)) if len(code) > 1 else _ESCAPED.get(code, code)

    text = _ESCAPE.sub(character, token[1:-1])
    try:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise CqlSyntaxError("a text holds half of a character pair", token.start_pos or 0) from None
    if "\0" in text:
        raise CqlSyntaxError("a text holds a NUL character", token.start_pos or 0)
    return text


def _connectives(expression: Expression) -> int:
    count, pending = 0, [expression]
    while pending:
        match pending.pop():
            case And(left, right) | Or(left, right):
                count += 1
                pending += [left, right]
            case Not(operand):
                count += 1
                pending.append(operand)
    return count


@v_args(inline=True)
class _Builder(Transformer[Token, Query]):
    def query(self, where: Expression | None, order: tuple[tuple[str, bool], ...] | None) -> Query:
        return Query(where, order or ())

    def both(self, left: Expression, right: Expression) -> And:
        return And(left, right)

    def either(self, left: Expression, right: Expression) -> Or:
        return Or(left, right)

    def negation(self, operand: Expression) -> Not:
        return Not(operand)

    def comparison(self, name: Token, operator: Token, value: Value) -> Clause:
        return Clause(str(name), str(operator), (value,))

    def inside(self, name: Token, *values: Value) -> Clause:
        return Clause(str(name), "in", values)

    def outside(self, name: Token, *values: Value) -> Clause:
        return Clause(str(name), "not in", values)

    def word(self, token: Token) -> Literal:
        if token.lower() in _RESERVED:
            raise CqlSyntaxError(f"a value was expected, not {token!s}; put it in quotes", token.start_pos or 0)
        return Literal(str(token), quoted=False)

    def string(self, token: Token) -> Literal:
        return Literal(_unquoted(token), quoted=True)

    def function(self, name: Token, *args: str | None) -> Function:
        return Function(str(name), tuple(arg for arg in args if arg is not None))

    def argument(self, token: Token) -> str:
        return _unquoted(token) if token.type == "STRING" else str(token)

    def order(self, *sorts: tuple[str, bool]) -> tuple[tuple[str, bool], ...]:
        return sorts

    def ascending(self, name: Token) -> tuple[str, bool]:
        return str(name), False

    def descending(self, name: Token) -> tuple[str, bool]:
        return str(name), True


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", start="query", maybe_placeholders=True, transformer=_Builder())


_WORDS_FOR: dict[str, str] = {
    "FIELD": "a field",
    "OPERATOR": "an operator",
    "WORD": "a value",
    "STRING": "a value",
    "SIGNED": "a value",
    "LPAR": '"("',
    "RPAR": '")"',
    "COMMA": '","',
    "$END": "the end",
}


def _explained(error: UnexpectedInput, text: str) -> CqlSyntaxError:
    expected: Any = getattr(error, "accepts", None) or getattr(error, "allowed", None) or getattr(error, "expected", ())
    names = sorted({_WORDS_FOR.get(name, name.strip("_")) for name in expected or ()})
    at_end = isinstance(error, UnexpectedToken) and error.token.type == "$END"
    position = len(text) if at_end else (error.pos_in_stream or 0)
    if isinstance(error, UnexpectedCharacters):
        found = "an unclosed quote" if text[position] in "\"'" else f"{text[position]!r}"
    else:
        found = "the end of the query" if at_end else repr(text[position : position + 20].split()[0])
    return CqlSyntaxError(f"{found} at character {position + 1}, where {' or '.join(names)} should be", position)
