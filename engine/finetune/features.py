"""Feature cache of fine-tuning: examples encoded once by the base model, kept with the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emotion_search.engine.audio.workers import Decoders
from emotion_search.engine.files.atomic import put, put_array
from emotion_search.engine.finetune.bases import Base
from emotion_search.engine.finetune.examples import Example, decode_examples
from emotion_search.engine.finetune.tune import Plan, other_run
from emotion_search.engine.training.prepare import ClipRows

Stored = Callable[[str, Sequence[int]], NDArray[np.float32] | None]
"""Of a model's fingerprint and ids of clips: their embeddings, where the archive has them all."""

_MARK = "encoded.json"  # of which run the files are; there once all are whole


def check_encoded(state: Path, described: str) -> None:
    """Refuse to go on with the encoded examples of another run.

    Raises:
        InvalidInputError: they are of one.
    """
    mark = state / _MARK
    if mark.exists() and mark.read_text(encoding="utf-8") != described:
        raise other_run(mark)


def encode_examples(
    base: Base,
    examples: Sequence[Example],
    plan: Plan,
    decoders: Decoders,
    state: Path,
    described: str,
    stored: Stored,
    tell: Callable[[str], None],
) -> tuple[Tensor, ClipRows | None]:
    """The vectors of all examples, (n, dim), and what the layers to tune get of them; kept in
    ``state``, and taken from there if they are of the same run.

    Raises:
        InvalidInputError: an example cannot be decoded; names its file.
        OSError: they cannot be kept.
    """
    mark, vectors_path = state / _MARK, state / "vectors.npy"
    inputs_path, places_path = state / "inputs.f16", state / "places.npy"
    same = mark.exists() and mark.read_text(encoding="utf-8") == described
    if same and places_path.exists():
        places = np.load(places_path)
        vectors = torch.from_numpy(np.load(vectors_path))
    else:
        found = None
        ids = [one.clip for one in examples if one.clip is not None]
        if not plan.layers and len(ids) == len(examples):
            found = stored(base.fingerprint, ids)
        if found is not None:
            tell(f"{len(examples)} embeddings taken from the archive")
            width = base.encode(np.zeros(16_000, np.float32), 0)[0].shape[0]
            return torch.from_numpy(found[:, :width].copy()), None
        mark.unlink(missing_ok=True)  # what it vouches for is written over
        places, vectors = _encode_all(base, examples, plan, decoders, inputs_path, tell)
        put_array(places_path, places)
        put_array(vectors_path, vectors.numpy())
        put(mark, described)  # it is whole from here on
    if not plan.layers:
        return vectors, None
    return vectors, ClipRows(inputs_path, places)


def _encode_all(
    base: Base,
    examples: Sequence[Example],
    plan: Plan,
    decoders: Decoders,
    path: Path,
    tell: Callable[[str], None],
) -> tuple[NDArray[np.int64], Tensor]:
    """Where the rows of each example are in the file, as ``ClipRows`` has it; and the vectors."""
    vectors: list[Tensor] = [torch.empty(0)] * len(examples)
    places = np.zeros((len(examples), 2), np.int64)
    at = 0
    with path.open("wb") as file:
        for done, clip in enumerate(decode_examples(examples, decoders), start=1):
            vectors[clip.id], rows = base.encode(clip.samples, plan.layers)
            file.write(rows.tobytes())
            places[clip.id] = at, len(rows)
            at += len(rows)
            if done % 500 == 0:
                tell(f"{done} of {len(examples)} clips encoded")
    return places, torch.stack(vectors).float()
