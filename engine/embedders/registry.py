"""The families of embedding models, and how a model's name finds its family and is loaded.

To add a family, put a folder beside this file with a class that fulfils ``base.Embedder``
and an object that fulfils ``Family`` (its own heavy imports inside the methods), and add the object
to ``FAMILIES``. Loading, the list of models and the command line then know it. For fine-tuning it
also names an entry of ``BASES`` in ``engine/finetune/bases.py``.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from emotion_search.engine.embedders.acoustic.family import AcousticFamily
from emotion_search.engine.embedders.base import Embedder
from emotion_search.engine.embedders.emotion2vec.family import Emotion2vecFamily
from emotion_search.engine.embedders.shared import SharedEmbedder
from emotion_search.engine.embedders.voice.family import VoiceFamily
from emotion_search.engine.settings import Settings


class Family(Protocol):
    """Models that are loaded by the same code.

    Attributes:
        built_in: names of models that ship with the program; these are never paths.
        known: dimension and description by name, of the models that are always listed.
        adapts: whether some of them make use of a centre; see ``Embedder.scores``.
        base: which of ``engine.finetune.bases.BASES`` fine-tunes them; None if none does.
    """

    built_in: frozenset[str]
    known: Mapping[str, tuple[int, str]]
    adapts: bool
    base: str | None

    def answers(self, name: str) -> bool:
        """Whether a model called so, by name, path or hub id, is of this family."""

    def files(self, name: str, settings: Settings) -> Path:
        """The file or folder with a model's weights, downloaded if it must be.

        Raises:
            ModelUnavailableError: it cannot be had here; names the cures.
        """

    def load(self, name: str, settings: Settings) -> Embedder:
        """A model of this family.

        Raises:
            ModelUnavailableError: it cannot be had here; names the cures.
        """

    def place(self, name: str, settings: Settings) -> str:
        """Where a known model is, in words or as a path; no network is asked."""


FAMILIES: tuple[Family, ...] = (VoiceFamily(), AcousticFamily(), Emotion2vecFamily())
"""In the order in which they are asked; the last answers to every name."""


def family_of(name: str) -> Family:
    """The family of the model called ``name``."""
    return next(family for family in FAMILIES if family.answers(name))


def load_embedder(name: str, settings: Settings) -> SharedEmbedder:
    """The model called ``name``: ``voice``, weights that ``engine.training`` wrote
    (``….voice.safetensors``), ``acoustic`` or weights of its kind (``….safetensors``), a checkpoint
    folder, or a hub id; it runs on threads of its own, one a core.

    Raises:
        ModelUnavailableError: it cannot be had here; names the cures.
    """
    was_on = gc.isenabled()
    gc.disable()  # torch makes a million objects as it is imported: all stay, none is worth a look
    try:
        return SharedEmbedder(family_of(name).load(name, settings))
    finally:
        if was_on:
            gc.enable()


def is_built_in(name: str) -> bool:
    """Whether a model of this name ships with the program."""
    return name in family_of(name).built_in


def absolute(name: str) -> str:
    """What a model is known by: the absolute path of a folder or file, else the name itself."""
    if not is_built_in(name) and Path(name).exists():
        return os.path.abspath(name)  # noqa: PTH100 - resolves no links, as users expect
    return name
