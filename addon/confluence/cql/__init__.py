"""CQL, Confluence's query language: text, tree, and the queries of our own. It asks no site.

Every query of ours is built in four steps, and each has a module:

    an administrator's text  --parser-->    a tree              parse, to_cql, clauses
                             --checks-->    accepted or refused check_administrators_cql
                             --negation-->  pieces to ask       holding, failing, spelled
    pieces and spaces        --queries-->   one or more queries in_spaces, all_of, any_of, none_of, group_spaces

Two facts of Confluence rule all of it (docs/rules/confluence-api.md 8). AND and OR have equal precedence and are read
from left to right, so every query of ours puts each part in parentheses. A query may not begin with a negation, so each
begins with the content types. A third fact is not documented: whether a negation also finds pages and posts that lack
the field. Sites differ, hence the pieces (docs/rules/statuses.md 5.5).

What is too long is split before it is sent: a query has at most URL_BYTES once encoded and names at most MOST_SPACES
spaces; what an administrator writes has at most `parser.MAX_LENGTH` characters and `parser.MAX_CONNECTIVES`
connectives. What is not CQL raises CqlSyntaxError with a position, what may not be used in a policy CqlRefused with a
sentence for its author, and what has too many alternatives around its negations TooManyPieces.
"""

from addon.confluence.cql.checks import Checked, CqlRefused, check_administrators_cql
from addon.confluence.cql.negation import (
    NEGATION_FORMS,
    NEGATION_TYPES,
    Piece,
    Pieces,
    Spelling,
    TooManyPieces,
    crossed,
    failing,
    holding,
    others_fields,
    spelled,
    spelling,
    widest,
    with_not,
)
from addon.confluence.cql.parser import (
    And,
    Clause,
    CqlSyntaxError,
    Expression,
    Function,
    Literal,
    Not,
    Or,
    Query,
    Value,
    clauses,
    parse,
    quote,
    to_cql,
)
from addon.confluence.cql.queries import (
    CONTENT,
    MOST_SPACES,
    URL_BYTES,
    Keyed,
    all_of,
    any_of,
    encoded_length,
    group_spaces,
    in_spaces,
    none_of,
    values,
)

__all__ = [
    "CONTENT",
    "MOST_SPACES",
    "NEGATION_FORMS",
    "NEGATION_TYPES",
    "URL_BYTES",
    "And",
    "Checked",
    "Clause",
    "CqlRefused",
    "CqlSyntaxError",
    "Expression",
    "Function",
    "Keyed",
    "Literal",
    "Not",
    "Or",
    "Piece",
    "Pieces",
    "Query",
    "Spelling",
    "TooManyPieces",
    "Value",
    "all_of",
    "any_of",
    "check_administrators_cql",
    "clauses",
    "crossed",
    "encoded_length",
    "failing",
    "group_spaces",
    "holding",
    "in_spaces",
    "none_of",
    "others_fields",
    "parse",
    "quote",
    "spelled",
    "spelling",
    "to_cql",
    "values",
    "widest",
    "with_not",
]
