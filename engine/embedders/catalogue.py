"""The models that are known: what they are, where they are, whether they give FunASR's numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from emotion_search.engine.audio.synthetic_voices import MANNERS, speak
from emotion_search.engine.embedders.emotion2vec.model import Emotion2vec
from emotion_search.engine.embedders.hub import cached_folder, resolve
from emotion_search.engine.embedders.quiet import undisturbed
from emotion_search.engine.settings import Settings
from emotion_search.index.database.coverage import Holding

_KNOWN = {
    "acoustic": (256, "eight classes"),
    "iic/emotion2vec_plus_large": (1024, "nine classes"),
    "iic/emotion2vec_plus_base": (768, "nine classes"),
    "iic/emotion2vec_plus_seed": (768, "nine classes"),
    "iic/emotion2vec_base": (768, "no scores"),
    "iic/emotion2vec_base_finetuned": (768, "nine classes"),
}
"""Dimension and description by name."""


@dataclass(frozen=True)
class KnownModel:
    """A model that is known.

    Attributes:
        place: ``built in``, the folder where it is, or ``not downloaded``.
        active: whether it serves the archive.
        fingerprint: of the one that the archive holds; None if it holds none of this name.
        embedded: clips of the archive with an embedding under it.
        clips: clips of the archive.
    """

    name: str
    dimension: int | None
    about: str
    place: str
    active: bool = False
    fingerprint: str | None = None
    embedded: int | None = None
    clips: int | None = None


def list_models(settings: Settings, holdings: Sequence[Holding]) -> list[KnownModel]:
    """The known models, then the archive's others. No network is asked."""
    listed = []
    for name, (dimension, about) in _KNOWN.items():
        if name == "acoustic":
            place = "built in"
        else:
            place = str(cached_folder(name, settings.hub) or "not downloaded")
        known = KnownModel(name, dimension, about, place)
        same = [one for one in holdings if one.model.name == name]
        listed += [_held(known, one) for one in same] or [known]
    for one in holdings:
        if one.model.name not in _KNOWN:
            name, classes = one.model.name, len(one.model.classes)
            about = f"{classes} classes" if classes else "no scores"
            place = name if Path(name).exists() else "not here"
            listed.append(_held(KnownModel(name, one.model.dimension, about, place), one))
    return listed


def _held(known: KnownModel, holding: Holding) -> KnownModel:
    return replace(
        known,
        active=holding.active,
        fingerprint=holding.model.fingerprint,
        embedded=holding.embedded,
        clips=holding.clips,
    )


@dataclass(frozen=True)
class Comparison:
    """How near our answers are to FunASR's.

    Attributes:
        cosine: the least, over the signals, between the two embeddings.
        difference: the largest between two scores.
    """

    cosine: float
    difference: float
    least_cosine: float = 0.999999
    most: float = 1e-5

    @property
    def agrees(self) -> bool:
        """Whether they are the same for all purposes."""
        return self.cosine >= self.least_cosine and self.difference <= self.most


def compare_with_funasr(name: str, settings: Settings) -> Comparison:
    """Embeds synthetic voices by this program and by ``funasr.AutoModel``, in float32.

    Raises:
        ModelUnavailableError: the model cannot be had or loaded.
    """
    folder = resolve(name, hub=settings.hub)
    ours = Emotion2vec(folder, name=name, device=settings.device)
    signals = [
        speak(manner, speaker=number, seed=0, seconds=0.5 + number)
        for number, manner in enumerate(MANNERS)
    ]
    answers = ours.embed(signals)
    with undisturbed():
        from funasr import AutoModel

        theirs = AutoModel(
            model=str(folder), disable_update=True, disable_pbar=True, device=str(ours.device)
        )
        cosines, differences = [], [0.0]
        for i, signal in enumerate(signals):
            (answer,) = theirs.generate(signal, granularity="utterance", extract_embedding=True)
            vector, other = answers.vectors[i].astype(np.float64), np.float64(answer["feats"])
            lengths = np.linalg.norm(vector) * np.linalg.norm(other)
            cosines.append(float(vector @ other / lengths))
            differences += np.abs(answers.scores[i] - np.array(answer["scores"])).tolist()
    return Comparison(min(cosines), max(differences))
