"""Embedders by name."""

from __future__ import annotations

import logging
from pathlib import Path

from emotion_search.engine.embedders.base import Embedder
from emotion_search.engine.embedders.memory import bound_kernel_cache
from emotion_search.engine.settings import Settings

log = logging.getLogger(__name__)


def load_embedder(name: str, settings: Settings) -> Embedder:
    """The model called ``name``: ``acoustic``, weights that ``engine.training`` wrote
    (``….safetensors``), a checkpoint folder, or a hub id.

    Raises:
        ModelUnavailableError: it cannot be had here; names the cures.
    """
    if name == "acoustic" or name.endswith(".safetensors"):
        from emotion_search.engine.embedders.acoustic.model import WEIGHTS, Acoustic
        from emotion_search.engine.embedders.device import pick_device

        if settings.device != "auto" and pick_device(settings.device).type != "cpu":
            log.warning(
                "device %s has no effect: the model %s runs on the CPU", settings.device, name
            )
        bound_kernel_cache()
        return Acoustic(WEIGHTS if name == "acoustic" else Path(name), name=name)
    from emotion_search.engine.embedders.hub import resolve

    folder = resolve(name, hub=settings.hub)
    from emotion_search.engine.embedders.emotion2vec.model import Emotion2vec

    return Emotion2vec(folder, name=name, device=settings.device, precision=settings.precision)
