"""Tables of API keys, alerts and webhooks."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from emotion_search.index.database.schema.columns import Base, BigId, belongs_to
from emotion_search.index.database.schema.values import Hash, Named, Score, one_of

EVENTS = ("job.ended", "alert.fired")
"""Types of events."""
TEST = "webhook.test"
"""Type of an event that any webhook gets when it is asked for, to see whether it arrives."""


class ApiKey(Base):
    """A key of the HTTP service; the token itself is nowhere kept."""

    __tablename__ = "api_keys"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str]
    prefix: Mapped[str] = mapped_column(String(16), unique=True)  # the token's first part
    sha256: Mapped[Hash]  # of the whole token
    scope: Mapped[str] = one_of("read", "write", "admin")
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class AlertRow(Base):
    """A rule about emotions that is kept, how far recordings were checked by it, and its state."""

    __tablename__ = "alerts"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[Named] = mapped_column(unique=True)
    rule: Mapped[str]  # angry>0.3
    measure: Mapped[str] = one_of("share", "level")
    window: Mapped[str] = one_of("recording", "day", "week", "month")
    filters: Mapped[dict[str, Any]]  # of which clips, as the API has them
    seen: Mapped[int] = mapped_column(BigInteger)  # the last recording that it was checked with
    state: Mapped[str] = one_of("waiting", "quiet", "raised", "failed")
    problem: Mapped[str | None]
    created_at: Mapped[datetime]
    checked_at: Mapped[datetime | None]
    fired_at: Mapped[datetime | None]


class Firing(Base):
    """A recording, or a period, that set an alert off."""

    __tablename__ = "alert_firings"
    __table_args__ = (
        Index("ix_alert_firings_alert_id", "alert_id"),
        Index("ix_alert_firings_recording_id", "recording_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    alert_id: Mapped[int] = belongs_to("alerts.id")
    recording_id: Mapped[int | None] = belongs_to("recordings.id")
    period: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))
    value: Mapped[Score]
    low: Mapped[Score | None]  # of a period
    high: Mapped[Score | None]
    uncertain: Mapped[Score | None]  # share of time
    fired_at: Mapped[datetime]


class WebhookRow(Base):
    """An address to which events are sent, and the secret that signs them."""

    __tablename__ = "webhooks"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    url: Mapped[Named] = mapped_column(unique=True)
    secret: Mapped[str]
    events: Mapped[list[str]]
    created_at: Mapped[datetime]


class DeliveryRow(Base):
    """An event on its way to a webhook, or what became of it."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("ix_webhook_deliveries_webhook_id", "webhook_id"),
        Index("ix_webhook_deliveries_due_at", "due_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    webhook_id: Mapped[int] = belongs_to("webhooks.id")
    message: Mapped[str] = mapped_column(String(40))  # the same at every attempt
    event: Mapped[str] = one_of(*EVENTS, TEST)
    body: Mapped[str]
    attempts: Mapped[int]
    due_at: Mapped[datetime | None]  # None: nothing more is tried
    status: Mapped[int | None]  # HTTP, of the last attempt
    problem: Mapped[str | None]
    created_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]
