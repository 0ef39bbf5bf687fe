"""The models of the byline's dialog."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from addon.screens.schemas import Body, Model

YEARS = (2000, 2199)
"""The years a date may lie in: what is beyond them is a slip of the pen."""


class ChangeReview(Body):
    """What is to change of what people say about an item; what is left out stays as it is.

    `stillValid` sets the day of the review to today and takes away an expiration date that has come; with
    `nextReviewMonths` the content expires so many months from today.
    """

    expiration_date: date | None = Field(None, description="The day from which it counts as expired; null: none")
    still_valid: bool = False
    next_review_months: Literal[3, 6, 12] | None = None
    keep: bool | None = Field(None, description="Automations leave it alone")

    @field_validator("expiration_date")
    @classmethod
    def _in_our_time(cls, value: date | None) -> date | None:
        if value is not None and not YEARS[0] <= value.year <= YEARS[1]:
            raise ValueError(f"must be between the years {YEARS[0]} and {YEARS[1]}")
        return value

    @model_validator(mode="after")
    def _one_meaning(self) -> Self:
        if self.next_review_months is not None and not self.still_valid:
            raise ValueError("nextReviewMonths goes with stillValid")
        if self.still_valid and self.dated:
            raise ValueError("stillValid and expirationDate are two ways to set one date: send one of them")
        if not (self.still_valid or self.dated or self.keep is not None):
            raise ValueError("says nothing to change: send expirationDate, stillValid or keep")
        return self

    @property
    def dated(self) -> bool:
        """Whether an expiration date, or that there is to be none, was sent."""
        return "expiration_date" in self.model_fields_set


class ShownStatus(Model):
    """A content status as people see it."""

    id: str
    name: str
    description: str = ""
    colour: str
    icon: str = Field(description="Address of its picture, below the add-on's own address")


class StatusTest(Model):
    """One status of the space's scheme, in order, and whether the content matches it now."""

    status: ShownStatus
    cql: str | None = Field(None, description="For Confluence administrators")
    ancestor_cql: str | None = Field(None, description="For Confluence administrators")
    has_ancestor_cql: bool = Field(False, description="Whether a page above can bring this status")
    direct: bool | None = Field(None, description="Whether the CQL matches; null: not asked, or not answered")
    above: bool | None = Field(None, description="Whether the ancestor CQL matches a page above; null as for direct")
    problem: str | None = Field(
        None, description="Why Confluence did not answer the queries; its own words for Confluence administrators"
    )
    is_default: bool = False
    applies: bool = Field(False, description="Whether this is the status that the content has by its scheme now")


class SpaceOf(Model):
    """The space of an item."""

    key: str
    name: str


class SchemeOf(Model):
    """The status scheme of a space."""

    id: str
    name: str


class ShownReview(Model):
    """What people say about an item."""

    expiration_date: date | None = None
    reviewed_on: date | None = None
    keep: bool = False


class ContentStatus(Model):
    """Which status an item has, and why."""

    content_id: str
    kind: Literal["page", "blogpost"]
    title: str
    space: SpaceOf
    excluded: str | None = Field(None, description="Why the space has no statuses; then nothing below is said")
    scheme: SchemeOf | None = None
    status: ShownStatus | None = None
    changed_on: datetime | None = Field(None, description="Since when; null where it never had another status")
    previous: ShownStatus | None = None
    refreshed_at: datetime | None = None
    outdated: bool = Field(False, description="Whether a refresh would change the status")
    tests: list[StatusTest] = Field(default_factory=list)
    review: ShownReview | None = None
    may_edit: bool = False
    time_zone: str = "UTC"
    problem: str | None = Field(None, description="Why the status could not be refreshed after the review changed")


class IndicatorState(Model):
    """Where Confluence shows statuses in the byline, as it last heard from Content Steward."""

    on: bool = Field(description="Whether the policies want it on the whole site")
    selectors: int = Field(description="How many selectors of spaces the policies have for it")
    spaces: int = Field(description="How many spaces the site shows it in; 0 when on or off everywhere")
    pending: bool = Field(description="Whether the site does not know the policies as they are yet")
    written_at: datetime | None = None
    problem: str | None = None
