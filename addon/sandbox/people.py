"""The people of the site: users, groups, administrators, and what each may do in a space."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from addon.sandbox.records import Group, User

BOT = "app-content-steward"
"""Account id of the app's own user: what the add-on calls with its token, it does as this user."""
EVERYONE = "confluence-users"
"""Id of the group every person is in."""
ADMINISTRATORS = "confluence-admins"
"""Id of the group of Confluence administrators."""


class UnknownPerson(KeyError):
    """No user with that account id."""


class People(Mapping[str, User]):
    """The users by account id, and the groups. The site's lock guards every change."""

    def __init__(self) -> None:
        self._users: dict[str, User] = {}
        self.groups: dict[str, Group] = {}
        self.add_group(EVERYONE)
        self.add_group(ADMINISTRATORS)

    def __getitem__(self, account_id: str) -> User:
        try:
            return self._users[account_id]
        except KeyError:
            raise UnknownPerson(account_id) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._users)

    def __len__(self) -> int:
        return len(self._users)

    def add_group(self, group_id: str, name: str | None = None) -> Group:
        """Add (or rename) a group; its name is its id unless given."""
        group = self.groups[group_id] = Group(group_id, name or group_id)
        return group

    def add(
        self,
        account_id: str,
        display_name: str,
        email: str = "",
        *,
        email_visible: bool = True,
        time_zone: str | None = None,
        admin: bool = False,
        groups: tuple[str, ...] = (),
        active: bool = True,
    ) -> User:
        """Add a person to the group of everyone, the `groups` named and, as `admin`, the administrators' group."""
        for group_id in groups:
            if group_id not in self.groups:
                self.add_group(group_id)
        member_of = {EVERYONE, *groups} | ({ADMINISTRATORS} if admin else set())
        user = User(account_id, display_name, email, email_visible, time_zone, active, groups=member_of)
        self._users[account_id] = user
        return user

    def add_app(self, account_id: str, display_name: str) -> User:
        """Add an app's own user: in no group, without an address."""
        user = User(account_id, display_name, "", email_visible=False, account_type="app")
        self._users[account_id] = user
        return user

    def groups_of(self, account_id: str) -> frozenset[str]:
        """Return the ids of the user's groups; empty for unknown users."""
        user = self._users.get(account_id)
        return frozenset(user.groups) if user else frozenset()

    def is_admin(self, account_id: str) -> bool:
        """Tell whether the user is an active Confluence administrator."""
        user = self._users.get(account_id)
        return user is not None and user.active and ADMINISTRATORS in user.groups

    def by_email(self, address: str) -> str | None:
        """Return the account id behind an e-mail address, whatever its case; None for a stranger's."""
        wanted = address.strip().lower()
        return next((user.account_id for user in self._users.values() if user.email.lower() == wanted != ""), None)

    def members(self, group_id: str) -> list[User]:
        """Return the users of a group in the order they were added."""
        return [user for user in self._users.values() if group_id in user.groups]
