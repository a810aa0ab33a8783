"""Alert rules that are kept, and what set them off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from emotion_search.index.database.schema import AlertRow, Recording, as_details
from emotion_search.index.database.schema import Firing as FiringRow
from emotion_search.index.database.webhooks import announce
from emotion_search.index.errors import ConflictError, NotFoundError

MOST_ALERTS = 100
"""Most rules of an archive."""
ALERT = (
    r"^[^<>=\x00]*[^<>=\s\x00-\x1f][^<>=\x00]*[<>]\s*0*"
    r"((0(\.[0-9]*)?|\.[0-9]+|1(\.0*)?)|([0-9]{1,2}(\.[0-9]*)?|\.[0-9]+|100(\.0*)?)\s*%)\s*$"
)
"""What an alert looks like, as a regular expression: ``angry>0.3``."""
_KEPT, _SHOWN = 1000, 20  # firings of a rule: that are kept, and that are listed and announced


@dataclass(frozen=True)
class NewAlert:
    """A rule.

    Attributes:
        rule: such as ``angry>0.3``.
        measure: ``share`` of time of the emotion, or ``level``, its mean score.
        window: of each new ``recording``, or of the ``day``, ``week`` or ``month`` that it is in.
        filters: of which clips, as plain data that whoever checks the rule understands.
    """

    name: str
    rule: str
    measure: str
    window: str
    filters: Mapping[str, Any]


@dataclass(frozen=True)
class Firing:
    """What set a rule off: a recording or a period.

    Attributes:
        recording: its id; None of a period.
        period: an ISO date, week or month as ``period``, its first day as ``start`` and the first
            after it as ``end``; None of a recording.
        value: the share of time, or the mean score, that did.
        low, high: its 95 % interval, by the recordings of the period; None of a recording, all of
            which is known.
        uncertain: the share of time that no class is sure of. These are None of what set a rule off
            before they were noted.
    """

    recording: int | None
    period: Mapping[str, str] | None
    value: float
    low: float | None = None
    high: float | None = None
    uncertain: float | None = None


@dataclass(frozen=True)
class AlertDetails(NewAlert):
    """A rule as it stands.

    Attributes:
        seen: id of the last recording that it was checked with.
        state: ``waiting`` for a recording, ``quiet``, ``raised`` by what it was checked with last,
            or ``failed`` for a ``problem``.
        firings: the latest, latest first.
    """

    id: int
    seen: int
    state: str
    problem: str | None
    created_at: datetime
    checked_at: datetime | None
    fired_at: datetime | None
    firings: Sequence[Firing] = ()


def add_alert(session: Session, new: NewAlert) -> tuple[AlertDetails, bool]:
    """The rule, and whether it is new: it may be there already. It is about recordings to come.

    Raises:
        ConflictError: another rule has its name, or there are too many.
    """
    there = list_alerts(session)
    same = next((one for one in there if one.name == new.name), None)
    if same is not None:
        if any(getattr(same, name) != value for name, value in vars(new).items()):
            raise ConflictError(f"there is another alert named {new.name}; delete it first")
        return same, False
    if len(there) >= MOST_ALERTS:
        raise ConflictError(f"there are {MOST_ALERTS} alerts already; delete one first")
    row = AlertRow(
        **vars(new), seen=_latest(session), state="waiting", created_at=datetime.now(UTC)
    )
    session.add(row)
    session.flush()
    return _details(row), True


def list_alerts(session: Session) -> list[AlertDetails]:
    """All rules, by name."""
    found = []
    for row in session.scalars(select(AlertRow).order_by(AlertRow.name)):
        of_it = FiringRow.alert_id == row.id
        latest = select(FiringRow).where(of_it).order_by(FiringRow.id.desc()).limit(_SHOWN)
        found.append(_details(row, session.scalars(latest)))
    return found


def delete_alert(session: Session, alert_id: int) -> None:
    """Delete a rule, and what set it off.

    Raises:
        NotFoundError: there is none of this id.
    """
    gone = session.execute(delete(AlertRow).where(AlertRow.id == alert_id))
    if not gone.rowcount:  # type: ignore[attr-defined]
        raise NotFoundError(f"no alert {alert_id}")


@dataclass(frozen=True)
class Arrived:
    """Recordings that came since: the id of the last, and when the earliest and the latest of them
    were recorded; None where that is known of none."""

    last: int
    earliest: datetime | None
    latest: datetime | None


def arrived_since(session: Session, recording_id: int) -> Arrived | None:
    """The recordings with ids beyond this one; None for none."""
    if _latest(session) <= recording_id:
        return None
    at = Recording.recorded_at
    query = select(func.max(Recording.id), func.min(at), func.max(at))
    return Arrived(*session.execute(query.where(Recording.id > recording_id)).one())


def note_checked(
    session: Session,
    alert: AlertDetails,
    *,
    seen: int,
    raised: bool | None,
    found: Sequence[Firing] = (),
    problem: str | None = None,
) -> bool:
    """A rule was checked up to the recording ``seen``; what sets it off for the first time is
    announced to webhooks. False, and nothing is noted, where somebody else did meanwhile.

    Args:
        raised: whether the last that it was checked with set it off; None where nothing was.
        found: what did, in order.
        problem: why it could not be checked.
    """
    known = session.scalars(
        select(FiringRow.period).where(
            FiringRow.alert_id == alert.id, FiringRow.recording_id.is_(None)
        )
    ).all()
    new = [one for one in found if one.period is None or one.period not in known]
    now = datetime.now(UTC)
    state = "failed" if problem else alert.state if raised is None else _STATES[raised]
    values = {"seen": seen, "state": state, "problem": problem, "checked_at": now}
    ours = session.execute(
        update(AlertRow)
        .where(AlertRow.id == alert.id, AlertRow.seen == alert.seen)
        .values(values | ({"fired_at": now} if new else {}))
    )
    if not ours.rowcount:  # type: ignore[attr-defined]
        return False
    if new:
        kept = new[-_KEPT:]
        session.add_all(
            FiringRow(
                alert_id=alert.id,
                recording_id=one.recording,
                period=one.period and dict(one.period),
                fired_at=now,
                **{name: getattr(one, name) for name in _NUMBERS},
            )
            for one in kept
        )
        session.flush()
        of_it = FiringRow.alert_id == alert.id
        oldest = select(FiringRow.id).where(of_it).order_by(FiringRow.id.desc()).offset(_KEPT)
        session.execute(delete(FiringRow).where(FiringRow.id.in_(oldest)))
        shown = [vars(one) for one in reversed(new[-_SHOWN:])]
        about = {"alert": alert.id, "name": alert.name, "rule": alert.rule, "firings": shown}
        announce(session, "alert.fired", {**about, "more": len(new) - len(shown)})
    return True


_NUMBERS = ("value", "low", "high", "uncertain")
_STATES = {False: "quiet", True: "raised"}


def _latest(session: Session) -> int:
    return session.scalar(select(func.max(Recording.id))) or 0


def _details(row: AlertRow, firings: Iterable[FiringRow] = ()) -> AlertDetails:
    found = [as_details(Firing, one, recording=one.recording_id) for one in firings]
    return as_details(AlertDetails, row, firings=found)
