"""Webhooks, and the events on their way to them: rows, so that no event is lost with a process."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, func, or_, select, update
from sqlalchemy.orm import Session

from emotion_search.index.database.schema import TEST, WebhookRow, as_details
from emotion_search.index.database.schema import DeliveryRow as Row
from emotion_search.index.database.slices import now_of
from emotion_search.index.errors import ConflictError, NotFoundError

MOST_WEBHOOKS = 16
"""Most webhooks of an archive."""
URL = (
    r"^https?://[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?"
    r"(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
    r"(/[!-\"$-~]{0,700})?$"
)
"""What a URL of a webhook looks like, as a regular expression."""
LEASE_S = 120.0
"""Seconds after which a delivery in hand is taken from a server that is silent; at once where the
clock went back, so that its lease would last longer than any."""
_PAUSE_S = 86_400.0  # to the next attempt, at most


@dataclass(frozen=True)
class WebhookDetails:
    """A webhook: where events of these types are sent; the secret that signs them."""

    id: int
    url: str
    secret: str
    events: Sequence[str]
    created_at: datetime


@dataclass(frozen=True)
class Delivery:
    """An event on its way to a webhook.

    Attributes:
        message: its id, the same at every attempt.
        body: JSON.
        due_at: when it is tried (again); None where nothing more is tried.
        status: HTTP, of the last attempt; ``problem`` where that failed.
    """

    id: int
    message: str
    event: str
    body: str
    attempts: int
    due_at: datetime | None
    status: int | None
    problem: str | None
    created_at: datetime
    delivered_at: datetime | None


def add_webhook(session: Session, url: str, secret: str, events: Sequence[str]) -> WebhookDetails:
    """Store a webhook.

    Raises:
        ConflictError: there is one of this address, or there are too many.
    """
    there = list_webhooks(session)
    if any(one.url == url for one in there):
        raise ConflictError("there is a webhook of this URL already; delete it first")
    if len(there) >= MOST_WEBHOOKS:
        raise ConflictError(f"there are {MOST_WEBHOOKS} webhooks already; delete one first")
    row = WebhookRow(url=url, secret=secret, events=list(events), created_at=datetime.now(UTC))
    session.add(row)
    session.flush()
    return as_details(WebhookDetails, row)


def list_webhooks(session: Session) -> list[WebhookDetails]:
    """All webhooks, by id."""
    return [
        as_details(WebhookDetails, row)
        for row in session.scalars(select(WebhookRow).order_by(WebhookRow.id))
    ]


def delete_webhook(session: Session, webhook_id: int) -> None:
    """Delete a webhook with its deliveries.

    Raises:
        NotFoundError: there is none of this id.
    """
    gone = session.execute(delete(WebhookRow).where(WebhookRow.id == webhook_id))
    if not gone.rowcount:  # type: ignore[attr-defined]
        raise NotFoundError(f"no webhook {webhook_id}")


def announce(session: Session, event: str, data: Mapping[str, Any]) -> None:
    """Queue an event for each webhook that wants its type; it is sent if the transaction is."""
    for one in list_webhooks(session):
        if event in one.events:
            _queue(session, one.id, event, data)


def queue_test(session: Session, webhook_id: int) -> Delivery:
    """Queue an event for one webhook that says nothing but that it arrives.

    Raises:
        NotFoundError: no such webhook.
    """
    if session.get(WebhookRow, webhook_id) is None:
        raise NotFoundError(f"no webhook {webhook_id}")
    return as_details(Delivery, _queue(session, webhook_id, TEST, {"webhook": webhook_id}))


def _queue(session: Session, webhook_id: int, event: str, data: Mapping[str, Any]) -> Row:
    now = now_of(session)
    body = json.dumps({"type": event, "timestamp": now.isoformat(), "data": data})
    row = Row(webhook_id=webhook_id, event=event, body=body, attempts=0)
    row.message, row.created_at, row.due_at = f"msg_{secrets.token_hex(16)}", now, now
    session.add(row)
    session.flush()
    return row


def due_webhooks(session: Session) -> list[int]:
    """Ids of the webhooks to which something is due now."""
    query = select(Row.webhook_id).where(_due(now_of(session))).distinct()
    return list(session.scalars(query))


def _due(now: datetime) -> ColumnElement[bool]:
    in_hand = and_(Row.attempts > 0, Row.problem.is_(None))
    return or_(
        Row.due_at <= now,
        and_(in_hand, Row.due_at > now + timedelta(seconds=2 * LEASE_S)),
        Row.due_at > now + timedelta(seconds=_PAUSE_S),
    )


def claim_delivery(session: Session, webhook_id: int) -> tuple[WebhookDetails, Delivery] | None:
    """What is due to a webhook first, in hand of nobody else for ``LEASE_S``; None for nothing."""
    now = now_of(session)
    row = session.scalar(
        select(Row)
        .where(Row.webhook_id == webhook_id, _due(now))
        .order_by(Row.due_at, Row.id)
        .limit(1)
    )
    if row is None:
        return None
    row.attempts, row.due_at = row.attempts + 1, now + timedelta(seconds=LEASE_S)
    row.problem = None  # until something comes of it
    session.flush()
    return as_details(WebhookDetails, session.get_one(WebhookRow, webhook_id)), as_details(
        Delivery, row
    )


def note_attempt(
    session: Session,
    claimed: Delivery,
    *,
    status: int | None,
    problem: str | None,
    again_in: float | None,
) -> None:
    """What came of an attempt, unless somebody else has the delivery by now.

    Args:
        problem: why it failed; None where it did not.
        again_in: seconds to the next attempt; None for none.
    """
    now = now_of(session)
    session.execute(
        update(Row)
        .where(Row.id == claimed.id, Row.due_at == claimed.due_at)
        .values(
            status=status,
            problem=problem,
            due_at=None if again_in is None else now + timedelta(seconds=again_in),
            delivered_at=None if problem else now,
        )
    )


def list_deliveries(
    session: Session, webhook_id: int, *, limit: int, before_id: int | None
) -> list[Delivery]:
    """Deliveries of a webhook, latest first, from before ``before_id``.

    Raises:
        NotFoundError: no such webhook.
    """
    if session.get(WebhookRow, webhook_id) is None:
        raise NotFoundError(f"no webhook {webhook_id}")
    query = select(Row).where(Row.webhook_id == webhook_id).order_by(Row.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(Row.id < before_id)
    return [as_details(Delivery, row) for row in session.scalars(query)]


@dataclass(frozen=True)
class DeliveryCounts:
    """How many deliveries that are kept arrived, were given up, and wait for an attempt; since when
    the oldest of these does."""

    delivered: int
    failed: int
    waiting: int
    oldest: datetime | None


def count_deliveries(session: Session) -> DeliveryCounts:
    """Deliveries by what became of them, of all webhooks."""
    waits = Row.due_at.is_not(None)
    query = select(
        func.count(Row.delivered_at),
        func.count(case((waits, None), (Row.delivered_at.is_(None), 1))),
        func.count(Row.due_at),
        func.min(case((waits, Row.created_at))),
    )
    return DeliveryCounts(*session.execute(query).one())


def replay_delivery(session: Session, webhook_id: int, delivery_id: int) -> Delivery:
    """Have a delivery sent again, as if it never was.

    Raises:
        NotFoundError: no such delivery, or it is no longer kept.
    """
    row = session.get(Row, delivery_id)
    if row is None or row.webhook_id != webhook_id:
        raise NotFoundError(f"no delivery {delivery_id} of webhook {webhook_id}")
    row.attempts, row.due_at = 0, now_of(session)
    row.status = row.problem = row.delivered_at = None
    session.flush()
    return as_details(Delivery, row)


def forget_recording_in_deliveries(session: Session, recording_id: int) -> None:
    """Let no event name a recording: those of its own go, others lose what they have of it."""
    for row in session.scalars(
        select(Row).where(Row.body.contains(f'"recording": {recording_id}'))
    ):
        event = json.loads(row.body)
        data = event["data"]
        kept = [one for one in data.get("firings", ()) if one["recording"] != recording_id]
        if data.get("recording") == recording_id or ("firings" in data and not kept):
            session.delete(row)
        elif "firings" in data and len(kept) < len(data["firings"]):
            data["firings"] = kept
            row.body = json.dumps(event)


def remove_old_deliveries(session: Session, age: timedelta) -> None:
    """Drop those that are older than ``age`` and that nothing more is tried with."""
    session.execute(delete(Row).where(Row.due_at.is_(None), Row.created_at < now_of(session) - age))
