"""Analysis of one audio file that is not kept: scores, windows, turning points, embedding."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from emotion_search.engine.api.http.bodies import File
from emotion_search.engine.api.wire.clips import model_name
from emotion_search.engine.audio.file import SAMPLE_RATE
from emotion_search.engine.audio.mono import MonoFile
from emotion_search.engine.embedders.base import Embedder
from emotion_search.engine.inference.embed import named_scores
from emotion_search.engine.inference.parts import FileEmbedding, Granularity
from emotion_search.engine.inference.predict import require_scores
from emotion_search.engine.library.library import Library
from emotion_search.engine.trends.curve import Options, trend_of
from emotion_search.index.database.affect import affect
from emotion_search.index.database.scores import ChannelScores
from emotion_search.index.errors import AudioError, InvalidInputError
from emotion_search.index.vectors.baselines import Place


class UploadAnalyse(BaseModel):
    """A file to analyse, and the windows that it is looked at by, one every half of a window."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    file: File
    window: float = Field(default=2.0, ge=0.5, le=15)


def analysis(library: Library, path: Path, name: str, window: float) -> dict[str, Any]:
    """What the archive's model hears in a file, as JSON: of the whole as ``/v1/predict`` tells it,
    with ``embedding``, ``valence``, ``arousal``, and ``rank`` (percentage of the archive's clips
    with a lower score of the emotion, see ``Library.rank``); ``parts`` by window, and
    ``turning_points`` between them; ``frames``: whether the model has frames.

    Raises:
        InvalidInputError: the model gives no scores.
        AudioError: the file cannot be used.
    """
    embedder = library.embedder()
    require_scores(embedder)
    longest = library.settings.max_example_minutes * 60
    context = library.context(embedder, Place())

    def embedded(how: Granularity) -> FileEmbedding:
        return FileEmbedding(
            MonoFile(library.decoders, path, longest=longest), embedder, how, context
        )

    try:
        whole, fine = embedded(Granularity()), embedded(Granularity("window", window, window / 2))
        for _ in whole:  # of an utterance there are no parts
            pass
        parts = [*fine]
    except AudioError as error:
        raise AudioError(f"{name} {error}") from error
    starts, ends, scores = (
        np.concatenate([getattr(one, field) for one in parts])
        for field in ("starts", "ends", "scores")
    )
    classes = embedder.classes
    curve = trend_of(
        ChannelScores(None, None, starts, ends, scores),
        classes,
        Options(smooth=window, shortest=2 * window),
    )
    top = int(whole.scores.argmax())
    valence, arousal, _ = affect(classes, whole.scores).tolist()
    return {
        "file": name,
        "model": model_name(embedder.name),
        "duration": round(whole.duration, 3),
        **_part(classes, 0.0, whole.duration, whole.scores),
        "adapted": whole.adapted,
        "valence": round(valence, 4),
        "arousal": round(arousal, 4),
        "rank": library.rank(classes[top], float(whole.scores[top])),
        "min_confidence": library.settings.min_confidence,
        "window": window,
        "parts": [_part(classes, *row) for row in zip(starts, ends, scores, strict=True)],
        "turning_points": curve.record()["turning_points"],
        "frames": _has_frames(embedder),
        "embedding": whole.vector.tolist(),
    }


def _part(
    classes: Sequence[str], start: float, end: float, scores: NDArray[np.float32]
) -> dict[str, Any]:
    named = named_scores(classes, scores)
    top = max(named, key=named.__getitem__)
    return {
        "start": round(float(start), 3),
        "end": round(float(end), 3),
        "emotion": top,
        "confidence": named[top],
        "scores": named,
    }


def _has_frames(embedder: Embedder) -> bool:
    try:
        embedder.frames(np.zeros(SAMPLE_RATE // 4, np.float32))
    except InvalidInputError:
        return False
    return True
