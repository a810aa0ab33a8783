"""Models of sound and text in one space (CLAP) as embedders: searched by words, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import transformers

from emotion_search.engine.audio.file import SAMPLE_RATE, Samples
from emotion_search.engine.embedders.base import BaseEmbedder, Floats
from emotion_search.engine.embedders.device import pick_device
from emotion_search.engine.embedders.huggingface.folder import TOKENS, Wanted
from emotion_search.engine.embedders.huggingface.load import Loaded
from emotion_search.engine.embedders.quiet import undisturbed
from emotion_search.index.errors import InvalidInputError, ModelUnavailableError, reason


class SpeechAndText(BaseEmbedder):
    """An ``Embedder`` over a model with ``get_audio_features`` and ``get_text_features``.

    A clip goes through alone, one beyond what its feature extractor takes at once (CLAP's would cut
    a stretch out at random) in equal pieces, whose vectors are averaged.

    Args:
        loaded: the folder, with a tokenizer.
        wanted: neither layer nor pooling.
        device: ``auto``, ``cpu``, ``cuda``, …

    Raises:
        InvalidInputError: a layer or a pooling is asked for.
        ModelUnavailableError: its tokenizer cannot be loaded, or it takes no audio.
    """

    def __init__(self, loaded: Loaded, wanted: Wanted, device: str = "auto") -> None:
        self.name, self.fingerprint = loaded.name, loaded.fingerprint
        if wanted.layer is not None or wanted.pooling != "mean":
            raise InvalidInputError(
                f"model {self.name} gives one vector in the space that it shares with texts: no"
                " layer and no pooling goes with it"
            )
        self.device = pick_device(device)
        self._loaded, self._model = loaded, loaded.model.to(self.device)
        self._piece = int(getattr(loaded.extract, "max_length_s", 30) * SAMPLE_RATE)
        if not any(any(loaded.folder.glob(pattern)) for pattern in TOKENS):
            raise ModelUnavailableError(f"model {self.name} lacks a tokenizer.json or vocab.json")
        try:
            with undisturbed():
                tokenizers: Any = transformers.AutoTokenizer
                self._tokens = tokenizers.from_pretrained(loaded.folder, trust_remote_code=False)
        except Exception as error:
            raise ModelUnavailableError(
                f"model {self.name}: its tokenizer cannot be loaded: {reason(error)}"
            ) from error
        places = getattr(self._model.config.text_config, "max_position_embeddings", 514)
        self._most = min(self._tokens.model_max_length, places - 2)  # RoBERTa's begin at 2
        try:
            self.dimension = len(self.vector(np.zeros(SAMPLE_RATE, np.float32)))
        except (TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise ModelUnavailableError(f"model {self.name} takes no audio ({error})") from error

    def vector(self, clip: Samples) -> Floats:
        """Embedding (dimension,) of a clip."""
        pieces = np.array_split(clip, -(-len(clip) // self._piece))
        with torch.inference_mode():
            rows = [
                self._model.get_audio_features(**self._loaded.inputs(one).to(self.device))
                for one in pieces
            ]
        mean: Floats = np.mean([row.pooler_output[0].cpu().numpy() for row in rows], axis=0)
        return mean

    def embed_text(self, texts: Sequence[str]) -> Floats:
        """Embeddings of texts: float32, (n, dimension).

        Raises:
            InvalidInputError: a text has more tokens than the model takes.
        """
        rows = np.empty((len(texts), self.dimension), np.float32)
        for row, text in zip(rows, texts, strict=True):
            tokens = self._tokens(text, return_tensors="pt").to(self.device)
            count = tokens["input_ids"].shape[1]
            if count > self._most:
                raise InvalidInputError(
                    f"the text is too long for {self.name}: {count} tokens, {self._most} at most"
                )
            with torch.inference_mode():
                row[:] = self._model.get_text_features(**tokens).pooler_output[0].cpu().numpy()
        return rows
