"""An audio encoder of transformers as an embedder: hidden states, pooled over time."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
import transformers
from torch import Tensor

from emotion_search.engine.audio.file import FRAME_HOP, SAMPLE_RATE, SHORTEST, Samples
from emotion_search.engine.embedders.base import BaseEmbedder, Floats, Frames, check
from emotion_search.engine.embedders.device import pick_device
from emotion_search.engine.embedders.huggingface.folder import (
    Wanted,
    descriptions,
    weight_files,
)
from emotion_search.engine.embedders.quiet import undisturbed
from emotion_search.index.errors import InvalidInputError, ModelUnavailableError, reason

VERSION = "1"
"""Raised whenever the same clip would get another vector by the same weights."""

LONGEST = 30.0
"""Seconds that go through the network at once: Whisper's window, and the memory of attention."""

_PIECE = int(LONGEST * SAMPLE_RATE)
_UNUSED = "masked_spec_embed"  # of training; some checkpoints lack it


class HuggingFaceEncoder(BaseEmbedder):
    """An ``Embedder`` over a folder of transformers: wav2vec 2.0, HuBERT, WavLM, Whisper's encoder
    and whatever else ``AutoModel`` makes of samples or spectra.

    A clip goes through alone; one beyond 30 s in equal pieces, whose vectors are averaged. Scores
    are those of the folder's classification head, if it has one for the mean of the last layer.

    Args:
        folder: as ``save_pretrained`` writes it, model and feature extractor.
        wanted: the layer and the pooling.
        name: what the user called it.
        device: ``auto``, ``cpu``, ``cuda``, …

    Raises:
        ModelUnavailableError: it is no audio encoder, wants to run code of its own, lacks weights.
    """

    def __init__(self, folder: Path, wanted: Wanted, *, name: str, device: str = "auto") -> None:
        self.name = name
        self.device = pick_device(device)
        self._wanted = wanted
        described = descriptions(folder)
        digest = hashlib.sha256(
            f"hf {VERSION} {wanted.layer} {wanted.pooling} {described}".encode()
        )
        try:
            for path in weight_files(folder):
                with path.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise ModelUnavailableError(f"{path} cannot be read ({reason(error)})") from error
        self.fingerprint = digest.hexdigest()
        self._extract, model = _load(folder, name)
        rate = getattr(self._extract, "sampling_rate", None)
        if not isinstance(rate, int):
            raise ModelUnavailableError(
                f"model {name} takes no audio (its sampling_rate is {rate})"
            )
        self._rate = rate
        self._encoder = _encoder_of(model, name).to(self.device)
        self._head: list[Any] = []
        self._mix: Tensor | None = None
        usual = wanted.layer is None and wanted.pooling == "mean"
        if usual and hasattr(model, "projector") and _gives_classes(model.config):
            self._head = [model.projector.to(self.device), model.classifier.to(self.device)]
            self.classes = _classes(model.config.id2label, name)
            if model.config.use_weighted_layer_sum:
                self._mix = model.layer_weights.softmax(dim=0).to(self.device)
        try:
            second, half = (self._states(np.zeros(n, np.float32)) for n in (SAMPLE_RATE, 8_000))
        except (TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise ModelUnavailableError(f"model {name} takes no audio ({error})") from error
        if not self._head and len(second) <= len(half):
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
        if self._rate != SAMPLE_RATE:
            piece = soxr.resample(piece, SAMPLE_RATE, self._rate)
            piece = np.pad(piece, (0, max(0, SHORTEST - len(piece))))
        inputs = self._extract(piece, sampling_rate=self._rate, return_tensors="pt")
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
                raise InvalidInputError(
                    f"model {self.name}: the last layer is {len(found.hidden_states) - 1}"
                )
        window = getattr(self._extract, "n_samples", 0)
        if len(piece) < window and not self._head:  # Whisper's is filled up, which its heads know
            states = states[:, : -(-states.shape[1] * len(piece) // window)]
        return states[0].float()


def _load(folder: Path, name: str) -> tuple[Any, Any]:
    """The feature extractor, and the model in evaluation mode."""
    try:
        with undisturbed():
            config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
            kind = (config.architectures or [""])[0]
            classifies = kind.endswith("Classification") and hasattr(transformers, kind)
            make = (
                transformers.AutoModelForAudioClassification
                if classifies
                else transformers.AutoModel
            )
            model, about = make.from_pretrained(
                folder,
                trust_remote_code=False,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are named below
            )
            extractors: Any = transformers.AutoFeatureExtractor
            extract = extractors.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:
        text = (str(error).strip() or repr(error)).splitlines()[0]
        if "trust_remote_code" in str(error):
            text = "it wants to run code of its own (trust_remote_code); not loaded"
        raise ModelUnavailableError(f"model {name} cannot be loaded: {text}") from error
    missing = [*about["missing_keys"], *(key for key, *_ in about["mismatched_keys"])]
    missing = [k for k in missing if _UNUSED not in k and not k.startswith("decoder.")]
    if missing:
        raise ModelUnavailableError(
            f"model {name}: weight {sorted(missing)[0]} is missing or of another shape"
        )
    return extract, model.float().eval().requires_grad_(requires_grad=False)


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
