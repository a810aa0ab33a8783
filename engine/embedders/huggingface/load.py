"""A folder of transformers as model and feature extractor, whole, without code of its own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import transformers

from emotion_search.engine.audio.file import SAMPLE_RATE, SHORTEST, Samples
from emotion_search.engine.embedders.huggingface.folder import (
    Wanted,
    check_modules,
    descriptions,
    weight_files,
)
from emotion_search.engine.embedders.quiet import undisturbed
from emotion_search.index.errors import ModelUnavailableError, reason

VERSION = "1"
"""Raised whenever the same clip would get another vector by the same weights."""

_UNUSED = "masked_spec_embed"  # of training; some checkpoints lack it


@dataclass(frozen=True, eq=False)
class Loaded:
    """What is in a folder.

    Attributes:
        name: what the user called it.
        fingerprint: of weights, configuration, layer and pooling.
        model: in evaluation mode, float32.
        extract: the feature extractor.
        rate: of the samples that it takes, in Hz.
    """

    folder: Path
    name: str
    fingerprint: str
    model: Any
    extract: Any
    rate: int

    def inputs(self, piece: Samples) -> Any:
        """What the model takes of samples at 16 kHz: a batch of one, by name."""
        if self.rate != SAMPLE_RATE:
            piece = soxr.resample(piece, SAMPLE_RATE, self.rate)
            piece = np.pad(piece, (0, max(0, SHORTEST - len(piece))))
        return self.extract(piece, sampling_rate=self.rate, return_tensors="pt")


def load_folder(folder: Path, wanted: Wanted, name: str) -> Loaded:
    """What is in a folder as ``save_pretrained`` writes it, model and feature extractor.

    Args:
        wanted: the layer and the pooling.
        name: what the user called it.

    Raises:
        ModelUnavailableError: it takes no audio, wants to run code of its own, lacks weights.
    """
    check_modules(folder, name)
    fingerprint = _fingerprint(folder, wanted)
    extract, model = _load(folder, name)
    rate = getattr(extract, "sampling_rate", None)
    if not isinstance(rate, int):
        raise ModelUnavailableError(f"model {name} takes no audio (its sampling_rate is {rate})")
    return Loaded(folder, name, fingerprint, model, extract, rate)


def _fingerprint(folder: Path, wanted: Wanted) -> str:
    described = descriptions(folder)
    digest = hashlib.sha256(f"hf {VERSION} {wanted.layer} {wanted.pooling} {described}".encode())
    try:
        for path in weight_files(folder):
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    except OSError as error:
        raise ModelUnavailableError(f"{path} cannot be read ({reason(error)})") from error
    return digest.hexdigest()


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
        text = reason(error)
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
