"""The built-in model ``voice``: blocks of Whisper tiny tuned to emotion, beside ``acoustic``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from emotion_search.engine.audio.file import SAMPLE_RATE, Samples
from emotion_search.engine.embedders.acoustic.model import Acoustic, fingerprint_of, read_weights
from emotion_search.engine.embedders.base import BaseEmbedder, Floats
from emotion_search.engine.embedders.voice.network import DIMENSION, EmotionNetwork
from emotion_search.engine.embedders.voice.spectrum import log_mel
from emotion_search.engine.files.atomic import put_safetensors
from emotion_search.index.errors import ModelUnavailableError

WEIGHTS = Path(__file__).parent / "weights" / "voice.safetensors"
"""The weights that ship; those of ``acoustic`` are used beside them."""

VERSION = "2"
"""Raised whenever the same clip would get another vector by the same weights."""

LONGEST = 8.0
"""Seconds that go through the network at once: Whisper's positions, as tuned, reach no further."""

SCALE = 16.0
"""Of cosines before the softmax in training."""

_SERVED, _ADAPTED = 4.5, 5.0  # the same of clips and of moved vectors; calibrated on others' speech
_PIECE = int(LONGEST * SAMPLE_RATE)
_BESIDE = 0.8  # length of the vector of ``acoustic`` beside the network's, which is at most 1
_WORDS = 0.65  # what is kept of directions in which no classes lie: much of it is words


class Voice(BaseEmbedder):
    """An ``Embedder``: 384 dimensions, eight classes. On the CPU.

    A vector is that of ``acoustic`` beside the network's, in each of which directions that do not
    tell the classes of training apart weigh less. Scores are the network's.

    Args:
        weights: a file that ``engine.training`` wrote; the shipped one if left out.

    Raises:
        ModelUnavailableError: it is not such a file.
    """

    adapts = True
    centre: Floats

    def __init__(self, weights: Path = WEIGHTS, *, name: str = "voice") -> None:
        self.name = name
        about, kept = read_weights(weights, "the model voice")
        tensors = {k: v.float() if v.is_floating_point() else v for k, v in kept.items()}
        self.classes = tuple(about["classes"])
        self.beside = Acoustic()
        self._at = self.beside.dimension
        self.dimension = self._at + DIMENSION
        self.fingerprint = fingerprint_of(weights, f"voice {VERSION} {self.beside.fingerprint}")
        with torch.device("meta"):  # drawing random weights would take longer than reading these
            self.network = EmotionNetwork().eval()
        own = {k.removeprefix("network."): v for k, v in tensors.items() if "network." in k}
        try:
            self.network.load_state_dict(own, assign=True)
            own_centre = tensors["centre"].numpy()
            self._map, self._beside_map = tensors["map"], tensors["beside_map"]
            self._prototypes = functional.normalize(tensors["classes"])
        except (RuntimeError, KeyError) as error:
            raise ModelUnavailableError(f"{weights} lacks weights of the model voice") from error
        self.centre = np.concatenate([np.zeros(self._at, np.float32), own_centre])  # 0: unused

    def scores(self, vectors: Floats, centre: Floats | None = None) -> Floats:
        """Class scores of embeddings, (n, classes); see ``Embedder``."""
        scale, own = _SERVED, vectors[:, self._at :]
        if centre is not None:
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
            own = own / np.maximum(lengths, 1e-12) + (self.centre - centre)[..., self._at :]
            scale = _ADAPTED
        return self.probabilities(torch.from_numpy(np.array(own, np.float32)), scale).numpy()

    def vector(self, clip: Samples) -> Floats:
        """Embedding (dimension,). A clip beyond 8 s is cut into equal pieces, whose embeddings are
        averaged."""
        with torch.inference_mode():
            pieces = torch.tensor(clip).tensor_split(-(-len(clip) // _PIECE))
            return torch.stack([self.embedding(piece) for piece in pieces]).mean(dim=0).numpy()

    def embedding(self, samples: Tensor) -> Tensor:
        """Embedding (dimension,) of up to 8 s: float32, (n,)."""
        beside = functional.normalize(self.beside.embedding(samples), dim=0) @ self._beside_map
        own = functional.normalize(self.network(log_mel(samples)[None])) @ self._map
        return torch.cat([_BESIDE * functional.normalize(beside, dim=0), own[0]])

    def probabilities(self, own: Tensor, scale: float = _SERVED) -> Tensor:
        """Class scores (n, classes) of the network's part of embeddings, (n, ``DIMENSION``)."""
        cosines = functional.normalize(own) @ self._prototypes.T
        return functional.softmax(scale * cosines, dim=1)


def own_part(unit: Tensor, weaker: Tensor) -> Tensor:
    """What ``Voice``'s L2-normalised vectors hold beside that of ``acoustic``, (n, ``DIMENSION``):
    of the network's L2-normalised embeddings and its map."""
    own = unit @ weaker
    return own / (own.square().sum(dim=1, keepdim=True) + _BESIDE**2).sqrt()


def emphasis(means: Tensor) -> Tensor:
    """The map (dimension, dimension) that keeps what lies between the means of classes (classes,
    dimension) and weakens the rest, which tells more of words and speakers."""
    _, sizes, directions = torch.linalg.svd(means - means.mean(dim=0), full_matrices=False)
    between: Tensor = directions[sizes > 1e-4 * sizes[0]]
    return _WORDS * torch.eye(means.shape[1]) + (1 - _WORDS) * between.T @ between


def write_weights(
    path: Path, network: EmotionNetwork, fitted: Mapping[str, Tensor], about: Mapping[str, Any]
) -> None:
    """Write what ``Voice`` reads, as float16: ``fitted`` holds the network's ``map`` and the
    ``beside_map`` of ``acoustic`` (see ``emphasis``), the vectors of the ``classes`` (classes,
    ``DIMENSION``) and the ``centre`` of training (``DIMENSION``,) (see ``own_part``); ``about`` has
    the keys classes and about.

    Raises:
        OSError: it cannot be written; what was there is still there.
    """
    tensors = dict(fitted) | {f"network.{k}": v for k, v in network.state_dict().items()}
    kept = {k: v.detach().half() if v.is_floating_point() else v for k, v in tensors.items()}
    put_safetensors(path, {k: v.contiguous() for k, v in kept.items()}, about)
