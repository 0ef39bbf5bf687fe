"""The installations, read: which sites installed the add-on, and how each is reached.

The lifecycle writes the same table in tenant_writes.py. Shared secrets are opened here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import Clock, Database, SecretBox, SecretUnreadable, Site, TenantGone, TenantId, Unreachable, get_logger
from addon.connect.errors import CannotVerify
from addon.connect.models import Tenant
from addon.connect.siteauth import SiteAuth

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Installation:
    """One row of `tenant`, without its secret in clear.

    `base_url` ends in `/wiki` and is where calls go. `display_url` is the site's custom domain, if it has one: people
    see the site there, so it may frame our pages too (docs/rules/connect.md 2.2).
    """

    id: TenantId
    client_key: str
    base_url: str
    display_url: str | None
    state: str
    enabled: bool
    needs_reinstall: bool
    generation: int
    secret_version: int
    lifecycle_iat: int
    sealed: bytes | None = field(repr=False)

    @property
    def installed(self) -> bool:
        """Whether the add-on is installed on this site now."""
        return self.state == "installed" and self.sealed is not None


@dataclass(frozen=True, slots=True)
class StoredSecrets:
    """How many shared secrets are stored, and how many of them no configured encryption key opens."""

    stored: int
    unreadable: int


@dataclass(frozen=True, slots=True)
class InstallationCounts:
    """How many sites have the add-on installed, and how many have to install it again."""

    installed: int
    unreachable: int


class Tenants:
    """The repository of installations. Implements addon.base.SiteSource."""

    def __init__(self, db: Database, secrets: SecretBox, clock: Clock, *, addon_key: str) -> None:
        """Read from `db`, open secrets with `secrets`, sign outgoing requests as `addon_key`."""
        self._db = db
        self._secrets = secrets
        self._clock = clock
        self._addon_key = addon_key

    def get(self, tenant_id: TenantId, stale: Site | None = None) -> Site:
        """Return the tenant's site, as SiteSource says.

        A tenant already marked as needing a new installation is still returned without `stale`, so that a site that
        recovered is noticed; its next 401 raises Unreachable again.

        Raises TenantGone (unknown, uninstalled, disabled, other generation) and Unreachable (refused, and no newer
        secret).
        """
        found = self.by_id(tenant_id)
        if found is None or not found.installed:
            raise TenantGone(f"tenant {tenant_id} is not installed")
        if not found.enabled:
            raise TenantGone(f"the add-on is disabled on the site of tenant {tenant_id}")
        if stale is not None:
            if stale.generation != found.generation:
                raise TenantGone(f"tenant {tenant_id} was installed again")
            if stale.secret_version >= found.secret_version:
                if not self._mark_needs_reinstall(found):
                    return self.get(tenant_id, stale)
                raise Unreachable("Confluence refuses our signature: the add-on needs to be installed again")
        try:
            secret = self.secret_of(found)
        except SecretUnreadable as error:
            raise Unreachable("the stored secret cannot be read with the configured encryption keys") from error
        auth = self._auth(found, found.base_url, secret)
        return Site(found.id, found.base_url, found.generation, found.secret_version, auth)

    def auth_at(self, tenant_id: TenantId, base_url: str) -> SiteAuth:
        """Return what signs requests below `base_url`, an address of Atlassian's own, as the tenant's installation.

        Raises TenantGone (not installed) and SecretUnreadable.
        """
        found = self.by_id(tenant_id)
        if found is None or not found.installed:
            raise TenantGone(f"tenant {tenant_id} is not installed")
        return self._auth(found, base_url, self.secret_of(found))

    def _auth(self, installation: Installation, base_url: str, secret: str) -> SiteAuth:
        return SiteAuth(
            addon_key=self._addon_key,
            client_key=installation.client_key,
            base_url=base_url,
            secret=secret,
            clock=self._clock,
        )

    def by_id(self, tenant_id: TenantId) -> Installation | None:
        """Return the installation with our id, whatever its state, or None."""
        return self._one(Tenant.id == tenant_id)

    def by_client_key(self, client_key: str) -> Installation | None:
        """Return the installation with Atlassian's clientKey, whatever its state, or None."""
        return self._one(Tenant.client_key == client_key)

    def installed(self) -> list[Installation]:
        """Return all installations that are installed now, oldest first."""
        with self._db.read_all() as session:
            rows = session.scalars(sa.select(Tenant).where(Tenant.state == "installed").order_by(Tenant.id))
            return [_installation(row) for row in rows]

    def secret_of(self, installation: Installation) -> str:
        """Return the shared secret in clear. Raises SecretUnreadable, or TenantGone when there is none."""
        if installation.sealed is None:
            raise TenantGone(f"tenant {installation.id} has no secret")
        return self._secrets.open(installation.sealed)

    def verification_secret(self, installation: Installation) -> str:
        """Return the secret to verify a token with. Raises CannotVerify when its encryption key is not configured."""
        try:
            return self.secret_of(installation)
        except SecretUnreadable as error:
            log.error(
                "the stored secret fits no configured encryption key",
                action="secret_unreadable",
                tenant=installation.id,
            )
            raise CannotVerify(
                "secret-unreadable", "The add-on's operator has to restore an encryption key.", retry_after=300
            ) from error

    def proved(self, installation: Installation) -> None:
        """Note that the site just signed with the secret stored here: it needs no new installation (any more)."""
        if installation.needs_reinstall:
            self._set_needs_reinstall(installation, False)

    def seal(self, secret: str) -> bytes:
        """Return `secret` as it is stored."""
        return self._secrets.seal(secret)

    def stored_secrets(self) -> StoredSecrets:
        """Return how many secrets are stored and how many of them cannot be opened. Changes nothing."""
        with self._db.read_all() as session:
            sealed = session.scalars(sa.select(Tenant.secret).where(Tenant.secret.is_not(None))).all()
        return StoredSecrets(len(sealed), sum(not self._opens(each or b"") for each in sealed))

    def _opens(self, sealed: bytes) -> bool:
        try:
            self._secrets.open(sealed)
        except SecretUnreadable:
            return False
        return True

    def rotate_secrets(self) -> int:
        """Encrypt every stored secret with the newest key; return how many. Raises SecretUnreadable."""
        with self._db.write_all() as session:
            rows = session.scalars(sa.select(Tenant).where(Tenant.secret.is_not(None)).with_for_update()).all()
            for row in rows:
                if row.secret is not None:
                    row.secret = self._secrets.rotate(row.secret)
            return len(rows)

    def _mark_needs_reinstall(self, installation: Installation) -> bool:
        if not self._set_needs_reinstall(installation, True):
            return False
        log.warning(
            "the site refuses our signature; marked as needing a new installation",
            action="signature_refused",
            tenant=installation.id,
        )
        return True

    def _set_needs_reinstall(self, installation: Installation, value: bool) -> bool:
        """Set the mark unless a lifecycle call changed the tenant meanwhile; return whether it was set."""
        with self._db.write_all() as session:
            changed = session.execute(
                sa.update(Tenant)
                .where(
                    Tenant.id == installation.id,
                    Tenant.generation == installation.generation,
                    Tenant.secret_version == installation.secret_version,
                )
                .values(needs_reinstall=value, updated_at=self._clock.now())
                .returning(Tenant.id)
            )
            return changed.first() is not None

    def _one(self, condition: sa.ColumnElement[bool]) -> Installation | None:
        with self._db.read_all() as session:
            row = session.scalars(sa.select(Tenant).where(condition)).one_or_none()
            return None if row is None else _installation(row)

    def __iter__(self) -> Iterator[Installation]:
        return iter(self.installed())


def tenant_ids(session: Session) -> list[TenantId]:
    """Return the ids of all tenants, uninstalled ones included, in their order. The session is bound to no tenant."""
    return list(session.scalars(sa.select(Tenant.id).order_by(Tenant.id)))


def installed_since(session: Session) -> dict[TenantId, datetime]:
    """Return when each tenant that is installed now was installed last. The session is bound to no tenant."""
    rows = session.execute(sa.select(Tenant.id, Tenant.installed_at).where(Tenant.state == "installed"))
    return {row.id: row.installed_at for row in rows}


def count_installations(session: Session) -> InstallationCounts:
    """Return the numbers of installations over all tenants. The session is bound to no tenant."""
    count = sa.func.count()
    row = session.execute(
        sa.select(count.filter(Tenant.state == "installed"), count.filter(Tenant.needs_reinstall)).select_from(Tenant)
    ).one()
    return InstallationCounts(*row)


def _installation(row: Tenant) -> Installation:
    return Installation(
        id=TenantId(row.id),
        client_key=row.client_key,
        base_url=row.base_url,
        display_url=row.display_url,
        state=row.state,
        enabled=row.enabled,
        needs_reinstall=row.needs_reinstall,
        generation=row.generation,
        secret_version=row.secret_version,
        lifecycle_iat=row.lifecycle_iat,
        sealed=row.secret,
    )
