"""The built-in model ``voice`` as a module that ONNX can express: samples to vector and scores."""

from __future__ import annotations

from torch import Tensor, nn

from emotion_search.engine.embedders.voice.model import Voice
from emotion_search.engine.embedders.voice.network import DIMENSION


class VoiceGraph(nn.Module):
    """What ``Voice`` computes of a clip of 45 ms to 8 s.

    Args:
        model: with the weights; it stays as it is.
    """

    def __init__(self, model: Voice) -> None:
        super().__init__()
        self.parts = nn.ModuleList([model.network, model.beside.network, model.beside.described])
        self._model = model

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Vector (1, dimension) and scores (1, classes) of samples: float32, (1, n)."""
        vector = self._model.embedding(samples[0])[None]
        return vector, self._model.probabilities(vector[:, -DIMENSION:])
