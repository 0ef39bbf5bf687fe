"""The byline's dialog: why a page has its status, a refresh of it alone, and what its editors say about it.

Open to everyone who may view the content, and the review to those who may edit it. Confluence is asked both for the
token's person; which page the frame is on is never believed. An item that somebody may not view does not exist for
them. A person's right to view costs 2 points, or what it takes to conclude it, every 15 minutes; the cost of a look is
said in `addon.jobs.statuses`.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from addon.base import Cache, Caller, TenantId
from addon.confluence import READ_AGE, WRITE_AGE, Conflict, Content, Forbidden, NotFound, RightsError, SiteBusy
from addon.jobs import indicator_state
from addon.jobs.statuses import PLAIN_ICON, Gone, Look, Review, Single, Tested, Undecided, icon_file
from addon.parts import Parts
from addon.policies import PolicyDocument
from addon.screens.access import Access
from addon.screens.api.base import Api
from addon.screens.api.byline import schemas
from addon.screens.api.executions.presenter import Presenter
from addon.screens.lookups import Lookups
from addon.screens.operations import operation
from addon.screens.problems import Problem
from addon.screens.times import site_zone

CONTENT_ID = re.compile(r"[1-9][0-9]{0,18}")
UNREADABLE = (
    "If you can read it in Confluence, its own restrictions, those of a page above it, or the space's permissions keep "
    "Content Steward out. Ask somebody who may change them to let Content Steward for Confluence view it. Until then "
    "it has no status here, and no job touches it."
)
TELL = "Tell a Confluence administrator, who can see what Confluence says."
Looks = Cache[tuple[TenantId, str], Look]
LOOK_LASTS = timedelta(seconds=10)
"""Within this time of a look or a refresh nothing is asked again, so that a key kept pressed spends no quota."""


class BylineApi(Api):
    """The status of one item."""

    def __init__(self, parts: Parts, access: Access, lookups: Lookups, presenter: Presenter) -> None:
        super().__init__(parts, access, lookups, presenter)
        self._single = Single(
            parts.confluence,
            parts.policies,
            parts.db,
            parts.clock,
            namespace=parts.settings.namespace,
            base_url=parts.settings.base_url,
        )
        self._looks: Looks = Cache(parts.clock, most=500, lasts=LOOK_LASTS)
        self._fresh: Looks = Cache(parts.clock, most=500, lasts=LOOK_LASTS)

    @operation(
        "GET",
        "/content/{content_id}/status",
        answers={200: schemas.ContentStatus},
        problems=(401, 403, 404, 503),
        name="content_status",
    )
    def status(self, caller: Caller, content_id: str) -> schemas.ContentStatus:
        """Return which status a page or blog post has and why: every status of its scheme, asked of Confluence now."""
        content = self._visible(caller, content_id, READ_AGE)
        look = self._known(self._looks, caller, content) or self._look(caller, content)
        return self._shown(caller, look)

    @operation(
        "POST",
        "/content/{content_id}/refresh",
        answers={200: schemas.ContentStatus},
        problems=(401, 403, 404, 409, 422, 503),
        name="refresh_content",
    )
    def refresh(self, caller: Caller, content_id: str) -> schemas.ContentStatus:
        """Give one item the status it has now, without a job; who may view it may ask for it."""
        content = self._visible(caller, content_id, WRITE_AGE)
        look = self._known(self._fresh, caller, content)
        if look is None:
            try:
                look = self._refreshed(caller, content)
            except Undecided as error:
                raise Problem(422, "undecided", self._undecided(caller, error)) from error
        return self._shown(caller, look)

    @operation(
        "PUT",
        "/content/{content_id}/review",
        body=schemas.ChangeReview,
        answers={200: schemas.ContentStatus},
        problems=(400, 401, 403, 404, 409, 413, 415, 422, 503),
        name="review_content",
    )
    def review(self, caller: Caller, content_id: str, *, body: schemas.ChangeReview) -> schemas.ContentStatus:
        """Set or clear the expiration date, confirm that an item is still valid, or keep it from automations.

        Its status follows at once. Raises Problem 403 for who may not edit it, 409 when it is changed by others all
        the time or the app may not write it, 422 in an excluded space.
        """
        content = self._visible(caller, content_id, WRITE_AGE)
        if not self._parts.permissions.may(caller, content, "update", max_age=WRITE_AGE):
            raise Problem(
                403, "not-editor", "Only people who may edit this may say until when it holds. Ask one of them."
            )
        look = self._look(caller, content)
        if look.excluded is not None:
            raise Problem(422, "excluded", f"The space {look.space.key} is {look.excluded}.")
        today = self._parts.clock.now().astimezone(ZoneInfo(site_zone(look.policy))).date()
        try:
            self._single.review(caller.tenant_id, content, lambda before: changed(before, body, today))
        except Conflict as error:
            raise _raced() from error
        except (Forbidden, NotFound) as error:
            raise Problem(
                409,
                "read-only",
                "Its restrictions or the space's permissions let Content Steward read it, but not write to it. Ask "
                "somebody who may change them to let Content Steward for Confluence edit it.",
            ) from error
        try:
            return self._shown(caller, self._refreshed(caller, content))
        except Undecided as error:
            self._looks.forget((caller.tenant_id, content.id))
            shown = self._shown(caller, self._look(caller, content))
            shown.problem = self._undecided(caller, error)
            return shown

    @operation(
        "GET", "/indicator", answers={200: schemas.IndicatorState}, problems=(401, 403, 503), name="indicator_state"
    )
    def indicator(self, caller: Caller) -> schemas.IndicatorState:
        """Return whether the byline shows statuses where the policies want it, for Confluence administrators."""
        self._access.site(caller)
        with self._parts.db.read(caller.tenant_id) as session:
            version, policy = self._parts.policies.current(session, caller.tenant_id)
            written = indicator_state(session)
            return schemas.IndicatorState(
                on=policy.indicator.on,
                selectors=len(policy.indicator.spaces),
                spaces=written.spaces,
                pending=written.policy_version != version,
                written_at=written.written_at,
                problem=written.problem,
            )

    def _visible(self, caller: Caller, content_id: str, max_age: timedelta) -> Content:
        """Return the content if it exists, the app sees it and the caller may view it; else they all look the same."""
        content = self._single.find(caller.tenant_id, content_id) if CONTENT_ID.fullmatch(content_id) else None
        if content is None or not self._parts.permissions.may(caller, content, "read", max_age=max_age):
            raise _unknown()
        return content

    def _look(self, caller: Caller, content: Content) -> Look:
        try:
            look = self._single.look(caller.tenant_id, content)
        except Gone as error:
            raise _unknown() from error
        self._looks.put((caller.tenant_id, content.id), look)
        return look

    def _refreshed(self, caller: Caller, content: Content) -> Look:
        try:
            look = self._single.refresh(caller.tenant_id, content)
        except Gone as error:
            raise _unknown() from error
        except Conflict as error:
            raise _raced() from error
        self._looks.put((caller.tenant_id, content.id), look)
        self._fresh.put((caller.tenant_id, content.id), look)
        return look

    def _known(self, looks: Looks, caller: Caller, content: Content) -> Look | None:
        """Return what was seen a moment ago, unless the content or the policies have changed since."""
        found = looks.get((caller.tenant_id, content.id))
        if found is None or found.value.content != content:
            return None
        with self._parts.db.read(caller.tenant_id) as session:
            _, policy = self._parts.policies.current(session, caller.tenant_id)
        return found.value if policy == found.value.policy else None

    def _shown(self, caller: Caller, look: Look) -> schemas.ContentStatus:
        said = _said(look)
        if look.excluded is None:
            said.may_edit = self._parts.permissions.may(caller, look.content, "update", max_age=READ_AGE)
            if not self._reads_policies(caller):
                said.tests = [_without_cql(test) for test in said.tests]
        return said

    def _undecided(self, caller: Caller, error: Undecided) -> str:
        shown = error.words is not None and self._reads_policies(caller)
        return f"{error} {error.words}" if shown else f"{error} {TELL}" if error.words else str(error)

    def _reads_policies(self, caller: Caller) -> bool:
        """Return whether the caller may read the CQL of policies; no, while Confluence cannot say."""
        try:
            return self._parts.permissions.is_site_admin(caller, max_age=READ_AGE)
        except (RightsError, SiteBusy):
            return False


def changed(before: Review, wanted: schemas.ChangeReview, today: date) -> Review:
    """Return the review after what somebody asked for on `today`."""
    after = before
    if wanted.dated:
        after = replace(after, expiration_date=wanted.expiration_date)
    if wanted.still_valid:
        expires = after.expiration_date
        if wanted.next_review_months is not None:
            expires = months_later(today, wanted.next_review_months)
        elif expires is not None and expires <= today:
            expires = None  # A date that has come would contradict the confirmation.
        after = replace(after, reviewed_on=today, expiration_date=expires)
    if wanted.keep is not None:
        after = replace(after, keep=wanted.keep)
    return after


def months_later(day: date, months: int) -> date:
    """Return the same day of a later month, or that month's last day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _said(look: Look) -> schemas.ContentStatus:
    policy, entry, content = look.policy, look.entry, look.content
    said = schemas.ContentStatus(
        content_id=content.id,
        kind=content.kind,
        title=content.title,
        space=schemas.SpaceOf(key=look.space.key, name=look.space.name),
        excluded=look.excluded,
        time_zone=site_zone(policy),
    )
    if look.excluded is not None:
        return said
    scheme, decided = policy.status_scheme(look.space), look.decided
    default = Tested(scheme.default_status, None, None)
    said.scheme = schemas.SchemeOf(id=scheme.id, name=scheme.name)
    said.status = _status(policy, look.current)
    had_another = entry is not None and (entry.previous is not None or entry.slug != look.default)
    said.changed_on = entry.changed_on if entry is not None and had_another else None
    said.previous = _status(policy, entry.previous) if entry is not None and entry.previous is not None else None
    said.refreshed_at = look.refreshed_at
    said.outdated = decided is not None and decided != look.current
    said.tests = [_test(policy, each, decided) for each in look.tested]
    said.tests.append(_test(policy, default, None if any(each.applies for each in said.tests) else decided, last=True))
    said.review = schemas.ShownReview(
        expiration_date=look.review.expiration_date, reviewed_on=look.review.reviewed_on, keep=look.review.keep
    )
    return said


def _test(policy: PolicyDocument, tested: Tested, decided: str | None, *, last: bool = False) -> schemas.StatusTest:
    return schemas.StatusTest(
        status=_status(policy, tested.status),
        cql=tested.cql,
        ancestor_cql=tested.ancestor_cql,
        has_ancestor_cql=tested.ancestor_cql is not None,
        direct=tested.direct,
        above=tested.above,
        problem=tested.problem,
        is_default=last,
        applies=decided == tested.status and (last or tested.matched is True),
    )


def _without_cql(test: schemas.StatusTest) -> schemas.StatusTest:
    """Return a test as everyone may see it: which condition matches, and not how it is written."""
    problem = None if test.problem is None else TELL
    return test.model_copy(update={"cql": None, "ancestor_cql": None, "problem": problem})


def _status(policy: PolicyDocument, slug: str) -> schemas.ShownStatus:
    """A status that the policies no longer have is shown by its slug."""
    known = policy.status(slug)
    name, colour, icon = (known.name, known.colour, known.icon) if known else (slug, "#8590a2", PLAIN_ICON)
    return schemas.ShownStatus(
        id=slug,
        name=name,
        description=known.description if known else "",
        colour=colour,
        icon=f"/status-icons/{icon_file(icon, colour)}",
    )


def _unknown() -> Problem:
    """Return the one answer for items that do not exist, that the app cannot read, and that the caller may not view.

    It does not say which of them it is, and says what to do to everyone who reads the page in Confluence.
    """
    return Problem(404, "unknown-content", UNREADABLE)


def _raced() -> Problem:
    return Problem(409, "changed-meanwhile", "Somebody else is changing this page just now. Try again in a moment.")
