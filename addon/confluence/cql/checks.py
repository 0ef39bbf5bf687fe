"""The check of an administrator's CQL when a policy is stored, without asking the site."""

from __future__ import annotations

from dataclasses import dataclass

from addon.confluence.cql.negation import others_negated, separable
from addon.confluence.cql.parser import Clause, CqlSyntaxError, Function, clauses, parse, to_cql

_OF_A_PERSON = frozenset(
    {
        "currentuser",
        "currentspace",
        "currentcontent",
        "favouritespaces",
        "favoritespaces",
        "recentlyviewedcontent",
        "recentlyviewedspaces",
    }
)
_FIELDS_OF_A_PERSON = frozenset({"watcher", "favourite", "favorite"})


class CqlRefused(ValueError):
    """This CQL may not be used here. `reason` is a sentence for its author; `position` where it is not CQL at all."""

    def __init__(self, reason: str, position: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.position = position


@dataclass(frozen=True, slots=True)
class Checked:
    """CQL as it will be used, every mixed AND, OR and NOT in parentheses, and what was changed in it."""

    cql: str
    notices: list[str]


def status_aliases(namespace: str) -> frozenset[str]:
    """Return the CQL aliases, in lower case, that tell what our own refresh last wrote."""
    return frozenset(
        f"{namespace}{name}".lower() for name in ("Status", "StatusName", "PreviousStatus", "StatusChangedOn")
    )


def check_administrators_cql(text: str, *, namespace: str, allow_aliases: bool) -> Checked:
    """Return `text` ready for use in our queries.

    ORDER BY is taken out with a notice. Raises CqlRefused on what is not CQL, on functions and fields that depend on
    who asks (the add-on asks, not the author), and, unless `allow_aliases`, on aliases of our own statuses: a status
    cannot depend on the status. A leading negation is fine, because our queries never begin with it.
    """
    try:
        query = parse(text)
    except CqlSyntaxError as error:
        raise CqlRefused(f"This is not CQL: {error.message}.", error.position) from None
    if query.where is None:
        raise CqlRefused("There is an ORDER BY but no condition.", 0)
    for clause in clauses(query.where):
        _refuse(clause, namespace, allow_aliases)
    notices = ["ORDER BY was removed: the order does not matter here."] if query.order_by else []
    cql = to_cql(query.where)
    for field in others_negated(cql, namespace):
        notices.append(
            f"Pages and posts that lack {field} count as meeting this negation, whatever Confluence's search shows."
        )
    if not separable(cql):
        notices.append(
            "There are too many alternatives around its negations to ask for them one by one: on some sites pages "
            "and posts that lack a negated field are not found."
        )
    return Checked(cql, notices)


def _refuse(clause: Clause, namespace: str, allow_aliases: bool) -> None:
    field = clause.field.lower()
    if field in _FIELDS_OF_A_PERSON:
        raise CqlRefused(f"{clause.field} depends on who asks; here the add-on asks, not a person.")
    for value in clause.values:
        if isinstance(value, Function) and value.name.lower() in _OF_A_PERSON:
            raise CqlRefused(f"{value.name}() depends on who asks and where; here the add-on asks, not a person.")
    ours = field in status_aliases(namespace) or field.startswith(f"content.property[{namespace.lower()}-status]")
    if ours and not allow_aliases:
        raise CqlRefused(f"{clause.field} is what this refresh writes; a status cannot depend on a status.")
