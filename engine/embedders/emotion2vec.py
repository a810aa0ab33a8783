"""Emotion2vec+ through FunASR: utterance embeddings and class scores."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.audio import Samples
from engine.embedders.base import Embeddings, check
from engine.embedders.hub import FILES
from engine.embedders.quiet import undisturbed
from index.errors import ModelUnavailableError


class Emotion2vec:
    """An ``Embedder`` over a checkpoint folder that FunASR loads.

    The vector is the mean over frames of the last layer; the scores are
    ``softmax(proj(vector))`` (Ma et al., "emotion2vec: Self-Supervised Pre-Training for Speech
    Emotion Representation", Findings of ACL 2024).

    Args:
        folder: a checkpoint folder.
        name: what the user called it.
        device: ``auto`` (CUDA if there is one), ``cpu``, ``cuda``, ``cuda:N``.

    Raises:
        ModelUnavailableError: it is not a checkpoint of this class, or a broken one.
    """

    def __init__(self, folder: Path, *, name: str, device: str = "auto") -> None:
        self.name = name
        self.fingerprint = _fingerprint(folder)
        self._lock = threading.Lock()
        self._model = _load(folder, _device(device))
        answer = self._generate(np.zeros(16_000, dtype=np.float32))
        self.dimension = len(answer["feats"])
        self.classes = tuple(english(label) for label in answer["labels"])
        if not answer["scores"]:
            self.classes = ()

    def embed(self, clips: Sequence[Samples]) -> Embeddings:
        """Embeddings of clips, each float32, (n,), 16 kHz.

        Raises:
            AudioError: a clip is shorter than 400 samples or not finite.
        """
        check(clips)
        answers = [self._generate(clip) for clip in clips]
        vectors = np.array([answer["feats"] for answer in answers], dtype=np.float32)
        scores = np.array([answer["scores"] for answer in answers], dtype=np.float32)
        return Embeddings(
            vectors.reshape(len(clips), self.dimension),
            scores.reshape(len(clips), len(self.classes)),
        )

    def _generate(self, clip: Samples) -> dict[str, Any]:
        # One clip a call: FunASR gives the arrays of one call a single key, and loops over them
        # anyway. Its module is not safe for several threads.
        with self._lock:
            state = random.getstate()  # FunASR draws a key for each array
            (answer,) = self._model.generate(
                clip, granularity="utterance", extract_embedding=True, disable_pbar=True
            )
            random.setstate(state)
        return dict(answer)


def english(label: str) -> str:
    """The stable English key of a class: ``生气/angry`` is ``angry``, ``<unk>`` ``unknown``."""
    key = label.rsplit("/", 1)[-1].strip().lower()
    return "unknown" if key == "<unk>" else key


def _load(folder: Path, device: str) -> Any:
    import torch

    with undisturbed():
        try:
            from funasr import AutoModel

            model = AutoModel(
                model=str(folder),
                device=device,
                disable_update=True,
                disable_pbar=True,
                log_level="ERROR",
                ncpu=torch.get_num_threads(),
            )
        except Exception as error:
            raise ModelUnavailableError(
                f"model folder {folder} cannot be loaded: {_first_line(error)}"
            ) from error
    if type(model.model).__name__ != "Emotion2vec":
        raise ModelUnavailableError(
            f"model folder {folder} is a {type(model.model).__name__}, not an emotion2vec model"
        )
    _check_weights(folder, set(model.model.state_dict()))
    return model


def _check_weights(folder: Path, wanted: set[str]) -> None:
    """Refuse a checkpoint that lacks weights: FunASR would leave those at random values."""
    import torch

    loaded = torch.load(folder / "model.pt", map_location="cpu", mmap=True, weights_only=True)
    state = loaded.get("model", loaded.get("state_dict", loaded))
    missing = sorted(wanted - {name.removeprefix("d2v_model.") for name in state})
    if missing:
        raise ModelUnavailableError(
            f"model folder {folder} lacks {len(missing)} of {len(wanted)} weights, such as"
            f" {missing[0]}: not a checkpoint of this model"
        )


def _device(wanted: str) -> str:
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise ModelUnavailableError("device cuda: no CUDA device here; use --device cpu")
    return wanted


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in (*FILES, "tokens.txt"):
        if (folder / name).is_file():
            with (folder / name).open("rb") as file:
                digest.update(name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
