"""Emotion trend of an archive: the share of each emotion by day, week or month."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import groupby
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from emotion_search.engine.emotions import UNCERTAIN
from emotion_search.engine.files.tables import CsvWriter
from emotion_search.engine.quality.summary import CONFIDENCE
from emotion_search.engine.trends.periods import PERIODS, key_of, period_after, period_of
from emotion_search.engine.trends.recording import require_classes
from emotion_search.engine.trends.thresholds import Alert, parse_alert
from emotion_search.index.database.affect import DIMENSIONS, affect
from emotion_search.index.database.connection import Database
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.scores import ScoredClips, stream_scores
from emotion_search.index.errors import InvalidInputError

METHOD = (
    "Share of the clips' time in which an emotion has the highest score, in periods of UTC by the"
    " start of each recording; a clip whose highest score is too low counts as uncertain instead."
    " Intervals are 95 %, Wilson's, for the effective number of"
    " recordings (Korn and Graubard 1998): clips of one recording are alike, so recordings are what"
    " was sampled."
)


@dataclass(frozen=True)
class Share:
    """A share of time and the mean score, each with its interval; 0 to 1. What is uncertain has no
    score."""

    share: float
    low: float
    high: float
    mean: float | None = None
    mean_low: float | None = None
    mean_high: float | None = None

    def record(self) -> dict[str, float]:
        """As plain data."""
        return {key: round(value, 6) for key, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Bucket:
    """A period.

    Attributes:
        key: what it is called; see ``key_of``.
        start, end: its first day and the first after it, UTC.
        recordings, clips, seconds: what was recorded in it.
        emotions: by class.
        uncertain: of clips below the least confidence, which count for no class.
    """

    key: str
    start: date
    end: date
    recordings: int
    clips: int
    seconds: float
    emotions: dict[str, Share]
    uncertain: Share

    def share_of(self, emotion: str) -> Share:
        """That of a class, or of what is uncertain."""
        return self.uncertain if emotion == UNCERTAIN else self.emotions[emotion]

    def record(self) -> dict[str, Any]:
        """What was recorded, as plain data."""
        means = np.array([share.mean or 0.0 for share in self.emotions.values()])
        derived = np.round(affect(list(self.emotions), means), 6).tolist()
        return {
            "recordings": self.recordings,
            "clips": self.clips,
            "seconds": round(self.seconds, 3),
            "emotions": {name: share.record() for name, share in self.emotions.items()},
            "uncertain": self.uncertain.record(),
            "affect": {**dict(zip(DIMENSIONS, derived, strict=True)), "derived": True},
        }


@dataclass(frozen=True)
class ArchiveTrend:
    """Shares of emotions over time.

    Attributes:
        by: day, week or month.
        buckets: those in which something was recorded, in order.
        total: all of them, undated ones too, as one period without days; None where there is none.
        undated: clips in no period because it is not known when they were recorded.
        timeless: clips left out because they have no length.
        min_confidence: below, a clip counts as uncertain.
    """

    by: str
    model: str
    classes: tuple[str, ...]
    buckets: tuple[Bucket, ...]
    total: Bucket | None
    undated: int
    timeless: int
    alerts: tuple[Alert, ...] = ()
    min_confidence: float = 0.0
    method: str = METHOD

    def raised(self, alert: Alert) -> list[Bucket]:
        """The periods that set an alert off."""
        return [one for one in self.buckets if alert.holds(one.share_of(alert.emotion).share)]

    @property
    def alarmed(self) -> bool:
        """Whether some period sets some alert off."""
        return any(self.raised(alert) for alert in self.alerts)

    def records(self) -> Iterator[dict[str, Any]]:
        """Plain data, one for each period."""
        for one in self.buckets:
            yield {
                "period": one.key,
                "start": one.start.isoformat(),
                "end": one.end.isoformat(),
                **one.record(),
                "alerts": [a.text for a in self.alerts if a.holds(one.share_of(a.emotion).share)],
            }


@dataclass(frozen=True, eq=False)
class _Part:
    """The clips of a recording that a trend is of.

    Attributes:
        at: when it was recorded.
        clips, timeless: with a length, and without.
        x: float64, (2 * classes + 1,), seconds by top class, and of what is uncertain; seconds
            times scores.
    """

    recording: int
    at: datetime | None
    clips: int
    timeless: int
    x: NDArray[np.float64]


@dataclass(eq=False)
class _Sums:
    """Moments of a period over its recordings: of their x, (2 * classes + 1,), and of the time d,
    from which shares, mean scores and variances follow without keeping any recording."""

    classes: int
    recordings: int = 0
    clips: int = 0
    d: float = 0.0
    dd: float = 0.0
    x: NDArray[np.float64] = field(init=False)
    xx: NDArray[np.float64] = field(init=False)
    xd: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.x, self.xx, self.xd = (np.zeros(2 * self.classes + 1) for _ in range(3))

    def add(self, part: _Part) -> None:
        """One recording."""
        x, d = part.x, float(part.x[: self.classes + 1].sum())
        self.recordings += 1
        self.clips += part.clips
        self.d += d
        self.dd += d * d
        self.x += x
        self.xx += x * x
        self.xd += x * d


def archive_trend(
    database: Database,
    model: ModelInfo,
    *,
    by: str,
    wanted: ClipFilter | None = None,
    alerts: Sequence[str] = (),
    min_confidence: float = 0.0,
) -> ArchiveTrend:
    """The share of each emotion by period, among the clips that pass the filter.

    Scores are streamed; memory grows with the number of periods alone.

    Args:
        by: ``day``, ``week`` or ``month``.
        alerts: such as ``angry>0.3``.
        min_confidence: least score of a clip's top class; below, it counts as uncertain, and for
            no class.

    Raises:
        InvalidInputError: no such period, class or alert; a model without scores.
    """
    require_classes(model)
    if by not in PERIODS:
        raise InvalidInputError(f"by {by}: choose {', '.join(PERIODS)}")
    watched = tuple(parse_alert(text, model.classes) for text in alerts)
    sums: dict[date, _Sums] = {}
    total = _Sums(len(model.classes))
    undated = timeless = 0
    for one in _recordings(database, model, wanted or ClipFilter(), min_confidence):
        undated += one.clips + one.timeless if one.at is None else 0
        timeless += one.timeless
        if one.clips:
            total.add(one)
            if one.at is not None:
                sums.setdefault(period_of(one.at, by), _Sums(len(model.classes))).add(one)
    buckets = tuple(_bucket(start, sums[start], by, model.classes) for start in sorted(sums))
    whole = _bucket(date.min, total, by, model.classes) if total.clips else None
    return ArchiveTrend(
        by, model.name, model.classes, buckets, whole, undated, timeless, watched, min_confidence
    )


def recording_shares(
    database: Database,
    model: ModelInfo,
    wanted: ClipFilter,
    *,
    min_confidence: float,
    after_id: int,
) -> Iterator[tuple[int, Bucket]]:
    """Recordings with ids beyond ``after_id``, each as a period of its own without days, of those
    of its clips that pass the filter; none without such a clip."""
    for one in _recordings(database, model, wanted, min_confidence, after_id):
        if one.clips:
            sums = _Sums(len(model.classes))
            sums.add(one)
            yield one.recording, _bucket(date.min, sums, "day", model.classes)


def _recordings(
    database: Database,
    model: ModelInfo,
    wanted: ClipFilter,
    min_confidence: float,
    after_id: int = 0,
) -> Iterator[_Part]:
    """Each recording with clips that pass the filter, with ids beyond ``after_id``."""
    with database.read() as session:
        read = stream_scores(session, model, wanted, after_id=after_id)
        parts = (part for some in read for part in _parts(some, min_confidence))
        for recording, same in groupby(parts, key=lambda part: part.recording):
            first, *others = same  # of several reads
            yield _Part(
                recording,
                first.at,
                *(
                    sum((getattr(part, name) for part in others), getattr(first, name))
                    for name in ("clips", "timeless", "x")
                ),
            )


def _parts(some: ScoredClips, min_confidence: float) -> Iterator[_Part]:
    width = some.scores.shape[1]
    edges = np.flatnonzero(np.diff(some.recordings)) + 1
    for begin, end in zip([0, *edges], [*edges, len(some.recordings)], strict=True):
        scores, seconds = some.scores[begin:end], some.seconds[begin:end]
        long = seconds > 0
        top = np.where(scores.max(axis=1) < min_confidence, width, scores.argmax(axis=1))
        yield _Part(
            int(some.recordings[begin]),
            some.recorded_at[begin],
            int(long.sum()),
            int((~long).sum()),
            np.append(
                np.bincount(top[long], seconds[long], width + 1), seconds[long] @ scores[long]
            ),
        )


def write_csv(trend: ArchiveTrend, out: TextIO) -> None:
    """A row for each period and emotion."""
    rows = CsvWriter(out)
    head = ["period", "start", "end", "recordings", "clips", "seconds", "emotion"]
    rows.row([*head, "share", "low", "high", "mean"])
    for one in trend.buckets:
        cells = [one.key, one.start, one.end, one.recordings, one.clips, f"{one.seconds:.3f}"]
        for name, share in [*one.emotions.items(), (UNCERTAIN, one.uncertain)]:
            mean = "" if share.mean is None else f"{share.mean:.6f}"
            values = (share.share, share.low, share.high)
            rows.row([*cells, name, *(f"{value:.6f}" for value in values), mean])


def interval(share: float, variance: float, recordings: int, clips: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share, for the number of independent draws that would have the
    variance of ours (Korn and Graubard, "Confidence intervals for proportions with small expected
    number of positive counts estimated from survey data", Survey Methodology 24, 1998: with their
    correction for few recordings). At most as many as there are clips; where the recordings do not
    differ at all, or there is but one, as many as there are recordings.
    """
    z = float(ndtri(0.5 + CONFIDENCE / 2))
    n = float(recordings)
    if variance > 0 and recordings > 1:
        student = float(stdtrit(recordings - 1, 0.5 + CONFIDENCE / 2))
        n = min(share * (1 - share) / variance * (z / student) ** 2, float(clips))
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return float(max(0.0, centre - half)), float(min(1.0, centre + half))


def _bucket(start: date, sums: _Sums, by: str, classes: Sequence[str]) -> Bucket:
    n, shares = sums.recordings, sums.x / sums.d
    # Variance of a ratio of sums over recordings, linearised (Cochran, Sampling Techniques, 1977)
    squares = np.maximum(sums.xx - 2 * shares * sums.xd + shares**2 * sums.dd, 0.0)
    variance = squares / sums.d**2 * n / max(n - 1, 1)
    found = []
    for share, spread in zip(np.clip(shares, 0.0, 1.0).tolist(), variance.tolist(), strict=True):
        tiny = spread < 1e-12  # of rounding
        low, high = interval(share, 0.0 if tiny else spread, n, sums.clips)
        found.append((share, min(low, share), max(high, share)))
    known, uncertain, means = found[: len(classes)], found[len(classes)], found[-len(classes) :]
    emotions = {
        name: Share(*share, *mean) for name, share, mean in zip(classes, known, means, strict=True)
    }
    span = start, period_after(start, by)
    return Bucket(key_of(start, by), *span, n, sums.clips, sums.d, emotions, Share(*uncertain))
