"""One pretend Confluence Cloud site: its wiki, and everything that decides how it answers the add-on.

`Site` is the Python face of the sandbox; HTTP is in the rest modules.
"""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from addon.base import Clock
from addon.sandbox.addon_host import AddonHost
from addon.sandbox.faults import Faults
from addon.sandbox.inbox import Inbox
from addon.sandbox.negations import Negation, Negations
from addon.sandbox.points import Meter
from addon.sandbox.records import AddonInstallation
from addon.sandbox.search import Search
from addon.sandbox.tasks import Tasks
from addon.sandbox.wiki import ADMIN, StaleVersion, UnknownContent, UnknownSpace, Wiki

__all__ = ["ADMIN", "Negation", "Site", "StaleVersion", "UnknownContent", "UnknownSpace"]


class Site(Wiki):
    """One Confluence Cloud site in memory.

    `base_url` ends in /wiki (appended when missing; SandboxServer sets it to its port). `index_lag` in seconds,
    `latency_ms` per REST request. `negation` says what negations of an alias do with content lacking the property:
    inclusive finds it, exclusive does not; `negations` says it for each form and type. `edition`: free, standard,
    premium or enterprise.
    """

    def __init__(
        self,
        clock: Clock,
        base_url: str = "http://127.0.0.1/wiki",
        *,
        time_zone: str = "UTC",
        edition: str = "premium",
        index_lag: float = 0.0,
        latency_ms: float = 0,
        negation: Negation = "inclusive",
        quota_points: int = 65_000,
        title: str = "Pretend Confluence",
    ) -> None:
        super().__init__(clock, index_lag=index_lag, time_zone=time_zone)
        self.base_url = base_url
        self.time_zone = ZoneInfo(time_zone)
        self.edition = edition
        self.latency_ms = latency_ms
        self.negations = Negations()
        self.negation = negation
        self.title = title
        self.cloud_id = "11111111-2222-4333-8444-555555555555"
        self.email_api_approved = False
        self.decides_for_apps = False
        """Whether permission/check answers about other people: a Confluence administrator's right, not an app's."""
        self.meter = Meter(clock, quota_points)
        self.faults = Faults()
        self.tasks = Tasks(self)
        self.search = Search(self)
        self.host = AddonHost(self)
        self.addons: dict[str, AddonInstallation] = {}
        self.app_properties: dict[str, dict[str, Any]] = {}
        """The properties of the add-ons themselves, by add-on key; conditions of their modules read them."""
        self.inbox: Inbox | None = None

    @property
    def base_url(self) -> str:
        """The site's address, ending in /wiki."""
        return self._base_url

    @base_url.setter
    def base_url(self, url: str) -> None:
        bare = url.rstrip("/")
        self._base_url = bare if bare.endswith("/wiki") else f"{bare}/wiki"

    @property
    def origin(self) -> str:
        """The site's address without /wiki."""
        return self._base_url.removesuffix("/wiki")

    @property
    def negation(self) -> str:
        """How all negations are read: inclusive, exclusive, or mixed; setting it sets them all."""
        return self.negations.summary

    @negation.setter
    def negation(self, reading: Negation) -> None:
        self.negations.put(reading)

    @property
    def index_lag(self) -> float:
        """Seconds until search sees a change; may be set at any time."""
        return self.index.lag

    @index_lag.setter
    def index_lag(self, seconds: float) -> None:
        with self.lock:
            self.index.lag = seconds

    # add-ons

    def register_addon(
        self, key: str, client_key: str, secret: str, descriptor: dict[str, Any], base_url: str = ""
    ) -> AddonInstallation:
        """Make an add-on known: its shared secret signs requests, its descriptor gives scopes and CQL aliases."""
        with self.lock:
            installation = AddonInstallation(key, client_key, secret, descriptor, base_url)
            self.addons[key] = installation
            return installation

    def unregister_addon(self, key: str) -> None:
        """Forget an add-on: its requests are answered 401 and its aliases are unknown."""
        with self.lock:
            self.addons.pop(key, None)
            self.app_properties.pop(key, None)
