"""Settings: every STEWARD_* variable, its default and its meaning."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

INSTALL_KEY_HOSTS = (
    "https://asap-distribution.us-west-2.prod.atl-asap.net",
    "https://connect-install-keys.atlassian.com",
)
AP_SCRIPT_URL = "https://connect-cdn.atl-paas.net/all.js"

CommaSeparated = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """How this process is configured. Unknown STEWARD_ variables are ignored; wrong values stop the start."""

    model_config = SettingsConfigDict(env_prefix="STEWARD_", extra="ignore", frozen=True)

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
    lease_seconds: float = Field(60.0, ge=0.3, le=3600, description="ttl of a lease; other times follow")
    stop_seconds: float = Field(25.0, ge=0, le=300, description="How long a stop waits for runs; then it leaves")
    first_run: Literal["hold", "start"] = Field("hold", description="start: new installations run at once")
    addon_key: str = Field("content-steward", pattern=r"^[a-zA-Z0-9._-]{1,64}$")
    namespace: str = Field(
        "steward", pattern=r"^[a-z][a-z0-9]{0,20}$", description="Prefix of property keys and CQL aliases"
    )
    email_api: Literal["off", "approved"] = Field("off", description="approved: ask for ACCESS_EMAIL_ADDRESSES")
    metrics_token: SecretStr | None = Field(None, description="Bearer token of /metrics; without it /metrics is off")
    ap_script_url: str = Field(AP_SCRIPT_URL, description="The host bridge script")
    runners: int = Field(4, ge=0, le=64, description="Executions this process runs at once; 0: web and ticks only")
    call_threads: int = Field(8, ge=1, le=64, description="Concurrent calls of one execution")
    retry_seconds: float = Field(300.0, ge=0, description="From a failed scheduled run to its retry")
    tick_seconds: float = Field(10.0, ge=0.05, description="How often due schedules are looked for")
    quota_points: int = Field(65_000, ge=1000, description="Points an hour for all tenants together")
    erase_days: int = Field(30, ge=1, le=3650, description="From an uninstall to the erasing of the site's data")
    retention_days: int = Field(400, ge=30, le=3650, description="How long executions and audit events are kept")
    personal_data_reporting: Literal["off", "on"] = Field(
        "off", description="on: report the account ids held to Atlassian and erase closed accounts"
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
    def _no_trailing_slash(cls, value: str) -> str:
        if not value.startswith(("https://", "http://")):
            raise ValueError("must be an absolute http(s) URL")
        return value.rstrip("/")
