"""The versions of a tenant's policies: every accepted document is kept under its number."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import Clock, FieldError, TenantId, insert, pointer
from addon.policies import defaults, usage
from addon.policies.checks import CheckCql, CheckTemplates, Notice, check_texts, inconsistencies, schedule_hints
from addon.policies.document import PolicyDocument
from addon.policies.elements import Hold, Template
from addon.policies.errors import InvalidPolicies, NoSuchVersion, PoliciesChanged, SavedTooOften
from addon.policies.models import PolicyVersion, StatusSlug

MOST_A_DAY = 200
"""Versions that one tenant may store within a day; the retention keeps as many in all."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A document that may be stored, and what its author should know."""

    document: PolicyDocument
    notices: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class Accepted:
    """One entry of the history: a version, who put it (None: shipped or the add-on itself) and when."""

    version: int
    by: str | None
    at: datetime


def accept_cql(text: str, allow_aliases: bool) -> tuple[str, Sequence[str]]:
    """Take any CQL as it is. The application injects the real check, which is in another room."""
    return text, ()


def accept_templates(templates: Sequence[Template]) -> Sequence[tuple[int, str, str]]:
    """Take any templates as they are. The application injects the real check."""
    return ()


class Policies:
    """The policies of all tenants. Sessions are the caller's, so that what follows from a version shares its fate."""

    def __init__(
        self,
        clock: Clock,
        namespace: str = "steward",
        *,
        time_zone: str = "UTC",
        first_run: Literal["hold", "start"] = "hold",
        switched_on: bool = False,
        check_cql: CheckCql = accept_cql,
        check_templates: CheckTemplates = accept_templates,
    ) -> None:
        """Keep the defaults of the shipped document, and who judges what a document says.

        `namespace` prefixes its CQL aliases; `time_zone` is that of its rule and its automation, which `switched_on`
        enables; `first_run` "hold" puts its schedules on hold. The two checks judge CQL and template texts.
        """
        self._clock = clock
        self._namespace = namespace
        self._time_zone = time_zone
        self._hold = first_run == "hold"
        self._switched_on = switched_on
        self._check_cql = check_cql
        self._check_templates = check_templates

    def version(self, session: Session, tenant_id: TenantId) -> int:
        """Return the version of the tenant's current policies, 0 when none was stored yet."""
        newest = sa.select(sa.func.max(PolicyVersion.version)).where(PolicyVersion.tenant_id == tenant_id)
        return session.scalar(newest) or 0

    def current(self, session: Session, tenant_id: TenantId) -> tuple[int, PolicyDocument]:
        """Return the tenant's current version and document; version 0 is the shipped document, before any is stored."""
        version = self.version(session, tenant_id)
        return version, self.at(session, tenant_id, version)

    def at(self, session: Session, tenant_id: TenantId, version: int) -> PolicyDocument:
        """Return the document of that version. Raises NoSuchVersion when there is none."""
        if version == 0:
            return self._shipped(tenant_id)
        stored = session.scalar(
            sa.select(PolicyVersion.document).where(
                PolicyVersion.tenant_id == tenant_id, PolicyVersion.version == version
            )
        )
        if stored is None:
            raise NoSuchVersion(version)
        return PolicyDocument.model_validate(stored)

    def history(
        self, session: Session, tenant_id: TenantId, *, limit: int = 25, before: int | None = None
    ) -> list[Accepted]:
        """Return the newest `limit` versions, newest first; with `before`, only older ones than that version."""
        wanted = sa.select(PolicyVersion.version, PolicyVersion.by, PolicyVersion.at).where(
            PolicyVersion.tenant_id == tenant_id
        )
        if before is not None:
            wanted = wanted.where(PolicyVersion.version < before)
        rows = session.execute(wanted.order_by(PolicyVersion.version.desc()).limit(limit))
        return [Accepted(version, by, at) for version, by, at in rows]

    def choosing_since(self, session: Session, tenant_id: TenantId) -> datetime | None:
        """Return when the tenant's policies began to choose the spaces that take part; None while they choose none."""
        row = PolicyVersion
        chosen = row.document["includedSpaces"].as_string()
        of_tenant = row.tenant_id == tenant_id
        open_to_all = sa.select(sa.func.max(row.version)).where(of_tenant, sa.or_(chosen.is_(None), chosen == "[]"))
        last = session.scalar(open_to_all) or 0
        return session.scalar(sa.select(row.at).where(of_tenant, row.version > last).order_by(row.version).limit(1))

    def slugs(self, session: Session, tenant_id: TenantId) -> set[str]:
        """Return every status slug the tenant ever used, removed ones included."""
        used = set(session.scalars(sa.select(StatusSlug.slug).where(StatusSlug.tenant_id == tenant_id)))
        return used or {status.id for status in self._shipped(tenant_id).statuses}

    def factory(self, session: Session, tenant_id: TenantId) -> PolicyDocument:
        """Return the shipped document so that it can be put over the tenant's own, in part or as a whole.

        A status whose id was removed here comes under the next free one, such as expired-2, in schemes and
        CQL alike. Nothing is on hold in it, and nothing is switched on.
        """
        dead = self.retired(session, tenant_id)

        def slug(wanted: str) -> str:
            names = itertools.chain([wanted], (f"{wanted}-{number}" for number in itertools.count(2)))
            return next(name for name in names if name not in dead)

        return self._shipped(tenant_id, hold=False, switched_on=False, slug=slug)

    def in_zone(self, tenant_id: TenantId, document: PolicyDocument, zone: str | None) -> PolicyDocument:
        """Return `document` with the times of shipped schedules in the IANA zone `zone`, if one is known.

        What an administrator has given another time stays as it is. The refresh moves too: its hour and minute, which
        spread the tenants, are of its cron and stay (docs/rules/schedules.md 2.1).
        """
        return document if zone is None else defaults.in_zone(document, self._shipped(tenant_id), zone)

    def retired(self, session: Session, tenant_id: TenantId) -> set[str]:
        """Return the status slugs that were removed and can never be used again."""
        rows = sa.select(StatusSlug.slug).where(
            StatusSlug.tenant_id == tenant_id, StatusSlug.removed_version.is_not(None)
        )
        return set(session.scalars(rows))

    def check(self, document: PolicyDocument | Mapping[str, Any]) -> Checked:
        """Return `document` ready to be stored, with notices. Reads and writes nothing.

        Raises InvalidPolicies naming every field that is not right by its JSON pointer.
        """
        if not isinstance(document, PolicyDocument):
            document = PolicyDocument.read(document)
        data = document.data()
        errors = inconsistencies(document)
        text_errors, notices = check_texts(data, document, self._check_cql, self._check_templates)
        if errors or text_errors:
            raise InvalidPolicies([*errors, *text_errors])
        accepted = PolicyDocument.model_validate(data)
        return Checked(
            accepted, (*notices, *schedule_hints(accepted), *usage.unknown_statuses(accepted, self._namespace))
        )

    def put(self, session: Session, tenant_id: TenantId, checked: Checked, *, if_match: int, by: str | None) -> int:
        """Store what `check` returned as the next version, unless it changes nothing; return the current version.

        Parameters: `if_match` is the version its author saw; `by` the author's account id. Raises PoliciesChanged when
        they are another version now, InvalidPolicies with JSON pointers when the document brings back a status id that
        was removed, SavedTooOften.
        """
        version = self.version(session, tenant_id)
        if if_match != version:
            raise PoliciesChanged(version, if_match)
        if version and _same(self.at(session, tenant_id, version), checked.document):
            return version
        self._refuse_a_flood(session, tenant_id)
        self._bury_slugs(session, tenant_id, checked.document, version + 1)
        return self._append(session, tenant_id, checked.document, version + 1, by)

    def set_hold(self, session: Session, tenant_id: TenantId, hold: Hold, *, by: str | None) -> int:
        """Store a new version that differs in its hold only; return its number (the current one if nothing changes)."""
        version, document = self.current(session, tenant_id)
        if version and document.schedules.hold == hold:
            return version
        schedules = document.schedules.model_copy(update={"hold": hold})
        changed = document.model_copy(update={"schedules": schedules})
        self._bury_slugs(session, tenant_id, changed, version + 1)
        return self._append(session, tenant_id, changed, version + 1, by)

    def seed(self, session: Session, tenant_id: TenantId) -> int:
        """Give a new tenant the shipped policies and return their version; one that has policies keeps them."""
        version = self.version(session, tenant_id)
        if version:
            return version
        document = self._shipped(tenant_id)
        self._bury_slugs(session, tenant_id, document, 1)
        return self._append(session, tenant_id, document, 1, None)

    def _shipped(
        self,
        tenant_id: TenantId,
        *,
        hold: bool | None = None,
        switched_on: bool | None = None,
        slug: defaults.Slugs = str,
    ) -> PolicyDocument:
        return defaults.shipped(
            self._namespace,
            tenant_id,
            time_zone=self._time_zone,
            hold=self._hold if hold is None else hold,
            switched_on=self._switched_on if switched_on is None else switched_on,
            slug=slug,
        )

    def _append(
        self, session: Session, tenant_id: TenantId, document: PolicyDocument, version: int, by: str | None
    ) -> int:
        data = document.model_copy(update={"version": version}).data()
        row = (
            insert(session, PolicyVersion)
            .values(tenant_id=tenant_id, version=version, document=data, by=by, at=self._clock.now())
            .on_conflict_do_nothing()
            .returning(PolicyVersion.version)
        )
        if session.scalar(row) is None:
            raise PoliciesChanged(self.version(session, tenant_id), version - 1)
        return version

    def _refuse_a_flood(self, session: Session, tenant_id: TenantId) -> None:
        lately = sa.and_(PolicyVersion.tenant_id == tenant_id, PolicyVersion.at > self._clock.now() - timedelta(days=1))
        if (session.scalar(sa.select(sa.func.count()).select_from(PolicyVersion).where(lately)) or 0) >= MOST_A_DAY:
            raise SavedTooOften(MOST_A_DAY)

    def _bury_slugs(self, session: Session, tenant_id: TenantId, document: PolicyDocument, version: int) -> None:
        """Remember the statuses this version uses for the first time and those it uses no more; refuse the dead."""
        known = {
            row.slug: row.removed_version
            for row in session.execute(
                sa.select(StatusSlug.slug, StatusSlug.removed_version).where(StatusSlug.tenant_id == tenant_id)
            )
        }
        wanted = [status.id for status in document.statuses]
        dead = [
            FieldError(
                pointer("statuses", position, "id"),
                f"was removed in version {known[slug]} and can never be used again, because pages may still "
                "carry it; take a new id",
            )
            for position, slug in enumerate(wanted)
            if known.get(slug) is not None
        ]
        if dead:
            raise InvalidPolicies(dead)
        fresh = [slug for slug in wanted if slug not in known]
        if fresh:
            rows = [{"tenant_id": tenant_id, "slug": slug, "first_version": version} for slug in fresh]
            session.execute(insert(session, StatusSlug).values(rows).on_conflict_do_nothing())
        gone = [slug for slug, removed in known.items() if removed is None and slug not in wanted]
        if gone:
            session.execute(
                sa.update(StatusSlug)
                .where(StatusSlug.tenant_id == tenant_id, StatusSlug.slug.in_(gone))
                .values(removed_version=version)
            )


def _same(one: PolicyDocument, other: PolicyDocument) -> bool:
    return one.model_copy(update={"version": other.version}) == other
