"""Base models for fine-tuning: protocol and registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from emotion_search.engine.audio.file import Samples
from emotion_search.engine.embedders.registry import family_of
from emotion_search.engine.finetune.checkpoint import CheckpointBase
from emotion_search.engine.finetune.examples import Rows
from emotion_search.engine.finetune.network import NetworkBase
from emotion_search.engine.settings import Settings
from emotion_search.index.errors import UnusableError


class Base(Protocol):
    """A model to be tuned.

    Attributes:
        fingerprint: hex sha256 of weights and configuration, as the archive knows it.
        classes: of its scores before; empty if it gives none.
        cosine: whether its head takes cosines (the built-in model's), else it is linear.
        most: layers that can be tuned at most, from the top.
        rate: learning rate that suits its layers.
        large: whether its operations are so large that threads within them pay.
        licence: terms of a tuned model, for its card; ``{name}`` stands for this model.
    """

    fingerprint: str
    classes: tuple[str, ...]
    cosine: bool
    most: int
    rate: float
    large: bool
    licence: str

    def encode(self, samples: Samples, layers: int) -> tuple[Tensor, Rows]:
        """The vector (dim,) that the head gets, on the CPU, and what the top ``layers`` get,
        float16 (rows, width), of a clip."""

    def head(self) -> tuple[Tensor, Tensor]:
        """Weight (classes, dim) and bias (classes,) of its own head, on the CPU."""

    def top(self, layers: int) -> nn.Module:
        """The layers that are tuned, their parameters ready to be; in place."""

    def vectors(self, some: Sequence[Rows], random: np.random.Generator | None) -> Tensor:
        """Vectors (n, dim), on the device, of the rows that ``encode`` gave; varied by ``random``
        in training."""

    def write(
        self,
        folder: Path,
        classes: Sequence[str],
        head: tuple[Tensor, Tensor],
        about: Mapping[str, Any],
    ) -> Path:
        """Write the model as it is now with a head of these classes into a folder, with ``about``
        of the tuning where the format has a place for it. Gives the path that ``--model`` takes.

        Raises:
            OSError: it cannot be written.
        """


BASES: Mapping[str, Callable[[Path, torch.device], Base]] = {
    "checkpoint": CheckpointBase,
    "network": NetworkBase,
}
"""By the name that a family of models gives; each takes the model's files and a device."""


def find_base(name: str, settings: Settings) -> Callable[[torch.device], Base]:
    """What opens the model to tune on a device; its files are there.

    Raises:
        InvalidInputError: models of its family cannot be fine-tuned.
        ModelUnavailableError: it cannot be had here.
    """
    family = family_of(name)
    if family.base is None:
        raise UnusableError(
            f"the model {name} cannot be fine-tuned: name acoustic, an emotion2vec model or weights"
            " tuned from one of these with --model"
        )
    return partial(BASES[family.base], family.files(name, settings))


def check_layers(base: Base, layers: int) -> None:
    """Refuse a number of layers that there are not.

    Raises:
        InvalidInputError: names how many there are.
    """
    if not 0 <= layers <= base.most:
        raise UnusableError(
            f"--layers {layers}: this model has {base.most} layers that can be tuned; 0 trains the"
            " head alone"
        )
