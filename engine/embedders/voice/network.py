"""The network of ``voice``: log-mel spectra to an embedding of the emotion, in torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from emotion_search.engine.embedders.voice.encoder import WIDTH, Encoder

BLOCKS = 3
"""Blocks of the encoder."""

KEPT = 1
"""How many of them are as Whisper has them; those above are tuned, the convolutions are not."""

DIMENSION = 128
"""Length of its vectors."""

_STATISTICS = 2 * WIDTH * (BLOCKS - KEPT)
_PAUSE = 1.0  # quarter decades of power under the loudest band: 40 dB, from which nobody speaks
_LIMIT = 5.0  # deviations; beyond, a statistic is clipped


class EmotionNetwork(nn.Module):
    """Blocks of an encoder, statistics of what each tuned one gives, and a linear map.

    The statistics are mean and deviation over the frames that hold speech, standardised by those
    of training.
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder(BLOCKS)
        self.standard = nn.BatchNorm1d(_STATISTICS, affine=False, momentum=0.02)
        self.embedding = nn.Linear(_STATISTICS, DIMENSION)

    def forward(self, spectra: Tensor, known: Tensor | None = None) -> Tensor:
        """Embeddings, float32, (n, ``DIMENSION``), of spectra (n, bands, frames).

        Args:
            known: bool, (n, frames): which frames are the clip, not padding; all if left out.
        """
        return self.embed(self.statistics(spectra, known))

    def statistics(self, spectra: Tensor, known: Tensor | None = None) -> Tensor:
        """What ``embed`` gets: float32, (n, statistics)."""
        within = None if known is None else known[:, None, None, ::2]
        with torch.no_grad():
            speech = _speech(spectra, known)[..., None].to(torch.float32)
            x = self.encoder.stem(spectra)
            for block in self.encoder.blocks[:KEPT]:
                x = block(x, within)
        statistics = []
        for block in self.encoder.blocks[KEPT:]:
            x = block(x, within, 0.1 if self.training else 0.0)
            statistics += _statistics(x.float(), speech)
        return torch.cat(statistics, dim=1)

    def embed(self, statistics: Tensor) -> Tensor:
        """Embeddings, float32, (n, ``DIMENSION``)."""
        joined = self.standard(statistics).clamp(-_LIMIT, _LIMIT)
        joined = functional.dropout(joined, 0.3, self.training)
        return functional.linear(joined, self.embedding.weight, self.embedding.bias)


def _speech(spectra: Tensor, known: Tensor | None) -> Tensor:
    """Which frames of the encoder, half as many, hold speech: bool, (n, frames / 2)."""
    loudest = spectra.amax(dim=1)
    if known is not None:
        loudest = loudest.masked_fill(~known, -torch.inf)
    speech = loudest > loudest.amax(dim=1, keepdim=True) - _PAUSE
    after = torch.cat([speech[:, 1:], torch.zeros_like(speech[:, :1])], dim=1)
    return speech[:, ::2] | after[:, ::2]


def _statistics(x: Tensor, weights: Tensor) -> list[Tensor]:
    """Mean and deviation of frames (n, frames, width): each (n, width)."""
    count = weights.sum(dim=1)
    mean = (x * weights).sum(dim=1) / count
    spread = ((x - mean[:, None]).square() * weights).sum(dim=1) / count
    return [mean, (spread + 1e-5).sqrt()]
