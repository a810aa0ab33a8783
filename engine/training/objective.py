"""Training losses: cross-entropy over cosines and supervised contrastive loss, across speakers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from emotion_search.engine.embedders.acoustic.model import SCALE
from emotion_search.engine.training.batches import Batch, Corpus

CLASSES = ("angry", "disgusted", "fearful", "happy", "neutral", "other", "sad", "surprised")
"""Those of emotion2vec+'s nine that labels exist for; all but ``unknown``."""

_OTHER = CLASSES.index("other")

_MEANING: Mapping[str, str] = {
    "anger": "angry",
    "disgust": "disgusted",
    "fear": "fearful",
    "distress": "fearful",
    "happiness": "happy",
    "amusement": "happy",
    "elation": "happy",
    "ecstasy": "happy",
    "triumph": "happy",
    "neutral": "neutral",
    "sadness": "sad",
    "disappointment": "sad",
    "surprise": "surprised",
    "surprise-negative": "surprised",
    "surprise-positive": "surprised",
}
"""Class by label; the classes' own names stand for themselves, all else is ``other``."""

_SMOOTHING = 0.1
_TEMPERATURE = 0.1
_CONTRAST = 0.5  # weight of the contrastive terms
_RARE = 0.2  # weight of the class other, which is many things


def class_of(label: str) -> int:
    """Index in ``CLASSES`` of what a corpus calls ``label``."""
    name = _MEANING.get(label, label)
    return CLASSES.index(name) if name in CLASSES else _OTHER


class Objective(nn.Module):
    """Cosine classifiers of the classes and of each corpus's own labels, and contrastive terms.

    Cross-entropy over scaled cosines (normalised softmax; Wang et al., ACM MM 2017) and
    supervised contrast (Khosla et al., NeurIPS 2020) in which clips of the same speaker are never
    pulled together, only apart.
    """

    def __init__(self, dimension: int, corpora: Mapping[str, Corpus]) -> None:
        super().__init__()
        self.classes = nn.Parameter(torch.randn(len(CLASSES), dimension))
        self.own = nn.ParameterDict(
            {
                name: nn.Parameter(torch.randn(len(corpus.names), dimension))
                for name, corpus in corpora.items()
            }
        )
        self._meanings = {
            name: torch.tensor([class_of(label) for label in corpus.names])
            for name, corpus in corpora.items()
        }
        self._weights = torch.ones(len(CLASSES))
        self._weights[_OTHER] = _RARE

    def forward(self, embeddings: Mapping[str, Tensor], batches: Mapping[str, Batch]) -> Tensor:
        """The loss, (), of embeddings (n, dimension) of a batch of each corpus."""
        loss = torch.zeros(())
        units, classes, keys, speakers = [], [], [], []
        for number, (name, batch) in enumerate(batches.items()):
            unit = functional.normalize(embeddings[name])
            loss = loss + functional.cross_entropy(
                SCALE * unit @ functional.normalize(self.own[name]).T,
                batch.labels,
                label_smoothing=_SMOOTHING,
            )
            units.append(unit)
            classes.append(self._meanings[name][batch.labels])
            keys.append(1000 * number + batch.labels)
            speakers.append(1_000_000 * number + batch.speakers)
        unit, meaning, speaker = torch.cat(units), torch.cat(classes), torch.cat(speakers)
        loss = loss + functional.cross_entropy(
            self.scores(unit), meaning, weight=self._weights, label_smoothing=_SMOOTHING
        )
        apart = torch.where(meaning == _OTHER, -1 - torch.arange(len(meaning)), meaning)
        contrast = _contrast(unit, torch.cat(keys), speaker) + _contrast(unit, apart, speaker)
        return loss + _CONTRAST * contrast

    def scores(self, unit: Tensor) -> Tensor:
        """Logits of ``CLASSES``, (n, classes), of L2-normalised embeddings."""
        return SCALE * unit @ functional.normalize(self.classes).T


def _contrast(unit: Tensor, keys: Tensor, speakers: Tensor) -> Tensor:
    """Supervised contrast whose positives have the same key and another speaker."""
    cosines = unit @ unit.T / _TEMPERATURE
    cosines = cosines.masked_fill(torch.eye(len(unit), dtype=torch.bool), -1e9)
    shares = functional.log_softmax(cosines, dim=1)
    positive = (keys[:, None] == keys[None]) & (speakers[:, None] != speakers[None])
    counts = positive.sum(dim=1)
    asked = counts > 0
    if not bool(asked.any()):
        return unit.new_zeros(())
    return -((shares * positive).sum(dim=1)[asked] / counts[asked]).mean()
