"""Import: a row's clip, recording and annotations."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.files.values import (
    check_cell,
    check_text,
    parse_channel,
    parse_path,
    parse_time,
)
from emotion_search.engine.transfer.formats import AFFECT, SCORE
from emotion_search.index.database.affect import DIMENSIONS
from emotion_search.index.database.filters import EMOTION
from emotion_search.index.database.text import clean

_SHA256 = re.compile(r"[0-9a-f]{64}$")
_TASK = "label:"
_CLIP = ("id", "path", "file", "sha256", "channel", "channel_name", "start", "end", "duration")
_ABOUT = ("source", "speaker", "recorded_at", "label", "labels", "scores", "metadata", "embedding")
_ELSEWHERE = ("clip", "recording", "similarity", "percentile", "space")  # another archive's
_SCORED = frozenset(("emotion", "confidence"))  # which follow from the scores beside them
_NO_SCORES = np.empty(0, np.float32)
_OWN = frozenset((*_CLIP, *_ABOUT, *_ELSEWHERE))


@dataclass(frozen=True, eq=False)
class Row:
    """A clip as a row gives it.

    Attributes:
        key: its recording's identity among the rows: a sha256 that is given, else path or id.
        sha256, path, name: of the recording.
        start, end: seconds; both 0 where not given.
        duration: of the recording, as far as it is known.
        scores: float32, (classes,).
        affect: valence, arousal and dominance, float64, (3,); None where not given.
        labels, speaker: of the clip; labels are values by task.
        metadata, source, recorded_at: of the recording.
    """

    key: str
    sha256: str | None
    path: str | None
    name: str
    channel: int | None
    channel_name: str | None
    start: float
    end: float
    duration: float
    labels: Mapping[str, str]
    scores: NDArray[np.float32]
    affect: NDArray[np.float64] | None
    metadata: Mapping[str, str]
    source: str | None
    speaker: str | None
    recorded_at: datetime | None

    def values_of_recording(self) -> Iterator[tuple[str, str]]:
        """The row's annotations of its recording, each with its name."""
        if self.source is not None:
            yield "source", self.source
        if self.recorded_at is not None:
            yield "recorded_at", self.recorded_at.isoformat()
        for key, value in self.metadata.items():
            yield f"metadata {key}", value

    def digest(self) -> bytes:
        """16 bytes that no other clip has."""
        span = round(self.start * 1000), round(self.end * 1000)
        text = f"{self.key}\0{self.channel}\0{span}"
        return hashlib.blake2b(text.encode(), digest_size=16).digest()


def score_columns(cells: Mapping[str, Any]) -> tuple[str, ...]:
    """The classes that a row has scores for."""
    named = cells.get("scores")
    if isinstance(named, dict):
        return tuple(map(str, named))
    return tuple(name.removeprefix(SCORE) for name in cells if name.startswith(SCORE))


def read_row(cells: Mapping[str, Any], folder: Path, classes: Sequence[str]) -> Row:
    """A row of a table whose paths are relative to ``folder``.

    Raises:
        ValueError, InvalidInputError: it cannot be used; says why.
    """
    texts = {
        key: text
        for key, value in cells.items()
        if key and (text := value.strip() if type(value) is str else _text(value))
    }
    sha256 = texts.get("sha256")
    if sha256 is not None and not _SHA256.match(sha256):
        raise ValueError(f"sha256 {sha256[:80]!r} is not 64 lower-case hexadecimal digits")
    given = texts.get("path") or texts.get("file")
    path = None if given is None else parse_path(given, folder)
    own = check_cell("id", texts)
    key = sha256 or path or own
    if key is None:
        raise ValueError("no path, id or sha256")
    start, end, duration = (_seconds(name, texts) for name in ("start", "end", "duration"))
    if "end" not in texts:
        if start or ("start" in texts and "duration" not in texts):
            raise ValueError("start without end: give both, in seconds")
        end = duration
    if end < start:
        raise ValueError(f"{start:g} to {end:g} s is no span")
    channel = parse_channel(texts.get("channel"))
    moment = parse_time(texts["recorded_at"])[0] if "recorded_at" in texts else None
    return Row(
        key=key,
        sha256=sha256,
        path=path,
        name=os.path.basename(path) if path else str(own or key[:12]),  # noqa: PTH119
        channel=channel,
        channel_name=check_cell("channel_name", texts),
        start=start,
        end=end,
        duration=max(duration, end),
        labels=_labels(cells, texts),
        scores=_scores(cells, classes),
        affect=_affect(cells),
        metadata=_metadata(cells, texts),
        source=check_cell("source", texts),
        speaker=check_cell("speaker", texts),
        recorded_at=moment,
    )


def _labels(cells: Mapping[str, Any], texts: Mapping[str, str]) -> dict[str, str]:
    labels = {EMOTION: check_text("label", texts["label"])} if "label" in texts else {}
    named = cells.get("labels")
    pairs = [(str(k), v) for k, v in named.items()] if isinstance(named, dict) else []
    pairs += [(k.removeprefix(_TASK), v) for k, v in texts.items() if k.startswith(_TASK)]
    labels |= {check_text("task", k): check_text("label", _text(v)) for k, v in pairs if _text(v)}
    return labels


def _scores(cells: Mapping[str, Any], classes: Sequence[str]) -> NDArray[np.float32]:
    if not classes:
        return _NO_SCORES
    named = cells.get("scores")
    given: Mapping[str, Any] = (
        named if isinstance(named, dict) else {name: cells.get(SCORE + name) for name in classes}
    )
    try:
        scores = np.array([float(given[name]) for name in classes], np.float32)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"needs a score of each class ({', '.join(classes)}), in columns {SCORE}CLASS"
        ) from error
    if not (np.isfinite(scores).all() and (scores >= 0).all() and (scores <= 1).all()):
        raise ValueError("a score is 0 to 1")
    return scores


def _affect(cells: Mapping[str, Any]) -> NDArray[np.float64] | None:
    given = cells.get("affect")
    if not isinstance(given, dict):
        given = {one: cells.get(AFFECT + one) for one in DIMENSIONS}
    if all(given.get(one) in (None, "") for one in DIMENSIONS):
        return None
    try:
        affect = np.array([float(given[one]) for one in DIMENSIONS])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"needs all of {', '.join(AFFECT + one for one in DIMENSIONS)}") from error
    if not (np.abs(affect) <= 1).all():
        raise ValueError(f"{', '.join(DIMENSIONS)} are -1 to 1")
    return affect


def _metadata(cells: Mapping[str, Any], texts: Mapping[str, str]) -> dict[str, str]:
    given = cells.get("metadata")
    if isinstance(given, str) and given.strip():
        try:
            given = json.loads(given)
        except ValueError as error:
            raise ValueError(f"metadata is not JSON ({error})") from error
    if given and not isinstance(given, dict):
        raise ValueError("metadata is not a JSON object")
    pairs = [(str(k), _text(v)) for k, v in (given or {}).items()]
    own = _OWN | _SCORED if isinstance(cells.get("scores"), dict) else _OWN
    pairs += [
        (k, v)
        for k, v in texts.items()
        if k not in own and not k.startswith((_TASK, SCORE, AFFECT))
    ]
    return {check_text("metadata key", k): clean(k, v) for k, v in pairs if v}


def _seconds(name: str, texts: Mapping[str, str]) -> float:
    try:
        seconds = float(texts.get(name, 0))
    except ValueError as error:
        raise ValueError(f"{name} {texts[name]!r} is not a number of seconds") from error
    if not 0 <= seconds < 1e7:
        raise ValueError(f"{name} {seconds:g} is no time in a recording")
    return seconds


def _text(value: Any) -> str:
    """A cell as text: null is nothing, numbers as they are written.

    Raises:
        ValueError: it cannot be text.
    """
    if value is None or isinstance(value, dict | list):
        return ""
    try:
        return value.strip() if isinstance(value, str) else json.dumps(value)
    except TypeError as error:
        raise ValueError(f"a cell of type {type(value).__name__} cannot be kept as text") from error
