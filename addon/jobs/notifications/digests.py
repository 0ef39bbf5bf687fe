"""Digests: one mail for each person and execution, whose sections are the rules that matched.

Everything here may be repeated after a takeover: the outbox takes each mail once, by tenant, execution and account.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from urllib.parse import urlsplit

import sqlalchemy as sa

from addon.base import chunks, get_logger, known_zone
from addon.confluence import SiteClient, SiteError, User
from addon.engine import queries
from addon.engine.job import Run
from addon.jobs.context import JobContext
from addon.jobs.models import NotificationMatch
from addon.mail import (
    ENQUEUE_BATCH,
    DigestContent,
    DigestSection,
    NewMail,
    Renderer,
    TemplateMistake,
    digest_context,
)
from addon.policies import PolicyDocument, Template, digest_template

log = get_logger(__name__)

PEOPLE = 250
"""People looked up in one call (docs/rules/confluence-api.md 2.5)."""
UNKNOWN_NAME = "there"
"""How a person is greeted whose name Confluence does not show."""


class Digests:
    """Turns the matches of one execution into mails in the outbox. Belongs to the runner thread."""

    def __init__(self, context: JobContext, run: Run, client: SiteClient) -> None:
        self._context = context
        self._run = run
        self._client = client
        self._policy: PolicyDocument = context.policy(run)
        self._rules = {
            f"{scheme.id}/{rule.id}": rule for scheme in self._policy.notification_schemes for rule in scheme.rules
        }
        self._names = {status.id: status.name for status in self._policy.statuses}

    def enqueue(self) -> None:
        """Put one mail for each person into the outbox, 500 a transaction.

        Names and the site's title are a courtesy: where the site does not say them now, the mails go without them.
        """
        accounts_matched = self._accounts()
        site = self._site() if accounts_matched else ("", "UTC")
        for accounts in chunks(accounts_matched, PEOPLE):
            people = self._people(accounts)
            mails = [mail for mail in (self._mail(id, people.get(id), *site) for id in accounts) if mail is not None]
            for some in chunks(mails, ENQUEUE_BATCH):
                with self._run.write() as session:
                    self._context.mailer.enqueue(session, some)
            self._run.check()

    def forget(self) -> None:
        """Delete the matches: everything that follows from them is in the outbox."""
        with self._run.write() as session:
            session.execute(
                sa.delete(NotificationMatch).where(NotificationMatch.execution_id == self._run.execution_id)
            )

    def _site(self) -> tuple[str, str]:
        try:
            info = self._client.system_info()
        except SiteError as error:
            log.info("mails go without the site's title", action="mail_without_title", error=str(error))
            return urlsplit(self._client.site_url).netloc, "UTC"
        return info.site_title or urlsplit(self._client.site_url).netloc, _zone(info.time_zone)

    def _people(self, accounts: Sequence[str]) -> dict[str, User]:
        try:
            return {user.account_id: user for user in self._client.users(accounts)}
        except SiteError as error:
            log.info("mails go without names", action="mail_without_names", error=str(error))
            return {}

    def _accounts(self) -> list[str]:
        """Return all accounts matched in a space that is done: a space that is not is reported by its retry."""
        query = (
            sa.select(NotificationMatch.account_id)
            .where(NotificationMatch.execution_id == self._run.execution_id, self._in_done_spaces())
            .distinct()
            .order_by(NotificationMatch.account_id)
        )
        with self._run.read() as session:
            return list(session.scalars(query))

    def _in_done_spaces(self) -> sa.ColumnElement[bool]:
        return NotificationMatch.space_id.in_(queries.done_space_ids(self._run.execution_id))

    def _mail(self, account_id: str, user: User | None, site_title: str, time_zone: str) -> NewMail | None:
        matches = self._matches(account_id)
        order = {rule_id: position for position, rule_id in enumerate(self._rules)}
        matches.sort(key=lambda match: (order[match.rule_id], match.space_key, match.title, match.content_id))
        sections, templates = [], []
        for rule_id, group in groupby(matches, key=lambda match: match.rule_id):
            rule = self._rules[rule_id]
            sections.append(DigestSection(rule.name, [self._content(match) for match in group]))
            template = self._policy.template(rule.template)
            templates += [template] if template is not None else []
        if not templates:
            return None
        context = digest_context(
            site_title=site_title,
            site_url=self._client.site_url,
            recipient_name=(user.display_name if user else "") or UNKNOWN_NAME,
            sections=sections,
            time_zone=_zone(user.time_zone if user else None, time_zone),
        )
        subject, text, html = _rendered(self._context.mailer.renderer, templates, context)
        return NewMail(self._run.tenant_id, self._run.execution_id, account_id, subject, text, html)

    def _matches(self, account_id: str) -> list[NotificationMatch]:
        query = sa.select(NotificationMatch).where(
            NotificationMatch.execution_id == self._run.execution_id,
            NotificationMatch.account_id == account_id,
            self._in_done_spaces(),
        )
        with self._run.read() as session:
            return [match for match in session.scalars(query) if match.rule_id in self._rules]

    def _content(self, match: NotificationMatch) -> DigestContent:
        return DigestContent(
            title=match.title,
            url=f"{self._client.site_url}{match.path}",
            space=match.space_key,
            updated=match.updated_at,
            status=self._names.get(match.slug or ""),
        )


def _rendered(renderer: Renderer, templates: Sequence[Template], context: dict[str, object]) -> tuple[str, str, str]:
    """Render with the first rule's template; where it fails with these items, the next, at last the shipped one."""
    for template in templates:
        try:
            return renderer.digest(template, context)
        except TemplateMistake as mistake:
            log.warning(
                "a mail template failed; another takes its place",
                action="template_failed",
                template=template.id,
                error=str(mistake),
            )
    return renderer.digest(digest_template(), context)


def _zone(name: str | None, otherwise: str = "UTC") -> str:
    """Return `name` if it is a time zone known here, else `otherwise`."""
    try:
        return known_zone(name).key if name else otherwise
    except ValueError:
        return otherwise
