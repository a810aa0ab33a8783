"""Hits, tallies and trends on a terminal."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from emotion_search.engine.commands.show.tables import PlainTable, print_row
from emotion_search.engine.commands.words import length
from emotion_search.engine.emotions import UNCERTAIN
from emotion_search.index.database.affect import DIMENSIONS

if TYPE_CHECKING:  # rich, which status has no use for
    from emotion_search.engine.library.compare import Compared
    from emotion_search.engine.trends.archive import ArchiveTrend
    from emotion_search.engine.trends.recording import RecordingTrend
    from emotion_search.index.database.clips import ClipDetails
    from emotion_search.index.search import Hit, SortedClip


def print_hits(hits: Sequence[Hit], min_confidence: float) -> None:
    """A table of hits on stdout: cosine, percentile, and their clips as ``print_clips`` has them,
    with whether each is of an example's speaker."""
    numbers = {
        "cosine": [f"{hit.similarity:.4f}" for hit in hits],
        "perc.": ["" if hit.percentile is None else f"{hit.percentile:.2f}" for hit in hits],
    }
    same = ["speaker" if hit.same_speaker else "" for hit in hits]
    print_clips([hit.clip for hit in hits], min_confidence, numbers, {"same": same})


def print_clips(
    clips: Sequence[ClipDetails],
    min_confidence: float,
    numbers: Mapping[str, Sequence[str]],
    more: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """A table of clips on stdout: ``numbers`` by their names, clip; label, the model's emotion,
    source and ``more``, where that tells clips apart; file and start."""
    columns: dict[str, Sequence[str]] = {
        "label": [clip.label or "" for clip in clips],
        "emotion": [top_emotion(clip, min_confidence) for clip in clips],
        "source": [clip.source or "" for clip in clips],
        **(more or {}),
    }
    sources = set(columns["source"])
    if len(sources) == 1:  # it is named once, below
        del columns["source"]
    shown = {name: cells for name, cells in columns.items() if any(cells)}
    numbers = {**numbers, "clip": [str(clip.id) for clip in clips]}
    table = PlainTable()
    for name in numbers:
        table.column(name, justify="right", no_wrap=True)
    for name in shown:
        score = name == "emotion"
        spare = name in ("label", "source", "same")
        table.column(name, no_wrap=score, overflow="fold" if score else "ellipsis", spare=spare)
    table.column("file")
    later = any(clip.start for clip in clips)
    if later:
        table.column("start", justify="right", no_wrap=True)
    for clip, *cells in zip(clips, *numbers.values(), *shown.values(), strict=True):
        start = [clock(clip.start)] if later else []
        table.row(*cells, short(clip.path or clip.name), *start)
    table.print()
    if len(sources) == 1 and sources != {""} and sys.stdout.isatty():
        print(f"source: {sources.pop()}")


def print_sorted(clips: Sequence[SortedClip], by: str, min_confidence: float) -> None:
    """The same of clips in an order, with what they were sorted by."""
    cells = ["" if math.isnan(one.key) else _key(by, one.key) for one in clips]
    name = f"{by} (derived)" if by in DIMENSIONS and clips[0].clip.derived else by
    print_clips([one.clip for one in clips], min_confidence, {name: cells})


def _key(by: str, key: float) -> str:
    """What a clip was sorted by."""
    if by == "recorded_at":
        return f"{datetime.fromtimestamp(key / 1e6, UTC):%Y-%m-%d %H:%M}"
    if by in DIMENSIONS:
        return f"{key:+.2f}"
    return f"{key:.2f} s" if by == "duration" else f"{key:.2f}"


def top_emotion(clip: ClipDetails | Compared, min_confidence: float) -> str:
    """The model's top class of a clip and its score; ``uncertain`` in place of one of too low a
    score."""
    if clip.emotion is None or clip.confidence is None:
        return ""
    emotion = clip.emotion if clip.confidence >= min_confidence else UNCERTAIN
    return f"{emotion} {clip.confidence:.2f}"


def short(path: str) -> str:
    """The path as a person reads it: from the current folder on where it lies below that."""
    shown = Path(path)
    if "://" in path:  # of an object
        return path
    return str(shown.relative_to(Path.cwd()) if shown.is_relative_to(Path.cwd()) else shown)


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds."""
    minutes, rest = divmod(round(seconds, 2), 60)
    return f"{int(minutes)}:{rest:05.2f}"


def tally(counts: Mapping[str, int]) -> str:
    """Counts by name in a line, the first ten."""
    shown = [f"{name} {number}" for name, number in list(counts.items())[:10]]
    more = [f"… {len(counts) - 10} more"] if len(counts) > 10 else []
    return ", ".join(shown + more) or "none"


def print_trend(trend: RecordingTrend) -> None:
    """A recording's trend on stdout: shares, stretches and peaks of each channel."""
    print(f"recording {trend.recording}, {trend.name}, {clock(trend.duration)}")
    for one in trend.channels:
        if one.channel is not None:
            print(one.heading)
        top = sorted(one.share.items(), key=lambda pair: -pair[1])
        top.append((UNCERTAIN, one.uncertain))
        shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in top if share)
        print_row("share of time", shares)
        print(
            f"valence         {one.mean_valence:+.2f}, arousal {one.mean_arousal:+.2f}"
            " (derived from the scores)"
        )
        for number, stretch in enumerate(one.stretches):
            turn = one.turns[number - 1] if number else None
            change = f"  ({turn.rises} +{turn.rise:.2f})" if turn else ""
            span = f"{clock(stretch.start)}–{clock(stretch.end)}"
            score = stretch.scores[stretch.emotion]
            print(f"{span:<15} {stretch.emotion} {score:.2f}{change}")
        for peak in one.peaks:
            print(f"peak            {peak.emotion} {peak.score:.2f} at {clock(peak.time)}")


def print_shares(trend: ArchiveTrend) -> None:
    """Shares of emotions by period on stdout."""
    periods = [{**one.emotions, UNCERTAIN: one.uncertain} for one in trend.buckets]
    names = (*trend.classes, UNCERTAIN)
    shown = [name for name in names if any(one[name].share >= 0.005 for one in periods)]
    if not periods:
        return
    table = PlainTable(trend.by, wrap=False)
    for name in ("rec.", "time", *shown):
        table.column(name, justify="right", no_wrap=True, spare=name in ("rec.", "time"))
    for one, shares_of in zip(trend.buckets, periods, strict=True):
        shares = [shares_of[name] for name in shown]
        cells = [f"{100 * s.share:.0f} [{100 * s.low:.0f}, {100 * s.high:.0f}]" for s in shares]
        table.row(one.key, str(one.recordings), length(one.seconds), *cells)
    table.print()
    print("percent of the clips' time, with intervals of 95 %")
