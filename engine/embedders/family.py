"""A family of embedding models: what the registry asks of it, and the usual answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

from emotion_search.engine.embedders.base import Embedder
from emotion_search.engine.settings import Settings
from emotion_search.index.errors import ModelUnavailableError


class Family(ABC):
    """Models that are loaded by the same code.

    Attributes:
        prefix: what their names begin with.
        built_in: names of models that are never paths.
        adapts: whether some of them make use of a centre; see ``Embedder.scores``.
        base: which of ``engine.finetune.bases.BASES`` fine-tunes them; None if none does.
    """

    prefix = ""
    built_in: frozenset[str] = frozenset()
    adapts = False
    base: str | None = None

    @property
    def known(self) -> Mapping[str, tuple[int | None, str]]:
        """Dimension and description by name, of the models that are always listed."""
        return {}

    def answers(self, name: str) -> bool:
        """Whether a model called so, by name, path or hub id, is of this family."""
        return name.startswith(self.prefix)

    def path(self, name: str) -> str:
        """What of a name that is no built-in one may be a path."""
        return name.removeprefix(self.prefix)

    def known_as(self, name: str) -> str:
        """The one of several names of a model under which archives know it."""
        return name

    def files(self, name: str, settings: Settings) -> Path:
        """The file or folder with a model's weights, downloaded if it must be; asked of families
        that have a ``base``.

        Raises:
            ModelUnavailableError: it cannot be had here; names the cures.
        """
        raise ModelUnavailableError(f"the model {name} is no file or folder of weights")

    @abstractmethod
    def load(self, name: str, settings: Settings) -> Embedder:
        """A model of this family.

        Raises:
            ModelUnavailableError: it cannot be had here; names the cures.
        """

    def licence(self, name: str, settings: Settings) -> str | None:
        """What a model may be used for, in a few words; None where that is not known here. No
        network is asked, and no model loaded."""
        return None

    def place(self, name: str, settings: Settings) -> str:
        """Where a known model is, in words or as a path; no network is asked."""
        return "built in"
