"""Recordings and single clips on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from emotion_search.engine.commands.show.hits import clock, print_clips, tally, top_emotion
from emotion_search.engine.commands.show.tables import PlainTable, print_row

if TYPE_CHECKING:
    from emotion_search.index.database.clips import ClipDetails
    from emotion_search.index.database.recording_details import RecordingDetails


def print_recordings(recordings: Sequence[RecordingDetails]) -> None:
    """A table of recordings on stdout; what none has is left out."""
    columns = {
        "recording": [str(one.id) for one in recordings],
        "recorded_at": [str(one.recorded_at or "")[:16] for one in recordings],
        "length": [clock(one.duration) for one in recordings],
        "clips": [str(one.clips) for one in recordings],
        "share": ["" if one.share is None else f"{one.share:.0%}" for one in recordings],
        "label": [", ".join(one.labels.get("emotion", ())) for one in recordings],
        "source": [one.source or "" for one in recordings],
        "speaker": [one.speaker or "" for one in recordings],
    }
    shown = {name: cells for name, cells in columns.items() if any(cells)}
    table = PlainTable()
    for name in shown:
        right = name in ("recording", "length", "clips", "share")
        spare = name in ("label", "source", "speaker")
        table.column(name, justify="right" if right else "left", no_wrap=right, spare=spare)
    table.column("file")
    for one, *cells in zip(recordings, *shown.values(), strict=True):
        table.row(*cells, one.name)
    table.print()


def print_recording(
    one: RecordingDetails, paths: Sequence[str], clips: Sequence[ClipDetails], min_confidence: float
) -> None:
    """All that is known of a recording on stdout."""
    _print_pairs(
        [
            ("recording", str(one.id)),
            ("file", one.name),
            *(("path", path) for path in paths),
            ("length", f"{clock(one.duration)}, {one.sample_rate} Hz, channels: {one.channels}"),
            ("recorded_at", str(one.recorded_at or "")),
            ("ingested_at", str(one.ingested_at)),
            ("source", one.source or ""),
            ("speaker", one.speaker or ""),
            *(("labels", f"{task}: {tally(counts)}") for task, counts in one.labels.items()),
            *(("metadata", f"{key}={value}") for key, value in one.metadata.items()),
            ("cut", one.cut or ""),
            ("sha256", one.sha256),
        ]
    )
    print_clips(clips, min_confidence, {})


def print_clip(
    clip: ClipDetails,
    paths: Sequence[str],
    beside: Sequence[ClipDetails | None],
    min_confidence: float,
) -> None:
    """All that is known of a clip on stdout, and the clips before and after it."""
    scores = sorted(clip.scores.items(), key=lambda pair: -pair[1])
    _print_pairs(
        [
            ("clip", str(clip.id)),
            ("recording", f"{clip.recording_id} ({clip.name})"),
            *(("path", path) for path in paths),
            ("time", f"{_span(clip)} ({clip.end - clip.start:.2f} s)"),
            ("channel", _channel(clip)),
            ("recorded_at", str(clip.recorded_at or "")),
            ("source", clip.source or ""),
            ("speaker", clip.speaker or ""),
            *(("label", f"{task}: {value}") for task, value in clip.labels.items()),
            ("emotion", top_emotion(clip, min_confidence)),
            ("scores", ", ".join(f"{name} {score:.2f}" for name, score in scores)),
            (
                "derived" if clip.derived else "by the model",
                ", ".join(f"{name} {number:+.2f}" for name, number in clip.affect.items()),
            ),
            *(
                ("predicted", f"{task}: {value} {probability:.2f}")
                for task, (value, probability) in clip.predictions.items()
            ),
            *(("metadata", f"{key}={value}") for key, value in clip.metadata.items()),
            *(
                (name, f"clip {one.id}, {_span(one)} {top_emotion(one, min_confidence)}")
                for name, one in zip(("before", "after"), beside, strict=True)
                if one is not None
            ),
        ]
    )


def _span(clip: ClipDetails) -> str:
    return f"{clock(clip.start)}–{clock(clip.end)}"


def _channel(clip: ClipDetails) -> str:
    if clip.channel is None:
        return ""
    return f"{clip.channel}" + (f" ({clip.channel_name})" if clip.channel_name else "")


def _print_pairs(pairs: Iterable[tuple[str, str]]) -> None:
    for name, value in pairs:
        if value:
            print_row(name, value, 13)


def print_counts(rows: Sequence[Mapping[str, str | int | None]]) -> None:
    """A table on stdout of values and how often each is there."""
    table = PlainTable()
    for number, name in enumerate(rows[0]):
        table.column(name, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.row(*("(none)" if cell is None else str(cell) for cell in row.values()))
    table.print()
