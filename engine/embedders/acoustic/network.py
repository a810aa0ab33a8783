"""The built-in network: features of a clip to an embedding, in torch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from emotion_search.engine.embedders.acoustic.features import CHANNELS, MELS

_DROPOUT = 0.1  # of what the embedding is made from, in training


@dataclass(frozen=True)
class Shape:
    """Sizes of a ``VoiceNetwork``.

    Attributes:
        width: channels of the body.
        dilations: of its residual blocks, in order.
        dimension: length of the embedding.
    """

    width: int = 192
    dilations: tuple[int, ...] = (1, 2, 4, 1, 2, 4)
    dimension: int = 192


class VoiceNetwork(nn.Module):
    """A convolutional network over log-mel, pitch and energy with attentive statistics pooling.

    Two convolutions over frequency and time quarter the frame rate and the bands; residual
    blocks of dilated convolutions over time follow; the mean and deviation over time, weighted
    by attention for each channel (Okabe et al., Interspeech 2018), become the embedding.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(CHANNELS, 1))
        self.register_buffer("deviation", torch.ones(CHANNELS, 1))
        self.spectral = nn.Sequential(
            nn.Conv2d(1, 32, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 48, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(48),
            nn.ReLU(),
        )
        self.prosodic = nn.Sequential(
            nn.Conv1d(CHANNELS - MELS, 64, 9, stride=4, padding=4, bias=False),
            nn.BatchNorm1d(64),
            nn.ReLU(),
        )
        self.join = nn.Sequential(
            nn.Conv1d(48 * MELS // 4 + 64, shape.width, 1, bias=False),
            nn.BatchNorm1d(shape.width),
            nn.ReLU(),
        )
        self.blocks = nn.ModuleList(_Block(shape.width, d) for d in shape.dilations)
        self.attention = nn.Sequential(
            nn.Conv1d(shape.width, 64, 1), nn.Tanh(), nn.Conv1d(64, shape.width, 1)
        )
        self.pooled = nn.BatchNorm1d(2 * shape.width)
        self.described = nn.BatchNorm1d(DESCRIPTORS)
        self.embedding = nn.Linear(2 * shape.width + DESCRIPTORS, shape.dimension)

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings, float32, (n, dimension), of features, (n, ``CHANNELS``, frames)."""
        pooled = self.pooled(self.pool(self.encode(x)))
        described = self.described(descriptors(x))
        joined = torch.cat([pooled, described.clamp(-4, 4)], dim=1)
        joined = functional.dropout(joined, _DROPOUT, self.training)
        return functional.linear(joined, self.embedding.weight, self.embedding.bias)

    def encode(self, x: Tensor) -> Tensor:
        """Frames of the body, (n, width, (frames + 3) // 4), of features."""
        x = (x - self.mean) / self.deviation
        spectral = self.spectral(x[:, None, :MELS]).flatten(1, 2)
        x = self.join(torch.cat([spectral, self.prosodic(x[:, MELS:])], dim=1))
        for block in self.blocks:
            x = block(x)
        return x

    def pool(self, x: Tensor) -> Tensor:
        """Weighted mean and deviation of the frames of the body, (n, 2 * width)."""
        weights = functional.softmax(self.attention(x), dim=2)
        mean = (x * weights).sum(dim=2)
        deviation = ((x * x * weights).sum(dim=2) - mean * mean).clamp(min=1e-5).sqrt()
        return torch.cat([mean, deviation], dim=1)


class _Block(nn.Module):
    """Two convolutions over time with a gate for each channel, added to what comes in."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.first_norm = nn.BatchNorm1d(width)
        self.second = nn.Conv1d(width, width, 1, bias=False)
        self.second_norm = nn.BatchNorm1d(width)
        self.gate = nn.Sequential(
            nn.Linear(width, width // 4), nn.ReLU(), nn.Linear(width // 4, width), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.first_norm(self.first(x)))
        y = self.second_norm(self.second(y))
        return functional.relu(x + y * self.gate(y.mean(dim=2))[:, :, None])


_ACTIVE = 8.0  # nats under the loudest frame (35 dB) from which a frame counts as a pause
_QUANTILES = (0.1, 0.5, 0.9)

DESCRIPTORS = 2 * MELS + MELS // 2 + 2 + 3 + 2 + 4
"""Length of ``descriptors``."""


def descriptors(x: Tensor) -> Tensor:
    """Statistics of features over a clip, (n, ``DESCRIPTORS``), after the kinds of eGeMAPS (Eyben
    et al., IEEE Trans. Affective Computing 7(2), 2016): of the spectrum, energy, voice and pitch.
    """
    mel, energy, strength = x[:, :MELS], x[:, MELS], x[:, MELS + 1]
    within, above = x[:, MELS + 2], x[:, MELS + 3]
    active = (energy > energy.amax(dim=1, keepdim=True) - _ACTIVE).to(x.dtype)
    voiced = (strength > 0.5).to(x.dtype)
    mel_mean = _mean(mel, active[:, None])
    mel_deviation = _deviation(mel, active[:, None])
    change = (mel[:, :, 2:] - mel[:, :, :-2]).abs() if x.shape[2] > 2 else torch.zeros_like(mel)
    steps = change.mean(dim=2).reshape(-1, MELS // 2, 2).mean(dim=2)
    moves = (energy[:, 1:] - energy[:, :-1]).abs() if x.shape[2] > 1 else torch.zeros_like(energy)
    spread = _quantiles(energy)
    spread = spread - energy.amax(dim=1, keepdim=True)
    together = voiced[:, 1:] * voiced[:, :-1]
    glide = (within[:, 1:] - within[:, :-1]).abs().clamp(max=0.25)
    rows = [
        mel_mean,
        mel_deviation,
        steps,
        torch.stack([active.mean(dim=1), moves.mean(dim=1)], dim=1),
        spread,
        torch.stack([voiced.mean(dim=1), _mean(strength, voiced)], dim=1),
        torch.stack(
            [
                _mean(above, voiced),
                _deviation(within, voiced),
                _mean(within, voiced),
                _mean(glide, together) if x.shape[2] > 1 else torch.zeros_like(above[:, 0]),
            ],
            dim=1,
        ),
    ]
    return torch.cat(rows, dim=1)


def _quantiles(x: Tensor) -> Tensor:
    """As ``torch.quantile(x, …, dim=1)``, which ONNX has not: (n, quantiles)."""
    ordered, last = x.sort(dim=1).values, x.shape[1] - 1
    rank = torch.tensor(_QUANTILES) * last
    below = rank.long()
    above = (below + 1).clamp(max=last)
    return torch.lerp(ordered[:, below], ordered[:, above], rank - below)


def _mean(x: Tensor, weights: Tensor) -> Tensor:
    return (x * weights).sum(dim=-1) / weights.sum(dim=-1).clamp(min=1.0)


def _deviation(x: Tensor, weights: Tensor) -> Tensor:
    middle = _mean(x, weights)[..., None]
    return (_mean((x - middle).square(), weights) + 1e-5).sqrt()
