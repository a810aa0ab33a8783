"""Training losses: cross-entropy over cosines, and supervised contrast across speakers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from emotion_search.engine.embedders.voice.model import SCALE
from emotion_search.engine.training.batches import Batch, Corpus
from emotion_search.index.database.emotion_names import common

CLASSES = ("angry", "disgusted", "fearful", "happy", "neutral", "other", "sad", "surprised")
"""Those of emotion2vec+'s nine that labels exist for; all but ``unknown``."""

_OTHER = CLASSES.index("other")

_MEANING = {
    "distress": "fearful",
    "amusement": "happy",
    "elation": "happy",
    "ecstasy": "happy",
    "triumph": "happy",
    "disappointment": "sad",
    "surprise-negative": "surprised",
    "surprise-positive": "surprised",
}
"""Class by label, where it is no other name of the same emotion; all else is ``other``."""

_SMOOTHING = 0.1
_TEMPERATURE = 0.1
_CONTRAST = 0.5  # weight of each contrastive term
_RARE = 0.3  # weight of the class other, which is many things
_BESIDE = 0.5  # weight of the own labels of clips that are no speech
_CONFOUNDED = 1.4  # added to what tells emotions apart that share a speaker or a sentence


def class_of(label: str) -> int:
    """Index in ``CLASSES`` of what a corpus calls ``label``."""
    name = _MEANING.get(label) or common(label)
    return CLASSES.index(name) if name in CLASSES else _OTHER


def has_class(label: str) -> bool:
    """Whether what a corpus calls ``label`` is one of ``CLASSES`` but ``other``."""
    return class_of(label) != _OTHER


class Objective(nn.Module):
    """Cosine classifiers of the classes and of each corpus's own labels, and contrastive terms.

    Cross-entropy over scaled cosines (normalised softmax; Wang et al., ACM MM 2017). Corpora whose
    sentences are known add supervised contrast (Khosla et al., NeurIPS 2020), of embeddings as they
    are and less their speaker's mean. Clips of one speaker or one sentence are never pulled
    together in it; where their emotions differ they are pushed apart harder than others.
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
        self._spoken = {
            name: all(clip.text for clip in corpus.clips) for name, corpus in corpora.items()
        }
        self._weights = torch.ones(len(CLASSES))
        self._weights[_OTHER] = _RARE

    def forward(self, embeddings: Mapping[str, Tensor], batches: Mapping[str, Batch]) -> Tensor:
        """The loss, (), of embeddings (n, dimension) of a batch of each corpus."""
        loss = torch.zeros(())
        units, classes = [], []
        for name, batch in batches.items():
            unit = functional.normalize(embeddings[name])
            own = functional.cross_entropy(
                SCALE * unit @ functional.normalize(self.own[name]).T,
                batch.labels,
                label_smoothing=_SMOOTHING,
            )
            loss = loss + (own if self._spoken[name] else _BESIDE * own)
            if self._spoken[name]:
                plain = _contrast(unit, batch)
                loss = loss + _CONTRAST * (plain + _contrast(_own_way(unit, batch), batch))
            units.append(unit)
            classes.append(self._meanings[name][batch.labels])
        return loss + functional.cross_entropy(
            self.scores(torch.cat(units)),
            torch.cat(classes),
            weight=self._weights,
            label_smoothing=_SMOOTHING,
        )

    def scores(self, unit: Tensor) -> Tensor:
        """Logits of ``CLASSES``, (n, classes), of L2-normalised embeddings."""
        return SCALE * unit @ functional.normalize(self.classes).T


def _own_way(unit: Tensor, batch: Batch) -> Tensor:
    """Embeddings less the mean of their speaker in the batch, L2-normalised."""
    mine = (batch.speakers[:, None] == batch.speakers).to(unit.dtype)
    return functional.normalize(unit - mine @ unit / mine.sum(dim=1, keepdim=True), eps=1e-3)


def _contrast(unit: Tensor, batch: Batch) -> Tensor:
    """Supervised contrast whose positives have the same label, another speaker and sentence."""
    alike, mine, same_text = (
        of[:, None] == of[None] for of in (batch.labels, batch.speakers, batch.texts)
    )
    cosines = unit @ unit.T / _TEMPERATURE + _CONFOUNDED * (~alike & (mine | same_text))
    cosines = cosines.masked_fill(torch.eye(len(unit), dtype=torch.bool), -1e9)
    shares = functional.log_softmax(cosines, dim=1)
    positive = alike & ~mine & ~same_text
    counts = positive.sum(dim=1)
    asked = counts > 0
    if not bool(asked.any()):
        return unit.new_zeros(())
    return -((shares * positive).sum(dim=1)[asked] / counts[asked]).mean()
