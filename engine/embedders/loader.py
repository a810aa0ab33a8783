"""Embedders by name."""

from __future__ import annotations

from pathlib import Path

from engine.embedders.base import Embedder
from engine.memory import bound_kernel_cache
from engine.settings import Settings


def load_embedder(name: str, settings: Settings) -> Embedder:
    """The model called ``name``: ``acoustic``, weights that ``engine.training`` wrote
    (``….safetensors``), a checkpoint folder, or a hub id.

    Raises:
        ModelUnavailableError: it cannot be had here; names the cures.
    """
    if name == "acoustic":
        from engine.embedders.acoustic import Acoustic

        bound_kernel_cache()
        return Acoustic()
    if name.endswith(".safetensors"):
        from engine.embedders.acoustic import Acoustic

        bound_kernel_cache()
        return Acoustic(Path(name), name=name)
    from engine.embedders.hub import resolve

    folder = resolve(name, hub=settings.hub, timeout=settings.hub_timeout)
    from engine.embedders.emotion2vec import Emotion2vec

    return Emotion2vec(folder, name=name, device=settings.device, precision=settings.precision)
