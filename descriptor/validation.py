"""The rules that a host accepts a descriptor by (docs/rules/connect.md 1), checked before any site installs it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt, ValidationError

LEVELS = ("READ", "WRITE", "DELETE", "SPACE_ADMIN", "ADMIN")
"""Each scope includes those before it."""
SCOPES = frozenset((*LEVELS, "NONE", "ACT_AS_USER", "ACCESS_EMAIL_ADDRESSES"))
_PRODUCTS = ("atlassian", "bitbucket", "compass", "confluence", "jira", "loom", "opsgenie", "statuspage", "trello")
_VARIABLE = re.compile(r"\{([^{}]*)\}")
_VARIABLES = re.compile(
    r"(space\.(id|key)|content\.(id|version|type|plugin)|page\.(id|version|type|title)"
    r"|macro\.(id|hash|body|truncated|outputType)|ac\.\w+)\Z"
)
_LOOPBACK = frozenset(("127.0.0.1", "::1", "localhost"))


class DescriptorInvalid(Exception):
    """A descriptor that a host would refuse, or that is not safe to install. `errors` has one sentence per fault."""

    def __init__(self, errors: Iterable[str]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(self.errors))


def validate(descriptor: Any) -> None:
    """Check a whole descriptor. Raises DescriptorInvalid naming every fault with its place."""
    try:
        model = Descriptor.model_validate(descriptor)
    except ValidationError as error:
        raise DescriptorInvalid(
            f"/{'/'.join(str(part) for part in entry['loc'])}: {entry['msg']}" for entry in error.errors()
        ) from error
    faults = [*_faults(model)]
    if faults:
        raise DescriptorInvalid(faults)


def implied(scopes: Iterable[str]) -> frozenset[str]:
    """Return the scopes together with those they include (DELETE includes WRITE and READ)."""
    found = {scope.upper() for scope in scopes}
    highest = max((LEVELS.index(scope) for scope in found if scope in LEVELS), default=-1)
    return frozenset(found | set(LEVELS[: highest + 1]))


def _relative(url: str) -> str:
    if not url.startswith("/") or url.startswith("//") or "\\" in url or not url.isascii() or " " in url:
        raise ValueError("must be a path below the base URL that begins with one slash")
    unknown = [name for name in _VARIABLE.findall(url) if not _VARIABLES.match(name)]
    if unknown:
        raise ValueError(f"has unknown context parameters {unknown}")
    return url


def _base_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ValueError("must be https (http only on this machine)")
    if not parts.hostname or parts.query or parts.fragment or parts.username is not None or url.endswith("/"):
        raise ValueError("must be an absolute URL without query, fragment, user and trailing slash")
    return url


def _name(name: str) -> str:
    if name.strip().lower().startswith(_PRODUCTS):
        raise ValueError("must not begin with the name of an Atlassian product")
    return name


RelativeUrl = Annotated[str, Field(max_length=1000), AfterValidator(_relative)]
ModuleKey = Annotated[str, Field(pattern=r"^[a-zA-Z0-9-]{1,100}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Text(_Strict):
    """A text people see."""

    value: Annotated[str, Field(min_length=1, max_length=1500)]
    i18n: str | None = None


class Condition(BaseModel):
    """A condition hides a link and authorises nothing (docs/rules/connect.md 1.4)."""

    model_config = ConfigDict(extra="allow")


class Page(_Strict):
    """A page in the host's frame."""

    key: ModuleKey
    name: Text
    url: RelativeUrl
    location: str | None = None
    weight: StrictInt | None = None
    full_page: StrictBool | None = Field(None, alias="fullPage")
    cacheable: StrictBool | None = None
    conditions: list[Condition] = []
    params: dict[str, str] = {}


class SpaceToolsTab(_Strict):
    """A tab of the space settings; it knows neither icon nor cacheable."""

    key: ModuleKey
    name: Text
    url: RelativeUrl
    location: Literal["overview", "permissions", "contenttools", "lookandfeel", "integrations", "addons"]
    weight: StrictInt | None = None
    conditions: list[Condition] = []
    params: dict[str, str] = {}


class Icon(_Strict):
    """A picture; its address is below the base URL."""

    url: RelativeUrl
    width: Annotated[StrictInt, Field(ge=1, le=256)] = 16
    height: Annotated[StrictInt, Field(ge=1, le=256)] = 16


class DialogOptions(_Strict):
    """How large a dialog is, and whether the host draws its head and buttons."""

    width: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,3}(px|%)$")]
    height: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,3}(px|%)$")]
    chrome: StrictBool = False


class DialogTarget(_Strict):
    """What opens when an item is pressed. Others exist; this is the one we use."""

    type: Literal["dialog"]
    options: DialogOptions


class BylineItem(_Strict):
    """An item below a content's title; what the content property holds takes the place of the declared fields."""

    key: ModuleKey
    name: Text
    tooltip: Text
    icon: Icon
    url: RelativeUrl
    target: DialogTarget
    content_property_key: Annotated[str, Field(min_length=1, max_length=255)] = Field(alias="contentPropertyKey")
    conditions: Annotated[list[Condition], Field(min_length=1)]


class UiSupport(_Strict):
    """How an alias looks in the host's search."""

    name: Text
    tooltip: Text | None = None
    value_type: Literal["space", "label", "user", "contentId", "contentType", "date", "string", "number"] = Field(
        alias="valueType"
    )
    default_operator: str | None = Field(None, alias="defaultOperator")
    data_uri: str | None = Field(None, alias="dataUri")


class Extraction(_Strict):
    """One value of a content property that CQL can search."""

    object_name: Annotated[str, Field(min_length=1, max_length=1000)] = Field(alias="objectName")
    type: Literal["number", "string", "text", "date"]
    alias: Annotated[str, Field(pattern=r"^[a-zA-Z][a-zA-Z0-9_]*$")] | None = None
    ui_support: UiSupport | None = Field(None, alias="uiSupport")


class KeyConfiguration(_Strict):
    """One content property."""

    property_key: Annotated[str, Field(min_length=1, max_length=255)] = Field(alias="propertyKey")
    extractions: Annotated[list[Extraction], Field(min_length=1)]


class ContentProperties(_Strict):
    """The content properties that the host indexes."""

    key: ModuleKey
    name: Text
    key_configurations: Annotated[list[KeyConfiguration], Field(min_length=1)] = Field(alias="keyConfigurations")


class Webhook(_Strict):
    """An event the host posts."""

    event: Annotated[str, Field(pattern=r"^[a-z_]+$")]
    url: RelativeUrl
    exclude_body: StrictBool | None = Field(None, alias="excludeBody")


class Modules(_Strict):
    """The modules the add-on uses; others are refused so that a spelling mistake shows."""

    admin_pages: list[Page] = Field([], alias="adminPages")
    general_pages: list[Page] = Field([], alias="generalPages")
    space_tools_tabs: list[SpaceToolsTab] = Field([], alias="spaceToolsTabs")
    configure_page: Page | None = Field(None, alias="configurePage")
    post_install_page: Page | None = Field(None, alias="postInstallPage")
    byline_items: list[BylineItem] = Field([], alias="contentBylineItems")
    content_properties: list[ContentProperties] = Field([], alias="confluenceContentProperties")
    webhooks: list[Webhook] = []

    def keys(self) -> Iterator[str]:
        """Yield the key of every module that has one."""
        modules: list[Page | SpaceToolsTab | BylineItem | ContentProperties] = [*self.admin_pages, *self.general_pages]
        modules += [*self.space_tools_tabs, *self.byline_items, *self.content_properties]
        yield from (module.key for module in modules)
        yield from (page.key for page in (self.configure_page, self.post_install_page) if page is not None)


class Authentication(_Strict):
    """How requests are proved. `none` exists for hosts, never for this add-on."""

    type: Literal["jwt"]


class ApiMigrations(_Strict):
    """The three migrations, all taken: without them installs are unsigned and user names leak."""

    signed_install: Literal[True] = Field(alias="signed-install")
    context_qsh: Literal[True] = Field(alias="context-qsh")
    gdpr: Literal[True]


class Lifecycle(_Strict):
    """Where the host calls."""

    installed: RelativeUrl
    uninstalled: RelativeUrl
    enabled: RelativeUrl | None = None
    disabled: RelativeUrl | None = None


class Vendor(_Strict):
    """Who made it."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    url: Annotated[str, Field(pattern=r"^https?://")]


class Descriptor(_Strict):
    """The whole descriptor (docs/rules/connect.md 1.1)."""

    key: Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]{1,64}$")]
    name: Annotated[str, Field(min_length=1, max_length=80), AfterValidator(_name)]
    description: Annotated[str, Field(max_length=1400)] = ""
    base_url: Annotated[str, Field(max_length=200), AfterValidator(_base_url)] = Field(alias="baseUrl")
    vendor: Vendor | None = None
    links: Mapping[str, str] = {}
    authentication: Authentication
    api_version: StrictInt = Field(1, ge=1, alias="apiVersion")
    api_migrations: ApiMigrations = Field(alias="apiMigrations")
    lifecycle: Lifecycle
    enable_licensing: StrictBool = Field(False, alias="enableLicensing")
    scopes: Annotated[list[str], Field(min_length=1)]
    modules: Modules


def _faults(descriptor: Descriptor) -> Iterator[str]:
    yield from _scope_faults(descriptor)
    modules = descriptor.modules
    yield from (f"/modules: the key {key} is used twice" for key in _twice(modules.keys()))
    yield from (f"/modules/webhooks: {event} is asked for twice" for event in _twice(w.event for w in modules.webhooks))
    configurations = [entry for module in modules.content_properties for entry in module.key_configurations]
    extractions = [extraction for entry in configurations for extraction in entry.extractions]
    for key in _twice(entry.property_key for entry in configurations):
        yield f"/modules/confluenceContentProperties: the property {key} is configured twice"
    for alias in _twice(extraction.alias for extraction in extractions if extraction.alias):
        yield f"/modules/confluenceContentProperties: the alias {alias} is used twice"
    for extraction in extractions:
        if extraction.ui_support is not None and not extraction.alias:
            yield f"/modules/confluenceContentProperties: {extraction.object_name} has uiSupport without an alias"


def _scope_faults(descriptor: Descriptor) -> Iterator[str]:
    scopes = descriptor.scopes
    unknown = [scope for scope in scopes if scope.upper() not in SCOPES]
    if unknown:
        yield f"/scopes: unknown {unknown}"
    if not (all(scope.isupper() for scope in scopes) or all(scope.islower() for scope in scopes)):
        yield "/scopes: upper and lower case are mixed"
    if _twice(scope.upper() for scope in scopes):
        yield "/scopes: one is there twice"
    if descriptor.modules.webhooks and "READ" not in implied(scopes):
        yield "/scopes: webhooks need READ"


def _twice(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]
