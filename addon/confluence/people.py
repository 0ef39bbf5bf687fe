"""The typed calls to one site about people: who they are, which groups they are in, what they may do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from addon.base import chunks, get_logger
from addon.base.bounds import ACCOUNT_LENGTH, identifier
from addon.confluence import errors
from addon.confluence.content import Kind, Operation, User
from addon.confluence.http import answers, endpoints
from addon.confluence.http.site_requests import SiteRequests
from addon.confluence.rights import grants

log = get_logger(__name__)

USERS_MOST = 250
"""Accounts of one look-up (docs/rules/confluence-api.md 2.5)."""
EMAILS_MOST = 90
"""Accounts of one look-up of addresses: our own bound, as the URL names them all."""
GROUPS_PAGE = 200
"""Rows of a page of groups or members (docs/rules/confluence-api.md 2.5)."""


class PeopleCalls(SiteRequests):
    """The part of SiteClient that is about people. Errors are those of SiteClient."""

    email_api = False
    """Whether Atlassian approved the e-mail API for this app; set by `Confluence.client`."""

    def users(self, account_ids: Iterable[str]) -> list[User]:
        """Return the people behind `account_ids`; unknown ones are left out.

        E-mail addresses are those that profiles show, and all when the e-mail API is approved for this app.
        """
        wanted = list(dict.fromkeys(account_ids))
        found: dict[str, User] = {}
        for chunk in chunks(wanted, USERS_MOST):
            answer = self.call(endpoints.USERS_BULK, body={"accountIds": chunk}, most=len(chunk))
            found.update((user.account_id, user) for user in answers.rows(answer, answers.user))
        if self.email_api:
            for account_id, email in self._emails(list(found)).items():
                found[account_id] = replace(found[account_id], email=email)
        return list(found.values())

    def groups_of(self, account_id: str) -> set[str]:
        """Return the ids of the groups a person belongs to."""
        params = [("accountId", account_id)]
        return set(self.listing(endpoints.MEMBER_OF, params=params, read=lambda row: str(row["id"]), limit=GROUPS_PAGE))

    def group_members(self, group_id: str) -> set[str]:
        """Return the account ids of a group's members; empty for a group that is unknown or hidden."""
        try:
            rows = self.listing(
                endpoints.GROUP_MEMBERS,
                [group_id],
                read=lambda row: identifier(row["accountId"], ACCOUNT_LENGTH),
                limit=GROUPS_PAGE,
            )
            return set(rows)
        except errors.NotFound:
            return set()

    def is_site_admin(self, account_id: str) -> bool:
        """Return whether a person administers this Confluence; unknown people do not. Costs 3 points."""
        return grants.of_site(self, account_id)

    def is_space_admin(self, account_id: str, space_id: str) -> bool:
        """Return whether a person administers a space. What cannot be understood counts as no."""
        return grants.of_space(self, account_id, space_id)

    def space_admins(self, space_id: str) -> set[str]:
        """Return the account ids of the people who administer a space, directly, by a group or by a role."""
        return grants.people_of_space(self, space_id, self.group_members)

    def may(self, account_id: str, content_id: str, operation: Operation) -> bool:
        """Return whether a person may read or update a content, as Confluence itself decides it.

        Raises Forbidden where the app's user may not ask for others: only Confluence administrators may
        (docs/rules/confluence-api.md 2.5).
        """
        body = {"subject": {"type": "user", "identifier": account_id}, "operation": operation}
        answer = self.call(endpoints.PERMISSION_CHECK, [content_id], body=body)
        return answers.reading(lambda row: row["hasPermission"] is True, answer)

    def may_delete(self, account_id: str, kind: Kind, space_id: str) -> bool:
        """Return whether a person in work may delete contents of a kind in a space; an app never may.

        What restricts a single item is left out: ask about a person who has just edited it. 3 points and, for a
        person, their groups and the space's permission rows up to the one that decides.
        """
        if not any(user.active_person for user in self.users([account_id]) if user.account_id == account_id):
            return False
        wanted = {("read", "space"), ("delete", kind)}
        return grants.rights_in_space(self, account_id, self.groups_of(account_id), space_id, wanted) == wanted

    def _emails(self, account_ids: Sequence[str]) -> dict[str, str]:
        emails: dict[str, str] = {}
        for chunk in chunks(account_ids, EMAILS_MOST):
            try:
                answer = self.call(endpoints.EMAILS, params=endpoints.numbered("accountId", chunk), most=len(chunk))
            except errors.Postponed:
                raise
            except (errors.BadRequest, errors.Forbidden, errors.NotFound, errors.ServerError) as error:
                # Approval can be withdrawn any day; visible addresses are better than no mail at all.
                log.warning("the e-mail API refused a look-up", action="email_lookup_refused", error=str(error))
                return emails
            rows = answer if isinstance(answer, list) else []
            emails.update((str(row["accountId"]), str(row["email"])) for row in rows if row.get("email"))
        return emails
