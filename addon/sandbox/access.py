"""The rights of a person and of the app's own user: space permissions and content restrictions.

The app's user is bound by both like a person (docs/rules/confluence-api.md 2).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from addon.sandbox.index import Shelf
from addon.sandbox.people import ADMINISTRATORS, BOT, EVERYONE, People
from addon.sandbox.records import Content, Operation, PermissionRow, Restriction, RoleAssignment

AppPermission = Literal["view", "edit", "delete", "archive"]
ALL_APP_PERMISSIONS: frozenset[AppPermission] = frozenset({"view", "edit", "delete", "archive"})
RoleMode = Literal["PRE_ROLES", "ROLES_TRANSITION", "ROLES"]

ADMIN_ROLE = "5b3d5c32-0b0f-4a3e-9a57-000000000001"
"""Id of the system role whose holders administer a space."""
MEMBER_ROLE = "5b3d5c32-0b0f-4a3e-9a57-000000000002"
"""Id of the system role of people who read and write."""

MEMBER_OPERATIONS = (
    ("read", "space"),
    ("create", "page"),
    ("create", "blogpost"),
    ("create", "comment"),
    ("delete", "page"),
    ("archive", "page"),
)
ADMIN_OPERATIONS = (*MEMBER_OPERATIONS, ("delete", "blogpost"), ("restrict_content", "space"), ("administer", "space"))


class Access:
    """Permissions of all spaces and restrictions of all contents. The site's lock guards every change."""

    def __init__(self, people: People, live: Shelf) -> None:
        self._people = people
        self._live = live
        self._rows: dict[str, list[PermissionRow]] = {}
        self._roles: dict[str, list[RoleAssignment]] = {}
        self._restrictions: dict[str, dict[Operation, Restriction]] = {}
        self._app: dict[str, frozenset[AppPermission]] = {}
        self._row_number = 0
        self.role_mode: RoleMode = "PRE_ROLES"

    # spaces

    def grant(self, space_id: str, kind: Literal["user", "group"], principal: str, operation: str, target: str) -> None:
        """Add one permission row."""
        self._row_number += 1
        row = PermissionRow(str(900_000 + self._row_number), kind, principal, operation, target)
        self._rows.setdefault(space_id, []).append(row)

    def revoke(self, space_id: str, principal: str) -> None:
        """Drop every row and role of a principal in a space."""
        self._rows[space_id] = [row for row in self._rows.get(space_id, ()) if row.principal_id != principal]
        self._roles[space_id] = [role for role in self._roles.get(space_id, ()) if role.principal_id != principal]

    def admit(self, space_id: str, kind: Literal["user", "group"], principal: str, *, admin: bool) -> None:
        """Give a principal the rows and the role of a member, or of an administrator."""
        for operation, target in ADMIN_OPERATIONS if admin else MEMBER_OPERATIONS:
            self.grant(space_id, kind, principal, operation, target)
        role = RoleAssignment("USER" if kind == "user" else "GROUP", principal, ADMIN_ROLE if admin else MEMBER_ROLE)
        self._roles.setdefault(space_id, []).append(role)

    def assign_role(
        self, space_id: str, kind: Literal["USER", "GROUP", "ACCESS_CLASS"], principal: str, role: str
    ) -> None:
        """Assign a space role, also to an access class such as all-product-admins."""
        self._roles.setdefault(space_id, []).append(RoleAssignment(kind, principal, role))

    def rows(self, space_id: str) -> list[PermissionRow]:
        """Return the permission rows of a space as the site's role mode reports them."""
        rows = self._rows.get(space_id, [])
        if self.role_mode != "ROLES":
            return rows
        held = {role.role_id for role in self.roles(space_id)}
        return [
            PermissionRow(f"{space_id}{number:02}", "role", role_id, operation, target)
            for number, (role_id, operation, target) in enumerate(
                (role_id, *pair)
                for role_id, pairs in ((MEMBER_ROLE, MEMBER_OPERATIONS), (ADMIN_ROLE, ADMIN_OPERATIONS))
                if role_id in held
                for pair in pairs
            )
        ]

    def roles(self, space_id: str) -> list[RoleAssignment]:
        """Return the role assignments of a space; there are none before the site has roles."""
        return [] if self.role_mode == "PRE_ROLES" else self._roles.get(space_id, [])

    def permits(self, account_id: str, space_id: str, operation: str, target: str = "space") -> bool:
        """Tell whether a person has an operation in a space, directly, through a group or through a role."""
        user = self._people.get(account_id) if account_id in self._people else None
        if user is None or not user.active:
            return False
        held = self._people.groups_of(account_id) | {account_id}
        if any(
            row.operation == operation and row.target == target and row.principal_id in held
            for row in self._rows.get(space_id, ())
        ):
            return True
        pairs = {ADMIN_ROLE: ADMIN_OPERATIONS, MEMBER_ROLE: MEMBER_OPERATIONS}
        return any(
            (operation, target) in pairs.get(role.role_id, ()) and self._holds(role, held)
            for role in self.roles(space_id)
        )

    @staticmethod
    def _holds(role: RoleAssignment, held: frozenset[str]) -> bool:
        if role.principal_type == "ACCESS_CLASS":
            return role.principal_id == "all-product-admins" and ADMINISTRATORS in held
        return role.principal_id in held

    # the app

    def set_app(self, space_id: str, permissions: Iterable[AppPermission]) -> None:
        """Replace what the app's user may do in a space. Without a call it may do everything."""
        self._app[space_id] = frozenset(permissions)

    def app_may(self, permission: AppPermission, space_id: str) -> bool:
        """Tell whether the app's user has a permission in a space."""
        granted = self._app.get(space_id, ALL_APP_PERMISSIONS)
        return permission in granted and "view" in granted

    def app_sees(self, content: Content) -> bool:
        """Tell whether the app's user may view a content."""
        return self.app_may("view", content.space_id) and self._passes(BOT, content, "read")

    @property
    def any_restrictions(self) -> bool:
        """Whether any content of the site is restricted."""
        return bool(self._restrictions)

    def passes_view(self, content: Content, account_id: str = BOT) -> bool:
        """Tell whether no view restriction keeps an account out; the space's permission is not asked."""
        return self._passes(account_id, content, "read")

    def enters(self, account_id: str, space_id: str) -> bool:
        """Tell whether the app's user, or a person, may view a space."""
        return self.app_may("view", space_id) if account_id == BOT else self.permits(account_id, space_id, "read")

    def app_edits(self, content: Content) -> bool:
        """Tell whether the app's user may change a content and its properties."""
        return (
            self.app_may("edit", content.space_id)
            and self._passes(BOT, content, "read")
            and self._passes(BOT, content, "update")
        )

    # contents

    def restrict(self, content_id: str, operation: Operation, users: Iterable[str], groups: Iterable[str]) -> None:
        """Let only these view (`read`) or edit (`update`) the content. Replaces the earlier restriction."""
        restriction = Restriction(frozenset(users), frozenset(groups))
        self._restrictions.setdefault(content_id, {})[operation] = restriction

    def unrestrict(self, content_id: str) -> None:
        """Drop every restriction of the content itself."""
        self._restrictions.pop(content_id, None)

    def restriction(self, content_id: str, operation: Operation) -> Restriction | None:
        """Return the content's own restriction, not those of its ancestors."""
        return self._restrictions.get(content_id, {}).get(operation)

    def can_view(self, account_id: str, content: Content) -> bool:
        """Tell whether a person may view a content: space permission, own and inherited restrictions."""
        if account_id == BOT:
            return self.app_sees(content)
        return self.permits(account_id, content.space_id, "read") and self._passes(account_id, content, "read")

    def can_edit(self, account_id: str, content: Content) -> bool:
        """Tell whether a person may edit a content: view it, add such contents, and pass its edit restriction."""
        if account_id == BOT:
            return self.app_edits(content)
        adds = self.permits(account_id, content.space_id, "create", content.kind)
        return adds and self.can_view(account_id, content) and self._passes(account_id, content, "update")

    def _passes(self, account_id: str, content: Content, operation: Operation) -> bool:
        if not self._restrictions:
            return True
        record: Content | None = content
        while record is not None:
            restriction = self._restrictions.get(record.id, {}).get(operation)
            if restriction is not None and not self._admits(restriction, account_id):
                return False
            # Only view restrictions are inherited.
            record = self._live.get(record.parent_id) if operation == "read" and record.parent_id else None
        return True

    def _admits(self, restriction: Restriction, account_id: str) -> bool:
        return account_id in restriction.users or bool(self._people.groups_of(account_id) & restriction.groups)


__all__ = ["ADMINISTRATORS", "ADMIN_ROLE", "EVERYONE", "MEMBER_ROLE", "Access", "AppPermission", "RoleMode"]
