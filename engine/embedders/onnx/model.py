"""A model in an ONNX file as an embedder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import soxr

from emotion_search.engine.audio.file import SAMPLE_RATE, Samples
from emotion_search.engine.embedders.base import BaseEmbedder, Embeddings, Floats, check
from emotion_search.engine.embedders.device import pick_device
from emotion_search.engine.embedders.onnx.description import read_description
from emotion_search.engine.machine.threads import cores
from emotion_search.index.errors import ModelUnavailableError, UnusableError, reason


class OnnxModel(BaseEmbedder):
    """An ``Embedder`` over an ONNX file and its ``Description``; each clip goes through alone.

    Args:
        path: the file.
        name: what the user called it.
        device: ``auto``, ``cpu``; ``cuda`` where onnxruntime was built for it.

    Raises:
        ModelUnavailableError: the file is none, is not what its description says, or does not run.
    """

    def __init__(self, path: Path, *, name: str, device: str = "auto") -> None:
        self.name, self._path = name, path
        if not path.is_file():
            raise ModelUnavailableError(f"model {name}: there is no file {path}")
        self._description = description = read_description(path)
        self.dimension, self.classes = description.dimension, description.classes
        aside = {"about"} if description.features else {"about", "features"}
        digest = hashlib.sha256(description.model_dump_json(exclude=aside).encode())
        for ending in ("", ".data", "_data"):  # weights lie beside a large file
            part = path.with_name(path.name + ending)
            if part.is_file():
                with part.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
        self.fingerprint = digest.hexdigest()
        self.device = pick_device(device)
        self._session = _session(path, self.device.type)
        self._batched = len(self._input_shape()) > 1 + (description.features is not None)
        self._outputs = [n for n in (description.vector, description.scores) if n is not None]
        missing = [
            n for n in self._outputs if n not in (o.name for o in self._session.get_outputs())
        ]
        if missing:
            raise ModelUnavailableError(f"{path} has no output {missing[0]!r}")
        self._run(np.zeros(SAMPLE_RATE, np.float32))

    def vector(self, clip: Samples) -> Floats:
        """Embedding (dimension,) of a clip."""
        vector: Floats = self.embed([clip]).vectors[0]
        return vector

    def embed(self, clips: Sequence[Samples]) -> Embeddings:
        """See ``Embedder``."""
        check(clips)
        vectors = np.empty((len(clips), self.dimension), np.float32)
        scores = np.empty((len(clips), len(self.classes)), np.float32)
        most = int(self._description.longest * SAMPLE_RATE)
        for i, clip in enumerate(clips):
            pieces = [self._run(piece) for piece in np.array_split(clip, -(-len(clip) // most))]
            vectors[i] = np.mean([vector for vector, _ in pieces], axis=0)
            scores[i] = np.mean([score for _, score in pieces], axis=0)
        return Embeddings(vectors, scores)

    def scores(self, vectors: Floats, centre: Floats | None = None) -> Floats:
        """Not to be had of embeddings: the file makes scores of audio alone.

        Raises:
            InvalidInputError: always, but of a model without classes.
        """
        if not self.classes:
            return super().scores(vectors)
        raise UnusableError(f"the model {self.name} makes scores of audio, not of embeddings")

    def _input_shape(self) -> list[int | str | None]:
        found = {one.name: one for one in self._session.get_inputs()}
        one = found.pop(self._description.input, None)
        if one is None or found:
            names = ", ".join(i.name for i in self._session.get_inputs())
            raise ModelUnavailableError(
                f"{self._path} takes {names}; its description says {self._description.input} alone"
            )
        axes, what = 1, "samples are tensor(float) of shape (n,) or (1, n)"
        if self._description.features:
            axes, what = 2, "features are tensor(float) of two axes, or with a first one of 1"
        if one.type != "tensor(float)" or len(one.shape) not in (axes, axes + 1):
            raise ModelUnavailableError(
                f"{self._path}: {one.name} is {one.type} of shape {one.shape}; {what}"
            )
        return list(one.shape)

    def _run(self, piece: Samples) -> tuple[Floats, Floats]:
        """Vector (dimension,) and scores (classes,) of a piece."""
        lacking = int(self._description.shortest * SAMPLE_RATE) - len(piece)
        piece = np.pad(piece, (0, max(0, lacking)))
        if self._description.sample_rate != SAMPLE_RATE:
            piece = soxr.resample(piece, SAMPLE_RATE, self._description.sample_rate)
        features = self._description.features
        given = features.of(piece, self._description.sample_rate) if features else piece
        given = given[None] if self._batched else given
        try:
            found = self._session.run(self._outputs, {self._description.input: given})
        except Exception as error:  # onnxruntime's own kinds have no common one
            raise ModelUnavailableError(
                f"{self._path} does not run on {len(piece)} samples: {reason(error)}"
            ) from error
        vector = self._checked(found[0], self._outputs[0], self.dimension)
        if not self.classes:
            return vector, np.empty(0, np.float32)
        scores = self._checked(found[1], self._outputs[1], len(self.classes))
        if not np.isclose(scores.sum(), 1, atol=1e-3) or scores.min() < 0:
            raise ModelUnavailableError(
                f"{self._path}: {self._outputs[1]} are no probabilities of which one is the case:"
                f" their sum is {scores.sum():.3f}"
            )
        return vector, scores

    def _checked(self, found: Floats, output: str, length: int) -> Floats:
        if found.shape not in ((length,), (1, length)) or found.dtype != np.float32:
            raise ModelUnavailableError(
                f"{self._path}: {output} is {found.dtype} of shape {found.shape}; its description"
                f" says float32 of shape {(1, length)}"
            )
        return found.reshape(length)


def _session(path: Path, device: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1 if device == "cpu" else cores()  # clips have a thread each
    options.log_severity_level = 4
    providers = ["CPUExecutionProvider"]
    if device != "cpu":
        wanted = f"{device.upper()}ExecutionProvider"
        if wanted not in onnxruntime.get_available_providers():
            raise ModelUnavailableError(
                f"this onnxruntime does not run on {device}; use --device cpu, or install"
                " onnxruntime-gpu"
            )
        providers.insert(0, wanted)
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:
        why = reason(error)
        raise ModelUnavailableError(f"{path} is no ONNX model that runs here: {why}") from error
