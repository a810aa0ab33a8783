"""Emotion2vec+ by FunASR's weights: the same numbers from a faster forward pass."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from emotion_search.engine.audio.file import SAMPLE_RATE, Samples
from emotion_search.engine.embedders.base import Embeddings, Floats, Frames, check
from emotion_search.engine.embedders.device import pick_device
from emotion_search.engine.embedders.emotion2vec.checkpoint import read_checkpoint
from emotion_search.engine.embedders.emotion2vec.forward import Forward
from emotion_search.engine.embedders.emotion2vec.linear import (
    PackedLinear,
    PlainLinear,
    packing_works,
)

log = logging.getLogger(__name__)

_PACK_SECONDS = {"cpu": 15.0, "cuda": 240.0, "mps": 60.0}
"""Seconds of audio that go through the network together; more gains nothing on a CPU."""

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""Data types of matrix products by the name of the setting."""


class Emotion2vec:
    """An ``Embedder`` over a checkpoint folder of FunASR's class ``Emotion2vec``.

    The vector is the mean over frames of the last layer; the scores are ``softmax(proj(vector))``
    (Ma et al., "emotion2vec: Self-Supervised Pre-Training for Speech Emotion Representation",
    Findings of ACL 2024). Classes that the checkpoint calls ``unuse…`` are left out.

    Args:
        folder: a checkpoint folder.
        name: what the user called it.
        device: ``auto`` (CUDA if there is one), ``cpu``, ``cuda``, ``cuda:N``, ``mps``.
        precision: ``float32``, or ``bfloat16`` for speed where the hardware has it.

    Raises:
        ModelUnavailableError: it is not a checkpoint of this class, or a broken one; no such
            device.
    """

    adapts = False  # the mean of what it was trained on is not known
    centre = None

    def __init__(
        self, folder: Path, *, name: str, device: str = "auto", precision: str = "float32"
    ) -> None:
        checkpoint = read_checkpoint(folder)
        self.name, self.folder = name, folder
        self.fingerprint = checkpoint.fingerprint
        self.dimension = int(checkpoint.conf["embed_dim"])
        self.labels = tuple(checkpoint.labels[i] for i in checkpoint.used)
        self.classes = tuple(english(label) for label in self.labels)
        self.device = pick_device(device)
        self._pack = _PACK_SECONDS.get(self.device.type, 15.0) * SAMPLE_RATE
        dtype = PRECISIONS[precision]
        if dtype == torch.bfloat16 and self.device.type == "cpu" and not cpu_has_bfloat16():
            log.warning("this processor has no bfloat16 arithmetic: float32 is faster on it")
        packed = self.device.type == "cpu" and packing_works(dtype)
        module = checkpoint.module.to(self.device)
        with torch.inference_mode():
            self._forward = Forward(
                module,
                checkpoint.conf,
                linear=partial(PackedLinear if packed else PlainLinear, dtype=dtype),
                dtype=dtype,
            )
            used = checkpoint.used
            self._head = (
                (module.proj.weight[used].clone(), module.proj.bias[used].clone())
                if checkpoint.labels
                else None
            )

    def embed(self, clips: Sequence[Samples]) -> Embeddings:
        """See ``Embedder``."""
        vectors = np.empty((len(clips), self.dimension), np.float32)
        scores = np.empty((len(clips), len(self.classes)), np.float32)
        for i, features in self._features(clips):
            mean = features.mean(dim=0)
            vectors[i] = mean.cpu().numpy()
            scores[i] = self._scores(mean)
        return Embeddings(vectors, scores)

    def scores(self, vectors: Floats, centre: Floats | None = None) -> Floats:
        """Class scores of embeddings, (n, classes); ``centre`` plays no part."""
        return self._scores(torch.tensor(vectors, dtype=torch.float32, device=self.device))

    def frames(self, clip: Samples) -> Frames:
        """See ``Embedder``. The head is linear, so that the mean of the frames' logits is the
        utterance's."""
        ((_, features),) = self._features([clip])
        return Frames(features.cpu().numpy(), self._scores(features))

    def _features(self, clips: Sequence[Samples]) -> Iterator[tuple[int, torch.Tensor]]:
        """Index and frame features (frames, dim) of each clip, longest first."""
        check(clips)
        order = sorted(range(len(clips)), key=lambda i: len(clips[i]), reverse=True)
        while order:
            pack, size = [order[0]], len(clips[order[0]])
            while len(pack) < len(order) and size + len(clips[order[len(pack)]]) <= self._pack:
                size += len(clips[order[len(pack)]])
                pack.append(order[len(pack)])
            order = order[len(pack) :]
            waves = [
                torch.from_numpy(np.require(clips[i], requirements=["C", "W"])).to(self.device)
                for i in pack
            ]
            yield from zip(pack, self._forward(waves), strict=True)

    def _scores(self, features: torch.Tensor) -> NDArray[np.float32]:
        """Class probabilities of features (…, dim)."""
        if self._head is None:
            return np.empty((*features.shape[:-1], 0), np.float32)
        logits = torch.nn.functional.linear(features, *self._head)
        return np.asarray(logits.softmax(dim=-1).cpu().numpy())


def english(label: str) -> str:
    """The stable English key of a class: ``生气/angry`` is ``angry``, ``<unk>`` ``unknown``."""
    key = label.rsplit("/", 1)[-1].strip().lower()
    return "unknown" if key == "<unk>" else key


def cpu_has_bfloat16() -> bool:
    """Whether the processor is known to multiply in bfloat16 (AVX512-BF16, AMX, Arm's BF16)."""
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
