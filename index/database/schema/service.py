"""Tables of API keys, alerts and webhooks."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Float, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from emotion_search.index.database.schema.columns import Base, BigId, UtcDateTime, belongs_to


class ApiKey(Base):
    """A key of the HTTP service; the token itself is nowhere kept."""

    __tablename__ = "api_keys"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    prefix: Mapped[str] = mapped_column(String(16), unique=True)  # the token's first part
    sha256: Mapped[str] = mapped_column(String(64))  # of the whole token
    scope: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AlertRow(Base):
    """A rule about emotions that is kept, how far recordings were checked by it, and its state."""

    __tablename__ = "alerts"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    rule: Mapped[str] = mapped_column(Text)  # angry>0.3
    measure: Mapped[str] = mapped_column(Text)  # share, level
    window: Mapped[str] = mapped_column(Text)  # recording, day, week, month
    filters: Mapped[dict[str, Any]] = mapped_column(JSON)  # of which clips, as the API has them
    seen: Mapped[int] = mapped_column(BigInteger)  # the last recording that it was checked with
    state: Mapped[str] = mapped_column(Text)  # waiting, quiet, raised, failed
    problem: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    checked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    fired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


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
    value: Mapped[float] = mapped_column(Float)
    fired_at: Mapped[datetime] = mapped_column(UtcDateTime)


class WebhookRow(Base):
    """An address to which events are sent, and the secret that signs them."""

    __tablename__ = "webhooks"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    url: Mapped[str] = mapped_column(Text, unique=True)
    secret: Mapped[str] = mapped_column(Text)
    events: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


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
    event: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(Integer)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # None: nothing more is tried
    status: Mapped[int | None] = mapped_column(Integer)  # HTTP, of the last attempt
    problem: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    delivered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
