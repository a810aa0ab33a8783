"""Fine-tuning of the built-in network: which layers are tuned, and how its weights are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from emotion_search.engine.audio.file import Samples
from emotion_search.engine.embedders.acoustic.features import CHANNELS, features
from emotion_search.engine.embedders.acoustic.model import (
    fingerprint_of,
    load_modules,
    read_weights,
    write_weights,
)
from emotion_search.engine.finetune.examples import Rows
from emotion_search.engine.finetune.vary import vary
from emotion_search.engine.training.batches import length


class NetworkBase:
    """The built-in network. Its layers, from the top: pooling and embedding, the residual blocks,
    the first convolutions."""

    cosine = True
    rate = 5e-5
    large = False
    licence = (
        "Derived from `{name}`. The weights that ship with emotion-search are under the Apache"
        " License 2.0; weights of your own have the terms that you give them. The labels and"
        " recordings that it was tuned on may have terms of their own."
    )

    def __init__(self, weights: Path, device: torch.device) -> None:
        self._about, tensors = read_weights(weights)
        self.fingerprint = fingerprint_of(weights)
        self._network, self._described = load_modules(weights, self._about, tensors)
        self._network.requires_grad_(requires_grad=False).to(device)
        self._prototypes = tensors["classes"]
        self._device = device
        self.classes = tuple(self._about["classes"])
        network = self._network
        self._groups: list[list[nn.Module]] = [
            [network.embedding, network.described, network.pooled, network.attention],
            *([block] for block in reversed(network.blocks)),
            [network.join, network.spectral, network.prosodic],
        ]
        self.most = len(self._groups)

    def encode(self, samples: Samples, layers: int) -> tuple[Tensor, Rows]:
        """See ``Base``; the rows are frames of features."""
        with torch.inference_mode():
            inputs = features(torch.tensor(samples))
            vector = self._network(inputs[None].to(self._device))[0].cpu()
        return vector, inputs.T.half().numpy() if layers else np.empty((0, 0), np.float16)

    def head(self) -> tuple[Tensor, Tensor]:
        """See ``Base``; no bias."""
        return self._prototypes, torch.zeros(len(self.classes))

    def top(self, layers: int) -> nn.Module:
        """See ``Base``. Batch norms keep the statistics that they have: few clips have others."""
        chosen = nn.ModuleList([part for group in self._groups[:layers] for part in group])
        return chosen.requires_grad_()

    def vectors(self, some: Sequence[Rows], random: np.random.Generator | None) -> Tensor:
        """See ``Base``. In training all clips get one length, and are varied as when the shipped
        weights were trained."""
        self._network.training = random is not None  # for the dropout alone
        if random is None:
            each = [
                torch.from_numpy(one.astype(np.float32).T.reshape(1, CHANNELS, -1)) for one in some
            ]
            return torch.cat([self._network(one.to(self._device)) for one in each])
        frames = length(random)
        batch = np.stack([vary(one.astype(np.float32), frames, random).T for one in some])
        return self._network(torch.from_numpy(batch).to(self._device))  # type: ignore[no-any-return]

    def write(
        self,
        folder: Path,
        classes: Sequence[str],
        head: tuple[Tensor, Tensor],
        about: Mapping[str, Any],
    ) -> Path:
        """A file of weights, ``model.safetensors``, with a vector of each class; see ``Base``."""
        kept = {
            "shape": self._about["shape"],
            "classes": list(classes),
            "about": {**self._about.get("about", {}), "tuned": dict(about)},
        }
        path = folder / "model.safetensors"
        write_weights(path, self._network, self._described, head[0], kept)
        return path
