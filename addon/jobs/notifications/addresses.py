"""Where does a mail to an account go? Asked of Confluence at the moment of sending; addresses are never stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from addon.base import TenantId
from addon.confluence import Confluence, SiteClient
from addon.mail import Addresses


def addresses_of(client: SiteClient, accounts: Sequence[str]) -> Mapping[str, str | None]:
    """Return the address of each active account that Confluence shows us; None for inactive people and hidden ones."""
    return {user.account_id: user.email if user.active else None for user in client.users(accounts)}


def mail_addresses(confluence: Confluence) -> Addresses:
    """Return the look-up for mails that are sent outside a run: what a run left in the outbox.

    The look-up raises SiteError, TenantGone and Unreachable as calls do.
    """

    def look_up(tenant_id: TenantId, accounts: Sequence[str]) -> Mapping[str, str | None]:
        with confluence.client(tenant_id, share="job") as client:
            return addresses_of(client, accounts)

    return look_up
