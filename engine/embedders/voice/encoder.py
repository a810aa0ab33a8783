"""The lower blocks of Whisper tiny's encoder, in torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from emotion_search.engine.embedders.voice.spectrum import BANDS

WIDTH = 384
POSITIONS = 400
"""Most frames (20 ms each) that can be told apart by where they stand."""

_HEADS = 6


class Encoder(nn.Module):
    """Two convolutions over time, positions, and blocks of self-attention (Radford et al., *Robust
    Speech Recognition via Large-Scale Weak Supervision*, 2022).

    Args:
        blocks: how many.
    """

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(BANDS, WIDTH, 3, padding=1)
        self.conv2 = nn.Conv1d(WIDTH, WIDTH, 3, stride=2, padding=1)
        self.positions = nn.Parameter(torch.zeros(POSITIONS, WIDTH))
        self.blocks = nn.ModuleList(Block() for _ in range(blocks))

    def stem(self, spectra: Tensor) -> Tensor:
        """What enters the blocks, (n, frames, ``WIDTH``), of spectra (n, ``BANDS``, 2 * frames)."""
        x = functional.gelu(self.conv2(functional.gelu(self.conv1(spectra)))).transpose(1, 2)
        return x + self.positions[: x.shape[1]]


class Block(nn.Module):
    """Self-attention and a layer of units, each normalised before and added to what comes in."""

    def __init__(self) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(WIDTH)
        self.query = nn.Linear(WIDTH, WIDTH)
        self.key = nn.Linear(WIDTH, WIDTH, bias=False)
        self.value = nn.Linear(WIDTH, WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.units_norm = nn.LayerNorm(WIDTH)
        self.units = nn.Linear(WIDTH, 4 * WIDTH)
        self.back = nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor, attended: Tensor | None = None, dropout: float = 0.0) -> Tensor:
        """Frames (n, frames, ``WIDTH``) from frames.

        Args:
            attended: bool, (n, 1, 1, frames): which frames are attended to; all if left out.
            dropout: share of what is added that is left out, in training.
        """
        y = self.attention_norm(x)
        query, key, value = (
            part(y).unflatten(2, (_HEADS, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        likeness = query @ key.transpose(2, 3) * (WIDTH // _HEADS) ** -0.5
        if attended is not None:
            likeness = likeness.masked_fill(~attended, -torch.inf)
        seen = functional.softmax(likeness, dim=3).to(value.dtype) @ value
        x = x + functional.dropout(self.out(seen.transpose(1, 2).flatten(2)), dropout)
        y = self.back(functional.gelu(self.units(self.units_norm(x))))
        return x + functional.dropout(y, dropout)
