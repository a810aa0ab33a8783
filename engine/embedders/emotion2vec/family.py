"""The emotion2vec models as a family: checkpoint folders, and ids of a hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from emotion_search.engine.embedders.base import Embedder
from emotion_search.engine.embedders.family import Family
from emotion_search.engine.settings import Settings


class Emotion2vecFamily(Family):
    """See ``Family``."""

    known: Mapping[str, tuple[int | None, str]] = {
        "iic/emotion2vec_plus_large": (1024, "nine classes"),
        "iic/emotion2vec_plus_base": (768, "nine classes"),
        "iic/emotion2vec_plus_seed": (768, "nine classes"),
        "iic/emotion2vec_base": (768, "no scores"),
        "iic/emotion2vec_base_finetuned": (768, "nine classes"),
    }
    base: str | None = "checkpoint"

    def answers(self, name: str) -> bool:
        """To every name: ``files`` raises for one that is no model."""
        return True

    def known_as(self, name: str) -> str:
        """The id on ModelScope of a published model, also of its id on Hugging Face
        (``emotion2vec/…``) and of FunASR's short name."""
        owner, _, last = name.rpartition("/")
        usual = f"iic/{last}"
        return usual if owner in ("", "emotion2vec") and usual in self.known else name

    def files(self, name: str, settings: Settings) -> Path:
        """The checkpoint folder; see ``hub.resolve``."""
        from emotion_search.engine.embedders.hub import resolve

        there = Path(name).expanduser().is_dir()
        return resolve(name if there else self.known_as(name), hub=settings.hub)

    def load(self, name: str, settings: Settings) -> Embedder:
        """See ``Family``."""
        folder = self.files(name, settings)
        from emotion_search.engine.embedders.emotion2vec.model import Emotion2vec

        return Emotion2vec(folder, name=name, device=settings.device, precision=settings.precision)

    def licence(self, name: str, settings: Settings) -> str | None:
        """See ``Family``; of emotion2vec+, by its card. More is in docs/models.md."""
        usual = self.known_as(name)
        return "FunASR model licence" if usual in self.known and "plus" in usual else None

    def place(self, name: str, settings: Settings) -> str:
        """The folder in the hub's cache, or ``not downloaded``."""
        from emotion_search.engine.embedders.hub import cached_folder

        return str(cached_folder(self.known_as(name), settings.hub) or "not downloaded")
