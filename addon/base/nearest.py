"""The name that was probably meant, for what a person wrote by hand."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(written: str, names: Iterable[str]) -> str | None:
    """Return the one of `names` that `written` is most like, whatever its case; None when it is like none of them.

    Of a name with slashes the last part counts as well: Berlin is like Europe/Berlin.
    """
    by_fold: dict[str, str] = {}
    for name in sorted(names):
        by_fold.setdefault(_fold(name.rpartition("/")[2]), name)
    by_fold |= {_fold(name): name for name in sorted(names)}
    [*close] = get_close_matches(_fold(written)[:200], by_fold, n=1, cutoff=0.68)
    return by_fold[close[0]] if close else None


def _fold(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")
