"""The host side of Connect: how the site installs an add-on and opens its pages.

Signed lifecycle calls: docs/rules/connect.md 2; page URLs and context tokens: docs/rules/connect.md 1.5, 3.1, 3.3. Only
add-ons on loopback are installed.
"""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import jwt
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from addon.sandbox.auth import query_hash
from addon.sandbox.extractions import TYPES
from addon.sandbox.records import AddonInstallation

if TYPE_CHECKING:
    from addon.sandbox.site import Site

TOKEN_SECONDS = 180
CONTEXT_SECONDS = 900
CALL_SECONDS = 30
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
SCOPES = frozenset({"NONE", "READ", "WRITE", "DELETE", "SPACE_ADMIN", "ADMIN", "ACT_AS_USER", "ACCESS_EMAIL_ADDRESSES"})
_VARIABLE = re.compile(r"\{([\w.]+)\}")


class InstallRefused(Exception):
    """The add-on cannot be installed; the message says why."""


class NoSuchAddon(LookupError):
    """No add-on with that key is installed, or it has no such module."""


class AddonHost:
    """Installs add-ons on a site and speaks to them as Confluence does."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._session = requests.Session()
        self._session.trust_env = False
        self.kid = str(uuid.uuid4())
        self.client_key = str(uuid.uuid4())

    @cached_property
    def _private_key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def public_key(self, kid: str) -> str | None:
        """Return the PEM of the install key with this id, or None."""
        if kid != self.kid:
            return None
        encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        return self._private_key.public_key().public_bytes(encoding, form).decode()

    # lifecycle

    def install(self, descriptor_url: str) -> AddonInstallation:
        """Install (or install again, with a new secret) the add-on of a descriptor. Raises InstallRefused."""
        descriptor = self._fetch(descriptor_url)
        self._check(descriptor)
        site, key = self._site, str(descriptor["key"])
        before = site.addons.get(key)
        base_url = str(descriptor["baseUrl"])
        addon = site.register_addon(key, self.client_key, secrets.token_urlsafe(48), descriptor, base_url)
        answer = self._call(addon, "installed", signed_by_site=True)
        if answer not in (200, 204):
            with site.lock:
                site.addons.pop(key, None)
                if before is not None:
                    site.addons[key] = before
            raise InstallRefused(f"the add-on answered its installation with {answer}")
        self._call(addon, "enabled")
        return addon

    def uninstall(self, key: str | None = None) -> None:
        """Disable and uninstall an add-on (the only one by default). Raises NoSuchAddon."""
        addon = self.addon(key)
        self._call(addon, "disabled")
        self._site.unregister_addon(addon.key)
        self._call(addon, "uninstalled", signed_by_site=True)

    def switch(self, *, enabled: bool, key: str | None = None) -> None:
        """Enable or disable an add-on (the only one by default), as under Manage apps. Raises NoSuchAddon."""
        addon = self.addon(key)
        addon.enabled = enabled
        self._call(addon, "enabled" if enabled else "disabled")

    def rotate_secret(self, key: str | None = None) -> AddonInstallation:
        """Give an add-on a new shared secret through a new `installed` call. Raises NoSuchAddon, InstallRefused."""
        old = self.addon(key)
        fresh = self._site.register_addon(
            old.key, old.client_key, secrets.token_urlsafe(48), old.descriptor, old.base_url
        )
        answer = self._call(fresh, "installed", signed_by_site=True)
        if answer not in (200, 204):
            with self._site.lock:
                self._site.addons[old.key] = old
            raise InstallRefused(f"the add-on answered its new secret with {answer}")
        return fresh

    def addon(self, key: str | None = None) -> AddonInstallation:
        """Return an installed add-on, the only one by default. Raises NoSuchAddon."""
        addons = self._site.addons
        if key is None and len(addons) == 1:
            return next(iter(addons.values()))
        if key is None or key not in addons:
            raise NoSuchAddon(key or "no add-on is installed")
        return addons[key]

    def send_webhook(self, event: str, payload: Mapping[str, Any], *, key: str | None = None) -> list[int]:
        """Post `payload` to every webhook of an add-on for `event`; return the statuses, 0 where no answer came.

        Signed with the shared secret for this very request (docs/rules/connect.md 6.1). Raises NoSuchAddon.
        """
        addon = self.addon(key)
        hooks = addon.descriptor.get("modules", {}).get("webhooks", ())
        return [self._signed_post(addon, hook["url"], payload) for hook in hooks if hook["event"] == event]

    # pages

    def module(self, module_key: str, addon_key: str | None = None) -> dict[str, Any]:
        """Return the descriptor's module with this key. Raises NoSuchAddon."""
        for modules in self.addon(addon_key).descriptor.get("modules", {}).values():
            for module in modules if isinstance(modules, list) else [modules]:
                if module.get("key") == module_key:
                    return dict(module)
        raise NoSuchAddon(f"module {module_key}")

    def page_url(
        self,
        account_id: str,
        module_key: str,
        *,
        space_key: str | None = None,
        content_id: str | None = None,
        extra: Mapping[str, str] | None = None,
        addon_key: str | None = None,
    ) -> str:
        """Return the signed URL of a module's page as `account_id` opens it in a space or on a content.

        Variables such as {space.key} are filled in; `extra` adds query parameters. Raises NoSuchAddon.
        """
        addon = self.addon(addon_key)
        path, _, query = str(self.module(module_key, addon_key)["url"]).partition("?")
        values = self._variables(space_key, content_id)
        path, query = (
            _VARIABLE.sub(lambda found: quote(values.get(found[1], ""), safe=""), part) for part in (path, query)
        )
        standard = {
            "xdm_e": self._site.origin,
            "xdm_c": f"channel-{addon.key}__{module_key}",
            "cp": "/wiki",
            "lic": "active",
            "cv": "1000.0.0-sandbox",
            **(extra or {}),
        }
        query = "&".join(part for part in (query, urlencode(standard)) if part)
        token = self.token(addon, "GET", path, query, account_id, space_key=space_key, content_id=content_id)
        return f"{addon.base_url.rstrip('/')}{path}?{query}&jwt={token}"

    def context_token(
        self,
        account_id: str,
        *,
        space_key: str | None = None,
        content_id: str | None = None,
        addon_key: str | None = None,
    ) -> str:
        """Return what AP.context.getToken() gives a page: the qsh is the literal "context-qsh", 15 minutes long."""
        addon = self.addon(addon_key)
        claims = self._claims(addon, "context-qsh", CONTEXT_SECONDS)
        claims |= {"sub": account_id, "context": self._context(space_key, content_id)}
        return jwt.encode(claims, addon.secret, "HS256")

    def token(
        self,
        addon: AddonInstallation,
        method: str,
        path: str,
        query: str,
        account_id: str | None,
        *,
        space_key: str | None = None,
        content_id: str | None = None,
    ) -> str:
        """Return an HS256 token for one request; `path` is relative to the add-on's base URL."""
        claims = self._claims(addon, query_hash(method, path, query), TOKEN_SECONDS)
        claims["context"] = self._context(space_key, content_id)
        if account_id is not None:
            claims["sub"] = account_id
        return jwt.encode(claims, addon.secret, "HS256")

    # parts

    def _claims(self, addon: AddonInstallation, qsh: str, seconds: int) -> dict[str, Any]:
        now = int(self._site.clock.now().timestamp())
        return {"iss": addon.client_key, "iat": now, "exp": now + seconds, "qsh": qsh}

    def _context(self, space_key: str | None, content_id: str | None) -> dict[str, Any]:
        known: dict[str, Any] = {}
        if space_key is not None:
            known["space"] = {"key": space_key, "id": self._site.space(space_key).id}
        if content_id is not None:
            content = self._site.get(content_id)
            known["content"] = {"id": content.id, "type": content.kind, "version": content.version}
        return {"confluence": known, "url": {"displayUrl": self._site.base_url}}

    def _variables(self, space_key: str | None, content_id: str | None) -> dict[str, str]:
        values: dict[str, str] = {}
        if content_id is not None:
            content = self._site.get(content_id)
            space_key = space_key or self._site.space_by_id(content.space_id).key
            for prefix in ("content", "page"):
                values |= {f"{prefix}.id": content.id, f"{prefix}.type": content.kind, f"{prefix}.title": content.title}
                values[f"{prefix}.version"] = str(content.version)
        if space_key is not None:
            values |= {"space.key": space_key, "space.id": self._site.space(space_key).id}
        return values

    def _fetch(self, url: str) -> dict[str, Any]:
        _require_loopback(url)
        try:
            answer = self._session.get(url, timeout=CALL_SECONDS, allow_redirects=False)
            descriptor = answer.json() if answer.status_code == 200 else None
        except (requests.RequestException, ValueError) as error:
            raise InstallRefused(f"the descriptor cannot be read: {type(error).__name__}") from error
        if not isinstance(descriptor, dict):
            raise InstallRefused(f"the descriptor's address answers {answer.status_code} or no JSON object")
        return descriptor

    def _check(self, descriptor: Mapping[str, Any]) -> None:
        for name in ("key", "baseUrl", "name"):
            if not isinstance(descriptor.get(name), str):
                raise InstallRefused(f"the descriptor has no {name}")
        if not re.fullmatch(r"[a-zA-Z0-9._-]{1,80}", descriptor["key"]):
            raise InstallRefused("the descriptor's key has other characters than letters, digits, dot, dash")
        _require_loopback(descriptor["baseUrl"])
        if descriptor.get("authentication", {}).get("type") != "jwt":
            raise InstallRefused("authentication.type must be jwt")
        if not descriptor.get("lifecycle", {}).get("installed"):
            raise InstallRefused("authentication jwt needs lifecycle.installed")
        if descriptor.get("apiMigrations", {}).get("signed-install") is not True:
            raise InstallRefused("apiMigrations.signed-install must be true")
        self._check_scopes({str(scope).upper() for scope in descriptor.get("scopes", ())})
        self._check_properties(descriptor)

    def _check_scopes(self, scopes: set[str]) -> None:
        if not scopes <= SCOPES:
            raise InstallRefused(f"unknown scopes: {', '.join(sorted(scopes - SCOPES))}")
        if "ACCESS_EMAIL_ADDRESSES" in scopes and not self._site.email_api_approved:
            raise InstallRefused("the app is not approved by Atlassian for ACCESS_EMAIL_ADDRESSES")

    def _check_properties(self, descriptor: Mapping[str, Any]) -> None:
        aliases: set[str] = set()
        for module in descriptor.get("modules", {}).get("confluenceContentProperties", ()):
            for configuration in module.get("keyConfigurations", ()):
                for extraction in configuration.get("extractions", ()):
                    alias = extraction.get("alias")
                    if extraction.get("type") not in TYPES or not extraction.get("objectName"):
                        raise InstallRefused(f"extraction {alias} needs an objectName and a type of {TYPES}")
                    if alias in aliases:
                        raise InstallRefused(f"alias {alias} is declared twice")
                    aliases |= {alias} - {None}

    def _call(self, addon: AddonInstallation, event: str, *, signed_by_site: bool = False) -> int | None:
        """Call one lifecycle URL; return the status, 0 when the add-on cannot be reached, None without a URL."""
        path = addon.descriptor.get("lifecycle", {}).get(event)
        if path is None:
            return None
        site = self._site
        payload: dict[str, Any] = {
            "key": addon.key,
            "clientKey": addon.client_key,
            "baseUrl": site.base_url,
            "displayUrl": site.base_url,
            "productType": "confluence",
            "description": site.title,
            "eventType": event,
            "oauthClientId": "sandbox-oauth-client",
        }
        if event == "installed":
            payload["sharedSecret"] = addon.secret
        if signed_by_site:
            claims = self._claims(addon, query_hash("POST", path, ""), CONTEXT_SECONDS)
            # Two calls of one second are two tokens: one token is good for one body.
            claims |= {"aud": [addon.base_url], "jti": secrets.token_urlsafe(16)}
            token = jwt.encode(claims, self._private_key, "RS256", headers={"kid": self.kid})
        else:
            token = None
        return self._signed_post(addon, path, payload, token)

    def _signed_post(
        self, addon: AddonInstallation, path: str, payload: Mapping[str, Any], token: str | None = None
    ) -> int:
        """Post to an add-on's path; without `token` with one of the shared secret. 0: it cannot be reached."""
        if token is None:
            token = self.token(addon, "POST", path, "", None)
        try:
            answer = self._session.post(
                f"{addon.base_url.rstrip('/')}{path}",
                json=dict(payload),
                headers={"Authorization": f"JWT {token}"},
                timeout=CALL_SECONDS,
                allow_redirects=False,
            )
        except requests.RequestException:
            return 0
        return answer.status_code


def _require_loopback(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or parts.hostname not in LOOPBACK:
        raise InstallRefused("the sandbox installs add-ons on loopback only")
