"""The built-in model ``acoustic``: a small convolutional network; its weights come with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn import functional

from emotion_search.engine.audio.file import SAMPLE_RATE, Samples
from emotion_search.engine.embedders.acoustic.features import features
from emotion_search.engine.embedders.acoustic.network import Shape, VoiceNetwork
from emotion_search.engine.embedders.acoustic.statistics import DIMENSION, Described
from emotion_search.engine.embedders.base import BaseEmbedder, Floats
from emotion_search.engine.files.atomic import put_safetensors
from emotion_search.index.errors import ModelUnavailableError

WEIGHTS = Path(__file__).parent / "weights" / "acoustic.safetensors"
"""The weights that ship."""

CENTRE = WEIGHTS.with_name("centre.npy")
"""Mean of the L2-normalised vectors of EMO-DB by these weights, each emotion counting alike:
float32, (256,). Beside the weights, so that their fingerprint stays."""

VERSION = "2"
"""Raised whenever the same clip would get another vector by the same weights."""

SCALE = 16.0
"""Of cosines before the softmax, as in training."""

_ADAPTED_SCALE = 10.0  # the same, of vectors that were moved; calibrated on speech not trained on
_COUNTER = "num_batches_tracked"  # of batch norms, which nothing here reads
_PIECE = 15 * SAMPLE_RATE  # samples that go through the network at once


class Acoustic(BaseEmbedder):
    """An ``Embedder`` of the built-in model: 256 dimensions, eight classes. On the CPU.

    A vector is the network's, at length one, beside the clip's ``Described`` statistics. Scores are
    the network's.

    Args:
        weights: a file that ``engine.training`` wrote; the shipped one if left out.

    Raises:
        ModelUnavailableError: it is not such a file.
    """

    def __init__(self, weights: Path = WEIGHTS, *, name: str = "acoustic") -> None:
        self.name = name
        about, tensors = read_weights(weights)
        self.network, self.described = load_modules(weights, about, tensors)
        self._prototypes = functional.normalize(tensors["classes"])
        self.classes = tuple(about["classes"])
        self._learned = int(self._prototypes.shape[1])
        self.dimension = self._learned + DIMENSION
        self.fingerprint = fingerprint_of(weights)
        self.centre = np.load(CENTRE) if weights == WEIGHTS else None
        self.adapts = self.centre is not None

    def scores(self, vectors: Floats, centre: Floats | None = None) -> Floats:
        """Class scores of embeddings, (n, classes); see ``Embedder``. Weights of one's own do not
        adapt: the mean of what they were trained on is not known."""
        scale = SCALE
        if centre is not None and self.centre is not None:
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
            vectors = vectors / np.maximum(lengths, 1e-12) - centre + self.centre
            scale = _ADAPTED_SCALE
        learned = torch.from_numpy(np.array(vectors[:, : self._learned], np.float32))
        cosines = functional.normalize(learned) @ self._prototypes.T
        return functional.softmax(scale * cosines, dim=1).numpy()

    def vector(self, clip: Samples) -> Floats:
        """Embedding (dimension,). A clip beyond 15 s is cut into equal pieces, whose embeddings are
        averaged."""
        with torch.inference_mode():
            pieces = torch.tensor(clip).tensor_split(-(-len(clip) // _PIECE))
            return torch.stack([self.embedding(piece) for piece in pieces]).mean(dim=0).numpy()

    def embedding(self, samples: Tensor) -> Tensor:
        """Embedding (dimension,) of up to 15 s: float32, (n,)."""
        inputs = features(samples)[None]
        learned = functional.normalize(self.network(inputs))
        return torch.cat([learned, self.described(inputs)], 1)[0]


def fingerprint_of(weights: Path, computed: str = f"acoustic {VERSION}") -> str:
    """Hex sha256 of what decides the vectors that these weights give; ``computed`` names how."""
    return hashlib.sha256(computed.encode() + weights.read_bytes()).hexdigest()


def read_weights(
    path: Path, model: str = "the built-in network"
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The metadata of a file of weights (shape, classes, about), and its tensors.

    Raises:
        ModelUnavailableError: it is not such a file; says that it has no weights of ``model``.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})["emotion_search"])
            return about, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ModelUnavailableError(
            f"{path} does not hold weights of {model}: {error!r}"
        ) from error


def load_modules(
    path: Path, about: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> tuple[VoiceNetwork, Described]:
    """The network, in evaluation mode, and the map of descriptors of a file of weights.

    Raises:
        ModelUnavailableError: the file lacks some of them.
    """
    shape = {**about["shape"], "dilations": tuple(about["shape"]["dilations"])}
    network, described = VoiceNetwork(Shape(**shape)).eval(), Described()
    for prefix, module in (("network.", network), ("described.", described)):
        own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        missing = module.load_state_dict(own, strict=False).missing_keys
        if any(not key.endswith(_COUNTER) for key in missing):
            raise ModelUnavailableError(f"{path} lacks weights of the built-in model")
    return network, described


def write_weights(
    path: Path,
    network: VoiceNetwork,
    described: Described,
    prototypes: Tensor,
    about: Mapping[str, Any],
) -> None:
    """Write what ``read_weights`` reads: ``prototypes`` are the vectors of the classes, (classes,
    dimension), ``about`` has the keys shape, classes and about.

    Raises:
        OSError: it cannot be written; what was there is still there.
    """
    tensors = {"classes": prototypes}
    for prefix, module in (("network.", network), ("described.", described)):
        tensors |= {f"{prefix}{name}": value for name, value in module.state_dict().items()}
    kept = {k: v.detach().cpu().contiguous() for k, v in tensors.items() if _COUNTER not in k}
    put_safetensors(path, kept, about)
