"""The built-in model ``voice`` and weights of its kind (``.voice.safetensors``) as a family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from emotion_search.engine.embedders.acoustic.family import AcousticFamily
from emotion_search.engine.embedders.base import Embedder
from emotion_search.engine.settings import Settings


class VoiceFamily(AcousticFamily):
    """See ``Family``."""

    built_in = frozenset({"voice"})
    known: Mapping[str, tuple[int | None, str]] = {"voice": (384, "eight classes")}
    base: str | None = None
    suffix = ".voice.safetensors"

    def licence(self, name: str, settings: Settings) -> str | None:
        """See ``Family``; of what is ours, of Whisper and of smart-turn."""
        return "Apache-2.0, MIT, BSD-2-Clause" if name in self.built_in else None

    def _model(self) -> tuple[Callable[..., Embedder], Path]:
        from emotion_search.engine.embedders.voice.model import WEIGHTS, Voice

        return Voice, WEIGHTS
