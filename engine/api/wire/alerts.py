"""Alert rules and webhooks: requests and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from emotion_search.engine.api.http.bodies import Asked
from emotion_search.engine.api.wire.annotations import Name
from emotion_search.engine.api.wire.filters import Alert, Filters
from emotion_search.index.database.alerts import Firing, NewAlert
from emotion_search.index.database.webhooks import URL

Measure = Literal["share", "level"]
Window = Literal["recording", "day", "week", "month"]
Event = Literal["job.ended", "alert.fired"]


class AlertIn(Filters, str_strip_whitespace=True):
    """A rule to keep, about the clips that pass the filters."""

    name: Name = Field(description="What it is called; of one rule alone.")
    rule: Alert = Field(description="Such as `angry>0.3` or `happy<5%`.")
    measure: Measure = Field(
        default="share", description="Of the `share` of time of the emotion, or its mean score."
    )
    window: Window = Field(
        default="recording",
        description="Of each new recording, or of the day, week or month (UTC) that it is in.",
    )

    def new(self) -> NewAlert:
        """As it is kept.

        Raises:
            InvalidInputError: the filters make no sense.
        """
        self.wanted()
        filters = {*Filters.model_fields}
        kept = self.model_dump(mode="json", include=filters, exclude_defaults=True)
        return NewAlert(self.name, self.rule, self.measure, self.window, kept)


class AlertOut(BaseModel):
    """A rule as it stands."""

    alert: int = Field(description="Id of the rule.")
    name: str
    rule: str
    measure: Measure
    window: Window
    filters: dict[str, Any] = Field(description="Of which clips: those that were given.")
    state: Literal["waiting", "quiet", "raised", "failed"] = Field(
        description="By what it was checked with last: `raised` where that set it off, `waiting`"
        " before anything came, `failed` where it cannot be checked, for the `problem`."
    )
    problem: str | None
    created_at: datetime
    checked_at: datetime | None
    fired_at: datetime | None
    firings: list[Firing] = Field(description="The latest 20, latest first.")


class Alerts(BaseModel):
    """All rules, by name."""

    data: list[AlertOut]


class AlertDeleted(BaseModel):
    """A rule that is gone."""

    alert: int


class WebhookIn(Asked):
    """A webhook to make."""

    url: str = Field(
        json_schema_extra={"pattern": URL},
        description="Where events are sent: `https://…`, at a public address.",
    )
    events: list[Event] = Field(
        default=["job.ended", "alert.fired"],
        min_length=1,
        max_length=10,
        description="Of these types.",
    )


class WebhookOut(BaseModel):
    """A webhook; its secret is shown when it is made, and never again."""

    webhook: int = Field(description="Id of the webhook.")
    url: str
    events: list[Event]
    created_at: datetime


class WebhookMade(WebhookOut):
    """A new webhook, with its secret."""

    secret: str = Field(description="By which `webhook-signature` is checked: `whsec_…`.")


class Webhooks(BaseModel):
    """All webhooks, by id."""

    data: list[WebhookOut]


class WebhookDeleted(BaseModel):
    """A webhook that is gone."""

    webhook: int


class DeliveryOut(BaseModel):
    """An event on its way to a webhook, or what became of it."""

    delivery: int = Field(description="Id of the delivery.")
    message: str = Field(description="The header `webhook-id`, the same at every attempt.")
    event: Event | Literal["webhook.test"]
    body: str = Field(description="What is sent: JSON.")
    attempts: int
    due_at: datetime | None = Field(description="When it is tried again; null where it is not.")
    status: int | None = Field(description="HTTP status that the last attempt was answered with.")
    problem: str | None = Field(description="Why the last attempt failed.")
    created_at: datetime
    delivered_at: datetime | None


class DeliveryPage(BaseModel):
    """A page of deliveries, latest first."""

    data: list[DeliveryOut]
    next: int | None = Field(description="`cursor` of the next page; null on the last.")
