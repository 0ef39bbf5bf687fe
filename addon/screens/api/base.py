"""The base of the API classes: what each of them works with."""

from __future__ import annotations

from addon.parts import Parts
from addon.screens.access import Access
from addon.screens.api.executions.presenter import Presenter
from addon.screens.lookups import Lookups


class Api:
    """Some operations of the JSON API. One object of each class serves all requests of the process, on any thread."""

    def __init__(self, parts: Parts, access: Access, lookups: Lookups, presenter: Presenter) -> None:
        self._parts = parts
        self._access = access
        self._lookups = lookups
        self._presenter = presenter
