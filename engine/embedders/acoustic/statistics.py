"""The untrained part of the built-in model: standardised acoustic descriptors, reduced by PCA."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from emotion_search.engine.embedders.acoustic.network import DESCRIPTORS, descriptors

DIMENSION = 64
"""Length of its vectors."""

SHARE = 0.4
"""Their weight beside the network's."""

_LIMIT = 4.0  # deviations; beyond, a value is clipped


class Described(nn.Module):
    """Descriptors of a clip, standardised and reduced to their principal components.

    What a network learns from few speakers need not hold for other voices and languages; how loud,
    high, fast and bright a voice moves does. So these stand beside the network's vector.
    """

    mean: Tensor
    deviation: Tensor
    components: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(DESCRIPTORS))
        self.register_buffer("deviation", torch.ones(DESCRIPTORS))
        self.register_buffer("components", torch.zeros(DESCRIPTORS, DIMENSION))

    @classmethod
    def fitted(cls, rows: Tensor) -> Described:
        """The map for voices like these: ``rows`` are their descriptors, (n, ``DESCRIPTORS``)."""
        made = cls()
        made.mean.copy_(rows.mean(dim=0))
        made.deviation.copy_(rows.std(dim=0).clamp(min=1e-3))
        standard = made._standard(rows).double()
        _, directions = torch.linalg.eigh(standard.T @ standard)
        found = directions.flip(1)[:, :DIMENSION]
        signs = torch.sign(found.gather(0, found.abs().argmax(dim=0, keepdim=True)))
        made.components.copy_(found * signs)
        return made

    def forward(self, x: Tensor) -> Tensor:
        """Vectors of length ``SHARE``, (n, ``DIMENSION``), of features (n, rows, frames)."""
        return SHARE * functional.normalize(self._standard(descriptors(x)) @ self.components)

    def _standard(self, rows: Tensor) -> Tensor:
        return ((rows - self.mean) / self.deviation).clamp(-_LIMIT, _LIMIT)
