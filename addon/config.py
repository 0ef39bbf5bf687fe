"""Settings: every STEWARD_* variable, its default and its meaning; each mistake is named with its variable."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from ipaddress import ip_address
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import sqlalchemy as sa
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from addon.base import SecretBox, known_zone, zone_names

INSTALL_KEY_HOSTS = (
    "https://asap-distribution.us-west-2.prod.atl-asap.net",
    "https://connect-install-keys.atlassian.com",
)
AP_SCRIPT_URL = "https://connect-cdn.atl-paas.net/all.js"
DRIVERS = ("sqlite", "postgresql+psycopg")
HOST_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9-]{1,63})*\.?")

CommaSeparated = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """How this process is configured. Wrong values stop the start; an empty variable is one that is not set.

    `read` names mistakes in words, with the variable.
    """

    model_config = SettingsConfigDict(
        env_prefix="STEWARD_", env_ignore_empty=True, extra="ignore", frozen=True, allow_inf_nan=False
    )

    base_url: str = Field("http://127.0.0.1:8080", description="Where hosts reach the add-on; no trailing slash")
    database_url: str = Field("sqlite:///steward.sqlite3", description="SQLAlchemy URL; SQLite is one process")
    encryption_keys: CommaSeparated = Field(
        (), repr=False, description="Fernet keys, newest first; required outside the sandbox"
    )
    install_key_hosts: CommaSeparated = Field(INSTALL_KEY_HOSTS, description="Where install keys are fetched, in order")
    allowed_hosts: CommaSeparated = Field(
        ("*.atlassian.net", "*.jira.com"), description="Host patterns of a tenant's baseUrl"
    )
    smtp_url: SecretStr | None = Field(
        None, description="smtp:// or smtps://user:password@host:port; without it no mail is sent"
    )
    mail_from: str = Field("Content Steward <steward@localhost>", description="The From header of mails")
    mail_ehlo: str | None = Field(
        None, description="The name given to the mail server in EHLO; without it the host of the base URL"
    )
    mail_per_minute: int = Field(
        0, ge=0, le=100_000, description="Mails handed over in a minute by all processes together; 0: any number"
    )
    lease_seconds: float = Field(60.0, ge=0.3, le=3600, description="ttl of a lease; other times follow")
    stop_seconds: float = Field(25.0, ge=0, le=300, description="How long a stop waits for runs; then it leaves")
    first_run: Literal["hold", "start"] = Field("hold", description="start: new installations run at once")
    addon_key: str = Field("content-steward", description="The add-on's key, global and never changed")
    namespace: str = Field("steward", description="Prefix of property keys and CQL aliases")
    email_api: Literal["off", "approved"] = Field("off", description="approved: ask for ACCESS_EMAIL_ADDRESSES")
    metrics_token: SecretStr | None = Field(None, description="Bearer token of /metrics; without it /metrics is off")
    ap_script_url: str = Field(AP_SCRIPT_URL, description="The host bridge script")
    runners: int = Field(4, ge=0, le=64, description="Executions this process runs at once; 0: web and ticks only")
    call_threads: int = Field(8, ge=1, le=64, description="Concurrent calls of one execution")
    retry_seconds: float = Field(300.0, ge=0, le=86_400, description="From a failed scheduled run to its retry")
    tick_seconds: float = Field(10.0, ge=0.05, le=3600, description="How often due schedules are looked for")
    quota_points: int = Field(65_000, ge=1000, le=1_000_000_000, description="Points an hour for all tenants together")
    erase_days: int = Field(30, ge=1, le=3650, description="From an uninstall to the erasing of the site's data")
    retention_days: int = Field(400, ge=30, le=3650, description="How long executions and audit events are kept")
    personal_data_reporting: Literal["off", "on"] = Field(
        "off", description="on: report the stored account ids to Atlassian and erase closed accounts"
    )
    default_time_zone: str = Field("UTC", description="Zone of a new tenant's schedules")

    @property
    def ehlo(self) -> str:
        """The name for EHLO: a host name, or an address in brackets (RFC 5321 4.1.3)."""
        if self.mail_ehlo:
            return self.mail_ehlo
        host = urlsplit(self.base_url).hostname or "localhost"
        try:
            version = ip_address(host).version
        except ValueError:
            return host
        return f"[IPv6:{host}]" if version == 6 else f"[{host}]"

    @field_validator("encryption_keys", "install_key_hosts", "allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("base_url")
    @classmethod
    def _base_url(cls, value: str) -> str:
        """Confluence joins paths to it, and asks for it in the descriptor: an address and nothing behind it."""
        return _url(value, "such as https://steward.example.com").rstrip("/")

    @field_validator("ap_script_url")
    @classmethod
    def _script(cls, value: str) -> str:
        return _url(value, f"such as {AP_SCRIPT_URL}")

    @field_validator("install_key_hosts")
    @classmethod
    def _key_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("must name at least one host")
        return tuple(_url(each, f"such as {INSTALL_KEY_HOSTS[0]}") for each in value)

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: str) -> str:
        """The URL may hold a password, so it is not repeated."""
        try:
            url = sa.make_url(value)
        except (sa.exc.ArgumentError, ValueError):
            raise ValueError(
                "must be a database URL such as sqlite:///steward.sqlite3 or "
                "postgresql+psycopg://user:password@host/database; "
                "in a password, @ : / ? # and % are written as %40 %3A %2F %3F %23 and %25"
            ) from None
        if url.drivername.startswith("postgres") and url.drivername != "postgresql+psycopg":
            raise ValueError(f"must begin with postgresql+psycopg://, not {url.drivername}://")
        if url.drivername not in DRIVERS:
            raise ValueError(
                f"must be for SQLite (sqlite:///file) or PostgreSQL (postgresql+psycopg://…), not {url.drivername}"
            )
        if url.drivername == "sqlite" and url.database in (None, "", ":memory:"):
            raise ValueError("must name a file, such as sqlite:///steward.sqlite3: without one nothing is kept")
        return value

    @field_validator("encryption_keys")
    @classmethod
    def _keys(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for number, key in enumerate(value, 1):
            try:
                SecretBox([key])
            except ValueError:
                which = "this" if len(value) == 1 else f"number {number} of {len(value)}"
                raise ValueError(f"must be Fernet keys, but {which} is not one: `steward new-key` makes one") from None
        return value

    @field_validator("mail_ehlo")
    @classmethod
    def _ehlo(cls, value: str | None) -> str | None:
        if value is not None and not HOST_NAME.fullmatch(value) and not _address_literal(value):
            raise ValueError(
                "must be a host name such as steward.example.com, or an address in brackets such as [192.0.2.1]"
            )
        return value

    @field_validator("addon_key")
    @classmethod
    def _addon_key(cls, value: str) -> str:
        if not re.fullmatch(r"[a-zA-Z0-9._-]{1,64}", value):
            raise ValueError("must be 1 to 64 letters, digits, dots, underscores and dashes")
        return value

    @field_validator("namespace")
    @classmethod
    def _namespace(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9]{0,20}", value):
            raise ValueError("must be 1 to 21 small letters and digits, a letter first")
        return value

    @field_validator("default_time_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            return known_zone(value).key
        except ValueError:
            close = nearest(value, zone_names())
            hint = f"; did you mean {close}?" if close else ""
            raise ValueError(
                f"must be a time zone of IANA's such as Europe/Berlin or UTC, not {value!r}{hint}"
            ) from None


def _url(value: str, example: str) -> str:
    """Return a clean absolute URL. Raises ValueError in the words of a setting, without a password in them."""
    try:
        parts = urlsplit(value)
        host, _port = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("https", "http") or not host or any(char.isspace() for char in value):
        raise ValueError(f"must be an absolute http(s) URL, {example}")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(f"must be a URL without user, query and fragment, {example}")
    return value


def _address_literal(value: str) -> bool:
    inside = value[1:-1] if value.startswith("[") and value.endswith("]") else ""
    try:
        ip_address(inside.removeprefix("IPv6:"))
    except ValueError:
        return False
    return True


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


PREFIX = "STEWARD_"
NAMES = frozenset(name.upper() for name in Settings.model_fields)


class SettingsMistaken(Exception):
    """Settings that cannot be meant: one line for each, which begins with the variable's name."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def read(**overrides: Any) -> Settings:
    """Return the settings of this process's environment. Raises SettingsMistaken, with no secret in it.

    Parameters: fields of Settings that a command's own options decide.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        # Without the context of each error there would be no limits to tell, and the input is not repeated.
        errors = error.errors(include_url=False, include_input=False)
        raise SettingsMistaken([f"{PREFIX}{str(each['loc'][0]).upper()} {_words(each)}" for each in errors]) from error


def strangers(environment: Mapping[str, str] | None = None) -> list[str]:
    """Return a line for each STEWARD_ variable that is no setting, with the setting that was probably meant.

    They do not stop a start: a container platform may add variables of its own (STEWARD_PORT for a service of that
    name). Parameters: `environment` is the process's own when not given.
    """
    names = os.environ if environment is None else environment
    unknown = sorted(name for name in names if name.upper().startswith(PREFIX) and name.upper()[8:] not in NAMES)
    return [_stranger(name) for name in unknown]


def _stranger(name: str) -> str:
    meant = nearest(name[len(PREFIX) :], NAMES)
    return f"{name} is no setting and is ignored" + (f"; did you mean {PREFIX}{meant}?" if meant else "")


def _words(error: Mapping[str, Any]) -> str:
    """Return what is wrong in words; pydantic's own say 'input should be'."""
    limits = error.get("ctx", {})
    match error["type"]:
        case "value_error":
            return str(limits["error"])
        case "int_parsing" | "int_from_float" | "int_type" | "int_parsing_size":
            return "must be a whole number"
        case "float_parsing" | "float_type" | "finite_number":
            return "must be a number"
        case "greater_than_equal":
            return f"must be at least {limits['ge']:g}"
        case "less_than_equal":
            return f"must be at most {limits['le']:g}"
        case "literal_error":
            return f"must be {limits['expected']}"
        case _:
            return "cannot be read"
