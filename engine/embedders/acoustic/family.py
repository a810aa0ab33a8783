"""The built-in model ``acoustic`` and weights of its kind (``.safetensors``) as a family."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from emotion_search.engine.embedders.base import Embedder
from emotion_search.engine.embedders.family import Family
from emotion_search.engine.machine.memory import bound_kernel_cache
from emotion_search.engine.settings import Settings

log = logging.getLogger(__name__)


class AcousticFamily(Family):
    """See ``Family``."""

    built_in = frozenset({"acoustic"})
    known: Mapping[str, tuple[int | None, str]] = {"acoustic": (256, "eight classes")}
    adapts = True
    base: str | None = "network"
    suffix = ".safetensors"

    def licence(self, name: str, settings: Settings) -> str | None:
        """See ``Family``."""
        return "Apache-2.0" if name in self.built_in else None

    def answers(self, name: str) -> bool:
        """See ``Family``."""
        return name in self.built_in or name.endswith(self.suffix)

    def files(self, name: str, settings: Settings) -> Path:
        """The file of weights."""
        return self._model()[1] if name in self.built_in else Path(name).expanduser()

    def load(self, name: str, settings: Settings) -> Embedder:
        """See ``Family``; runs on the CPU whatever device the settings name."""
        from emotion_search.engine.embedders.device import pick_device

        if settings.device != "auto" and pick_device(settings.device).type != "cpu":
            log.warning(
                "device %s has no effect: the model %s runs on the CPU", settings.device, name
            )
        bound_kernel_cache()
        make, _ = self._model()
        return make(self.files(name, settings), name=name)

    def _model(self) -> tuple[Callable[..., Embedder], Path]:
        """What is made from a file of weights, and the one that ships."""
        from emotion_search.engine.embedders.acoustic.model import WEIGHTS, Acoustic

        return Acoustic, WEIGHTS
