"""The trend of a recording of an archive: found by id or by file, nothing embedded."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from emotion_search.engine.files.scan import sha256_of
from emotion_search.engine.files.tables import CsvWriter
from emotion_search.engine.trends.curve import Options, Trend, trend_of
from emotion_search.index.database.connection import Database, Session
from emotion_search.index.database.files import find_by_sha256, recording_at
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.recording_details import get_recording
from emotion_search.index.database.scores import scores_of_recording
from emotion_search.index.errors import NotFoundError, UnusableError


@dataclass(frozen=True, eq=False)
class RecordingTrend:
    """How emotion moves through a recording, channel by channel.

    Attributes:
        recording, name: its id, and what it is called.
        duration: seconds.
        model: whose scores these are.
        options: how the trend was taken.
        channels: at least one.
        min_confidence: below, a clip counts as uncertain.
    """

    recording: int
    name: str
    duration: float
    model: str
    options: Options
    channels: tuple[Trend, ...]
    min_confidence: float = 0.0

    def records(self) -> Iterator[dict[str, Any]]:
        """One of plain data for each channel."""
        for channel in self.channels:
            yield {
                "recording": self.recording,
                "file": self.name,
                "duration": round(self.duration, 3),
                "model": self.model,
                "min_confidence": self.min_confidence,
                "smoothing": {"kernel": "gaussian", "seconds": self.options.smooth},
                **channel.record(),
            }


def recording_trend(
    database: Database,
    model: ModelInfo,
    recording: int | Path,
    options: Options,
    *,
    min_confidence: float = 0.0,
) -> RecordingTrend:
    """The trend of a recording, by its id or by a file that the archive knows.

    Args:
        min_confidence: below, a clip counts as uncertain.

    Raises:
        NotFoundError: no such recording.
        InvalidInputError: the model gives no scores, or the clips have no span in time.
    """
    require_classes(model)
    with database.read() as session:
        if isinstance(recording, Path):
            recording = _id_of(session, recording)
        if not 0 < recording < 2**63:  # beyond what a database can be asked
            raise NotFoundError(f"no recording {recording} in this archive")
        row = get_recording(session, recording)
        name, duration = row.name, row.duration
        channels = scores_of_recording(session, model, recording)
    if not channels:
        raise NotFoundError(f"recording {recording} has no scored clips under model {model.name}")
    trends = tuple(
        trend_of(channel, model.classes, options, min_confidence=min_confidence)
        for channel in channels
    )
    return RecordingTrend(recording, name, duration, model.name, options, trends, min_confidence)


def require_classes(model: ModelInfo) -> None:
    """Refuse a model without scores.

    Raises:
        InvalidInputError: it is one.
    """
    if not model.classes:
        raise UnusableError(
            f"the archive's model {model.name} gives no emotion scores, so there is no trend; an"
            " archive under a model with a head has one"
        )


def write_csv(trend: RecordingTrend, out: TextIO) -> None:
    """The points of the curves, a row each; cells are empty where nobody speaks."""
    rows = CsvWriter(out)
    classes: Sequence[str] = trend.channels[0].classes
    rows.row(["channel", "channel_name", "time", *classes, "valence", "arousal"])
    for channel in trend.channels:
        name = "" if channel.channel is None else channel.channel
        table = np.column_stack([channel.scores, channel.valence, channel.arousal])
        for time, values in zip(channel.times, table, strict=True):
            cells = ["" if np.isnan(value) else f"{value:.6f}" for value in values]
            rows.row([name, channel.channel_name or "", f"{time:.3f}", *cells])


def _id_of(session: Session, path: Path) -> int:
    """The recording that lies, or lay, at ``path``; else the one that has the file's bytes."""
    absolute = os.path.abspath(path)  # noqa: PTH100 - as it was when it was ingested: no links
    known = recording_at(session, absolute)
    if known is None and path.is_file():
        known = find_by_sha256(session, sha256_of(path))
    if known is None:
        cure = f"take it in with: emotion-search ingest {path}"
        if not path.exists():
            cure = "nor is there such a file; emotion-search list recordings has those that are"
        raise NotFoundError(f"{path} is not in this archive; {cure}")
    return known
