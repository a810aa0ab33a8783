"""Emotion trend of a recording: smoothed scores, turning points, peaks, shares of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from emotion_search.engine.emotions import PLAIN
from emotion_search.engine.trends.changes import change_points
from emotion_search.index.database.affect import affect
from emotion_search.index.database.emotion_names import common
from emotion_search.index.database.scores import ChannelScores, seconds_of
from emotion_search.index.errors import InvalidInputError, UnusableError

Array = NDArray[np.float64]

SMOOTH_S = 10.0
"""Seconds: the standard deviation of the kernel."""
PENALTY = 5.0
"""Price of a turning point; see ``engine.trends.changes``."""
SHORTEST_S = 20.0
"""Least seconds between turning points."""
SMOOTHINGS, PENALTIES, SHORTESTS = (0.1, 3600.0), (0.01, 1000.0), (0.1, 86_400.0)
"""Least and most of each."""

_STEP_S = 1.0
_MOST_POINTS = 2000
_REACH = 3.0  # kernel widths from the nearest clip beyond which nothing is known
_PROMINENCE = 0.1
_MOST_PEAKS = 3


@dataclass(frozen=True)
class Options:
    """How a trend is taken.

    Attributes:
        smooth: standard deviation of the Gaussian kernel, seconds.
        penalty: price of a turning point: more finds fewer.
        shortest: least seconds between turning points.
    """

    smooth: float = SMOOTH_S
    penalty: float = PENALTY
    shortest: float = SHORTEST_S

    def __post_init__(self) -> None:
        """Refuse what makes no sense.

        Raises:
            InvalidInputError: names what.
        """
        for name, value, (least, most) in (
            ("smoothing", self.smooth, SMOOTHINGS),
            ("penalty", self.penalty, PENALTIES),
            ("shortest stretch", self.shortest, SHORTESTS),
        ):
            if not least <= value <= most:
                raise InvalidInputError(f"{name} must be {least:g} to {most:g}, not {value:g}")


@dataclass(frozen=True)
class Stretch:
    """A stretch between turning points: seconds, its mean scores, the top class of these."""

    start: float
    end: float
    emotion: str
    scores: dict[str, float]


@dataclass(frozen=True)
class Turn:
    """A turning point: when (seconds), the class that rose most, the one that fell most, and by
    how much the means before and after differ in them."""

    time: float
    rises: str
    rise: float
    falls: str
    fall: float


@dataclass(frozen=True)
class Peak:
    """A local maximum of a smoothed class: when (seconds), and the height of the curve."""

    emotion: str
    time: float
    score: float


@dataclass(frozen=True, eq=False)
class Trend:
    """How emotion moves through one channel of a recording.

    Attributes:
        channel, channel_name: None for all channels mixed down.
        classes: in the order of the columns of ``scores``.
        clips: how many were scored; ``spoken`` seconds of the channel lie in some clip.
        times: float64, (t,), seconds; a point every second, 2,000 at most.
        scores: float64, (t, classes), smoothed; NaN where no clip is near.
        valence, arousal: float64, (t,), derived from ``scores``; see ``index.database.affect``.
        share: part of the clips' time by their top class, of clips that are not uncertain.
        uncertain: the rest: clips of less than the least confidence.
        mean: mean score by class, over the clips' time; also of valence and arousal.
    """

    channel: int | None
    channel_name: str | None
    classes: tuple[str, ...]
    clips: int
    spoken: float
    times: Array
    scores: Array
    valence: Array
    arousal: Array
    share: dict[str, float]
    uncertain: float
    mean: dict[str, float]
    mean_valence: float
    mean_arousal: float
    stretches: tuple[Stretch, ...]
    turns: tuple[Turn, ...]
    peaks: tuple[Peak, ...]

    @property
    def heading(self) -> str:
        """``channel 1 (agent)``; empty of all channels mixed."""
        if self.channel is None:
            return ""
        return f"channel {self.channel}" + (f" ({self.channel_name})" if self.channel_name else "")

    def record(self) -> dict[str, Any]:
        """As plain data: NaN is null."""
        return {
            "channel": self.channel,
            "channel_name": self.channel_name,
            "clips": self.clips,
            "spoken": _round(self.spoken, 3),
            "share": _rounded(self.share),
            "uncertain": _round(self.uncertain),
            "mean": _rounded(self.mean),
            "valence": _round(self.mean_valence),
            "arousal": _round(self.mean_arousal),
            "turning_points": [asdict(turn) for turn in self.turns],
            "stretches": [asdict(stretch) for stretch in self.stretches],
            "peaks": [asdict(peak) for peak in self.peaks],
            "points": {
                "time": _column(self.times),
                "scores": {name: _column(self.scores[:, i]) for i, name in enumerate(self.classes)},
                "valence": _column(self.valence),
                "arousal": _column(self.arousal),
            },
        }


def trend_of(
    clips: ChannelScores, classes: Sequence[str], options: Options, *, min_confidence: float = 0.0
) -> Trend:
    """The trend of one channel, from its clips' stored scores.

    Smoothing is by kernel regression (Nadaraya 1964, Watson 1964) with a Gaussian kernel: the value
    at time t is the mean of the clips' scores, each weighted by the kernel's mass over the clip's
    span, so that long clips count by their length and overlapping ones do no harm.

    Turning points are those of ``engine.trends.changes``, in the scores without single odd clips.

    Args:
        min_confidence: least score of a clip's top class; below, it counts as uncertain, in shares
            of time alone.

    Raises:
        InvalidInputError: the clips have no length.
    """
    lengths = seconds_of(clips.starts, clips.ends)
    if not (clips.ends > clips.starts).all():
        raise UnusableError("clips without a span in time have no trend")
    scores = clips.scores.astype(np.float64)
    times = _grid(float(clips.ends.max()))
    smoothed = _smooth(clips.starts, clips.ends, scores, times, options.smooth)
    average = np.average(scores, axis=0, weights=lengths)
    valence, arousal, _ = affect(classes, smoothed).T
    mean_valence, mean_arousal, _ = affect(classes, average).tolist()
    top = scores.argmax(axis=1)
    sure = scores.max(axis=1) >= min_confidence
    share = np.bincount(top, weights=lengths * sure, minlength=len(classes)) / lengths.sum()
    middles = (clips.ends[:-1] + clips.starts[1:]) / 2  # between each clip and the next
    borders = np.concatenate([clips.starts[:1], middles, clips.ends[-1:]])
    changes = change_points(
        _without_odd(scores), lengths, borders, penalty=options.penalty, shortest=options.shortest
    )
    stretches = _stretches(scores, lengths, borders, changes, classes)
    return Trend(
        clips.channel,
        clips.channel_name,
        tuple(classes),
        len(scores),
        float(lengths.sum()),
        times,
        smoothed,
        valence,
        arousal,
        dict(zip(classes, share.tolist(), strict=True)),
        float(lengths @ ~sure / lengths.sum()),
        dict(zip(classes, average.tolist(), strict=True)),
        mean_valence,
        mean_arousal,
        stretches,
        _turns(stretches),
        _peaks(times, smoothed, classes, options.smooth),
    )


def _grid(end: float) -> Array:
    if end > _STEP_S * (_MOST_POINTS - 1):
        return np.linspace(0.0, end, _MOST_POINTS)
    return np.append(np.arange(0.0, end, _STEP_S), end)


def _smooth(starts: Array, ends: Array, scores: Array, times: Array, width: float) -> Array:
    """Kernel regression at ``times``, (t, classes); some points at a time, so memory stays flat."""
    out = np.full((len(times), scores.shape[1]), np.nan)
    latest = np.maximum.accumulate(ends)
    for begin in range(0, len(times), 100):
        now = times[begin : begin + 100, None]
        first = int(np.searchsorted(latest, now[0, 0] - 9 * width))
        last = int(np.searchsorted(starts, now[-1, 0] + 9 * width, side="right"))
        a, b = starts[None, first:last], ends[None, first:last]
        mass = ndtr((b - now) / width) - ndtr((a - now) / width)
        away = np.maximum(np.maximum(a - now, now - b), 0.0)
        total = mass.sum(axis=1)
        near = (away <= _REACH * width).any(axis=1) & (total > 0)
        rows = np.flatnonzero(near)
        out[begin + rows] = mass[rows] @ scores[first:last] / total[rows, None]
    return out


def _without_odd(scores: Array) -> Array:
    """Each clip's scores as the medians of it and its two neighbours, at either end of the
    outermost three: a single clip that differs makes a peak, no stretch of its own; steps stay
    where they are (Tukey's running median)."""
    if len(scores) < 3:
        return scores
    middle = np.median(np.stack([scores[:-2], scores[1:-1], scores[2:]]), axis=0)
    return np.concatenate([middle[:1], middle, middle[-1:]])


def _stretches(
    scores: Array, lengths: Array, borders: Array, changes: list[int], classes: Sequence[str]
) -> tuple[Stretch, ...]:
    found = []
    edges = [0, *changes, len(scores)]
    for first, last in pairwise(edges):
        mean = np.average(scores[first:last], axis=0, weights=lengths[first:last])
        named = _rounded(dict(zip(classes, mean.tolist(), strict=True)))
        top = classes[int(mean.argmax())]
        found.append(Stretch(_round(borders[first], 3), _round(borders[last], 3), top, named))
    return tuple(found)


def _turns(stretches: Sequence[Stretch]) -> tuple[Turn, ...]:
    found = []
    for one, two in pairwise(stretches):
        change = {name: two.scores[name] - one.scores[name] for name in one.scores}
        rises, falls = max(change, key=change.__getitem__), min(change, key=change.__getitem__)
        found.append(Turn(two.start, rises, _round(change[rises]), falls, _round(-change[falls])))
    return tuple(found)


def _peaks(times: Array, smoothed: Array, classes: Sequence[str], width: float) -> tuple[Peak, ...]:
    """The highest few local maxima of each class that is more than the absence of one."""
    from scipy.signal import find_peaks

    found = []
    step = times[1] - times[0]
    for column, name in enumerate(classes):
        curve = smoothed[:, column]
        if common(name) in PLAIN or np.isnan(curve).all():
            continue
        lowest = np.nanmin(curve)
        padded = np.pad(np.nan_to_num(curve, nan=lowest), 1, constant_values=lowest)
        apart = max(1, round(2 * width / step))
        at, _ = find_peaks(padded, prominence=_PROMINENCE, distance=apart)
        best = sorted(at - 1, key=lambda i: -curve[i])[:_MOST_PEAKS]
        found += [Peak(name, _round(times[i], 3), _round(curve[i])) for i in sorted(best)]
    return tuple(found)


def _round(value: float, digits: int = 6) -> float:
    return round(float(value), digits)


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: _round(value) for name, value in values.items()}


def _column(values: Array) -> list[float | None]:
    return [None if np.isnan(value) else round(value, 4) for value in values.tolist()]
