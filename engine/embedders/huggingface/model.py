"""An audio encoder of transformers as an embedder: hidden states, pooled over time."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from emotion_search.engine.audio.file import FRAME_HOP, SAMPLE_RATE, SHORTEST, Samples
from emotion_search.engine.embedders.base import BaseEmbedder, Floats, Frames, check
from emotion_search.engine.embedders.device import pick_device
from emotion_search.engine.embedders.huggingface.affect import affect_head
from emotion_search.engine.embedders.huggingface.folder import Wanted
from emotion_search.engine.embedders.huggingface.load import Loaded
from emotion_search.index.errors import ModelUnavailableError, UnusableError

LONGEST = 30.0
"""Seconds that go through the network at once: Whisper's window, and the memory of attention."""

_PIECE = int(LONGEST * SAMPLE_RATE)


class HuggingFaceEncoder(BaseEmbedder):
    """An ``Embedder`` over a folder of transformers: wav2vec 2.0, HuBERT, WavLM, Whisper's encoder
    and whatever else ``AutoModel`` makes of samples or spectra.

    A clip goes through alone; one beyond 30 s in equal pieces, whose vectors are averaged. Scores
    are those of the folder's classification head, if it has one for the mean of the last layer.

    Args:
        loaded: the folder.
        wanted: the layer and the pooling.
        device: ``auto``, ``cpu``, ``cuda``, …

    Raises:
        ModelUnavailableError: it is no audio encoder.
    """

    def __init__(self, loaded: Loaded, wanted: Wanted, device: str = "auto") -> None:
        self.name, self.fingerprint = loaded.name, loaded.fingerprint
        self.device = pick_device(device)
        self._wanted, self._loaded = wanted, loaded
        model, name = loaded.model, loaded.name
        self._encoder = _encoder_of(model, name).to(self.device)
        self._head: list[Any] = []
        self._mix: Tensor | None = None
        usual = wanted.layer is None and wanted.pooling == "mean"
        self._affect = affect_head(loaded) if usual else None
        if self._affect is not None:
            self._affect.to(self.device)
        elif usual and hasattr(model, "projector") and _gives_classes(model.config):
            self._head = [model.projector.to(self.device), model.classifier.to(self.device)]
            self.classes = _classes(model.config.id2label, name)
        self._by_head = bool(self._head or (self._affect and hasattr(model, "projector")))
        if self._by_head and model.config.use_weighted_layer_sum:
            self._mix = model.layer_weights.softmax(dim=0).to(self.device)
        try:
            second, half = (self._states(np.zeros(n, np.float32)) for n in (SAMPLE_RATE, 8_000))
        except (TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise ModelUnavailableError(f"model {name} takes no audio ({error})") from error
        if not self._by_head and len(second) <= len(half):
            raise ModelUnavailableError(f"model {name} has no frames in time that can be pooled")
        self.dimension = len(self._pool(second))

    def vector(self, clip: Samples) -> Floats:
        """Embedding (dimension,) of a clip."""
        pieces = np.array_split(clip, -(-len(clip) // _PIECE))
        mean: Floats = np.mean([self._pool(self._states(one)) for one in pieces], axis=0)
        return mean

    def scores(self, vectors: Floats, centre: Floats | None = None) -> Floats:
        """Class scores of embeddings, (n, classes), by the folder's own head, which is linear."""
        if not self._head:
            return super().scores(vectors)
        with torch.inference_mode():
            x = torch.tensor(vectors, dtype=torch.float32, device=self.device)
            for layer in self._head:
                x = layer(x)
            return np.asarray(x.softmax(dim=1).cpu().numpy())

    def affect(self, vectors: Floats) -> Floats | None:
        """Valence, arousal and dominance of embeddings, (n, 3), by the folder's own head."""
        if self._affect is None:
            return None
        with torch.inference_mode():
            x = torch.tensor(vectors, dtype=torch.float32, device=self.device)
            return np.asarray(self._affect(x).cpu().numpy())

    def frames(self, clip: Samples) -> Frames:
        """Embeddings of frames, if the model has one every 20 ms as wav2vec 2.0 does.

        Raises:
            AudioError: the clip cannot be embedded.
            InvalidInputError: its frames are others, or pooling is not by the mean.
        """
        check([clip])
        states = self._states(clip)
        if self._wanted.pooling != "mean" or len(states) != (len(clip) - SHORTEST) // FRAME_HOP + 1:
            return super().frames(clip)
        vectors = states.cpu().numpy()
        return Frames(vectors, self.scores(vectors))

    def _pool(self, states: Tensor) -> Floats:
        mean = states.mean(dim=0)
        if self._wanted.pooling == "mean+std":
            mean = torch.cat([mean, states.std(dim=0, correction=0)])
        return np.asarray(mean.cpu().numpy())

    def _states(self, piece: Samples) -> Tensor:
        """Hidden states (frames, width) of the layer in question."""
        inputs = self._loaded.inputs(piece)
        layer = self._wanted.layer
        with torch.inference_mode():
            found = self._encoder(
                **inputs.to(self.device),
                output_hidden_states=layer is not None or self._mix is not None,
            )
            if self._mix is not None:
                states = torch.einsum("l,lbtw->btw", self._mix, torch.stack(found.hidden_states))
            elif layer is None:
                states = found.last_hidden_state
            elif layer < len(found.hidden_states):
                states = found.hidden_states[layer]
            else:
                raise UnusableError(
                    f"model {self.name}: the last layer is {len(found.hidden_states) - 1}"
                )
        window = getattr(self._loaded.extract, "n_samples", 0) * SAMPLE_RATE // self._loaded.rate
        if (
            len(piece) < window and not self._by_head
        ):  # Whisper's is filled up, which its heads know
            states = states[:, : -(-states.shape[1] * len(piece) // window)]
        return states[0].float()


def _encoder_of(model: Any, name: str) -> Any:
    """The part of a model that makes hidden states of audio."""
    whole = model.encoder if model.config.is_encoder_decoder else model.base_model
    if whole.main_input_name not in ("input_values", "input_features"):
        raise ModelUnavailableError(f"model {name} is no audio encoder")
    return whole


def _gives_classes(config: Any) -> bool:
    """Whether its head's outputs are one class of several, not numbers or several at once."""
    return config.num_labels > 1 and config.problem_type in (None, "single_label_classification")


def _classes(labels: dict[int, str], name: str) -> tuple[str, ...]:
    """Names of the classes of a head, in order."""
    if sorted(labels) != [*range(len(labels))] or not all(
        isinstance(s, str) for s in labels.values()
    ):
        raise ModelUnavailableError(
            f"model {name}: id2label of its config.json gives no names to classes 0, 1, …"
        )
    return tuple(labels[i].strip().lower() for i in range(len(labels)))
