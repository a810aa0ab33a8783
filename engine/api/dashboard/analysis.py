"""Analysis of one audio file that is not kept: scores, windows, turning points, embedding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from emotion_search.engine.api.http.bodies import Asked, File
from emotion_search.engine.api.wire.clips import model_name
from emotion_search.engine.api.wire.predict import part_fields
from emotion_search.engine.audio.file import SAMPLE_RATE
from emotion_search.engine.audio.mono import MonoFile
from emotion_search.engine.embedders.base import Embedder
from emotion_search.engine.inference.parts import FileEmbedding, Granularity
from emotion_search.engine.inference.predict import whole_prediction
from emotion_search.engine.library.library import Library
from emotion_search.engine.trends.curve import Options, trend_of
from emotion_search.index.database.affect import affect
from emotion_search.index.database.scores import ChannelScores
from emotion_search.index.errors import AudioError, InvalidInputError
from emotion_search.index.vectors.baselines import Place


class UploadAnalyse(Asked):
    """A file to analyse, and the windows that it is looked at by, one every half of a window."""

    file: File
    window: float = Field(default=2.0, ge=0.5, le=15)


def analysis(library: Library, path: Path, name: str, window: float) -> dict[str, Any]:
    """Scores of a file by the archive's model, as JSON: of the whole as ``/v1/predict`` has them,
    with ``embedding``, ``valence``, ``arousal`` and ``rank`` (see ``Library.rank``); ``parts`` by
    window, and ``turning_points`` between them; ``frames``: whether the model has frames.

    Raises:
        InvalidInputError: the model gives no scores.
        AudioError: the file cannot be used.
    """
    embedder = library.embedder()
    classes, longest = embedder.classes, library.settings.max_example_minutes * 60
    sound = MonoFile(library.decoders, path, longest=longest)
    embedded = FileEmbedding(sound, embedder, Granularity(), library.context(embedder, Place()))
    windows = Granularity("window", window, window / 2)
    try:
        *parts, _ = library.predict(path, windows, longest=longest)
        for _ in embedded:  # of an utterance there are no parts
            pass
    except AudioError as error:
        raise AudioError(f"{name} {error}") from error
    whole = whole_prediction(name, embedded, embedder)
    starts, ends = (np.array([getattr(one, end) for one in parts]) for end in ("start", "end"))
    scores = np.array([[*(one.scores or {}).values()] for one in parts], np.float32)
    curve = trend_of(
        ChannelScores(None, None, starts, ends, scores),
        classes,
        Options(smooth=window, shortest=2 * window),
    )
    valence, arousal, _ = affect(classes, embedded.scores).tolist()
    return {
        "file": name,
        "model": model_name(embedder.name),
        "duration": whole.end,
        **part_fields(whole),
        "adapted": whole.adapted,
        "notices": whole.notices,
        "valence": round(valence, 4),
        "arousal": round(arousal, 4),
        "rank": library.rank(str(whole.emotion), float(embedded.scores.max())),
        "min_confidence": library.settings.min_confidence,
        "window": window,
        "parts": [part_fields(one) for one in parts],
        "turning_points": curve.record()["turning_points"],
        "frames": _has_frames(embedder),
        "embedding": embedded.vector.tolist(),
    }


def _has_frames(embedder: Embedder) -> bool:
    try:
        embedder.frames(np.zeros(SAMPLE_RATE // 4, np.float32))
    except InvalidInputError:
        return False
    return True
