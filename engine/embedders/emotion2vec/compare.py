"""Whether an emotion2vec model gives FunASR's numbers here, and which precision is the fastest."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emotion_search.engine.audio.samples import SAMPLE_RATE, Samples
from emotion_search.engine.audio.synthetic_voices import MANNERS, speak
from emotion_search.engine.embedders.emotion2vec.model import PRECISIONS, Emotion2vec
from emotion_search.engine.embedders.hub import resolve
from emotion_search.engine.embedders.quiet import undisturbed
from emotion_search.engine.settings import Settings
from emotion_search.index.vectors.arrays import Vectors, normalise


@dataclass(frozen=True)
class Comparison:
    """How near this program's embeddings and scores are to FunASR's.

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


@dataclass(frozen=True, eq=False)
class Measured:
    """A model in one precision on this machine: its fingerprint, the seconds of audio that it
    embeds in a second, and what it makes of the clips, float32 (n, dim), rows L2-normalised."""

    fingerprint: str
    rate: float
    vectors: Vectors


def measure_precisions(
    name: str, settings: Settings, clips: Sequence[Samples]
) -> dict[str, Measured]:
    """Embeds clips in each precision, by its name.

    Raises:
        ModelUnavailableError: the model cannot be had or loaded.
    """
    folder, found = resolve(name, hub=settings.hub), {}
    seconds = sum(map(len, clips)) / SAMPLE_RATE
    for precision in PRECISIONS:
        model = Emotion2vec(folder, name=name, device=settings.device, precision=precision)
        model.embed(clips)  # what is done once a length
        began = time.perf_counter()
        vectors = model.embed(clips).vectors
        took = time.perf_counter() - began
        found[precision] = Measured(model.fingerprint, seconds / took, normalise(vectors))
    return found
