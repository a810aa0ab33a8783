"""Embedders by name."""

from __future__ import annotations

import logging
from pathlib import Path

from engine.embedders.base import Embedder
from engine.memory import bound_kernel_cache
from engine.settings import Settings

log = logging.getLogger(__name__)


def load_embedder(name: str, settings: Settings) -> Embedder:
    """The model called ``name``: ``acoustic``, weights that ``engine.training`` wrote
    (``….safetensors``), a checkpoint folder, or a hub id.

    Raises:
        ModelUnavailableError: it cannot be had here; names the cures.
    """
    if name == "acoustic" or name.endswith(".safetensors"):
        from engine.embedders.acoustic import WEIGHTS, Acoustic
        from engine.embedders.device import pick_device

        if settings.device != "auto" and pick_device(settings.device).type != "cpu":
            log.warning(
                "device %s has no effect: the model %s runs on the CPU", settings.device, name
            )
        bound_kernel_cache()
        return Acoustic(WEIGHTS if name == "acoustic" else Path(name), name=name)
    from engine.embedders.hub import resolve

    folder = resolve(name, hub=settings.hub, timeout=settings.hub_timeout)
    from engine.embedders.emotion2vec import Emotion2vec

    return Emotion2vec(folder, name=name, device=settings.device, precision=settings.precision)
