"""ONNX files as a family of models: ``onnx:FILE``, described by a JSON file beside it."""

from __future__ import annotations

from pathlib import Path

from emotion_search.engine.embedders.base import Embedder
from emotion_search.engine.embedders.family import Family
from emotion_search.engine.settings import Settings
from emotion_search.index.errors import ModelUnavailableError


class OnnxFamily(Family):
    """See ``Family``."""

    prefix = "onnx:"

    def load(self, name: str, settings: Settings) -> Embedder:
        """See ``Family``."""
        try:
            import onnxruntime  # noqa: F401
        except ImportError as error:
            raise ModelUnavailableError(
                f"model {name} needs onnxruntime: pip install 'emotion-search[onnx]'"
            ) from error
        from emotion_search.engine.embedders.onnx.model import OnnxModel

        path = Path(self.path(name)).expanduser()
        return OnnxModel(path, name=name, device=settings.device)

    def place(self, name: str, settings: Settings) -> str:
        """A file that is there is known by its path."""
        return "not here"
