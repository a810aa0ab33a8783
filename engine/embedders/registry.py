"""The families of embedding models, and how a model's name finds its family and is loaded.

To add a family, put a folder beside this file with a class that fulfils ``base.Embedder`` and a
``Family`` (its own heavy imports inside the methods), and add it to ``FAMILIES``. Loading, the list
of models and the command line then know it. For fine-tuning it also names an entry of ``BASES`` in
``engine/finetune/bases.py``. Models of other packages need none of it: see ``plugins``.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path

from emotion_search.engine.embedders.acoustic.family import AcousticFamily
from emotion_search.engine.embedders.emotion2vec.family import Emotion2vecFamily
from emotion_search.engine.embedders.family import Family
from emotion_search.engine.embedders.huggingface.family import HuggingFaceFamily
from emotion_search.engine.embedders.onnx.family import OnnxFamily
from emotion_search.engine.embedders.plugins import PluginFamily, fault_of
from emotion_search.engine.embedders.shared import SharedEmbedder
from emotion_search.engine.embedders.voice.family import VoiceFamily
from emotion_search.engine.settings import Settings
from emotion_search.index.errors import ModelUnavailableError

FAMILIES: tuple[Family, ...] = (
    VoiceFamily(),
    AcousticFamily(),
    HuggingFaceFamily(),
    OnnxFamily(),
    PluginFamily(),
    Emotion2vecFamily(),
)
"""In the order in which they are asked; the last answers to every name."""


def family_of(name: str) -> Family:
    """The family of the model called ``name``."""
    return next(family for family in FAMILIES if family.answers(name))


def load_embedder(name: str, settings: Settings) -> SharedEmbedder:
    """The model called ``name``: ``voice``, weights that ``engine.training`` wrote
    (``….voice.safetensors``), ``acoustic`` or weights of its kind (``….safetensors``), ``hf:…``,
    ``onnx:FILE``, a plug-in's name, a checkpoint folder, or a hub id; it runs on threads of its
    own, one a core.

    Raises:
        ModelUnavailableError: it cannot be had here; names the cures.
    """
    was_on = gc.isenabled()
    gc.disable()  # torch makes a million objects as it is imported: all stay, none is worth a look
    try:
        embedder = family_of(name).load(name, settings)
        if fault := fault_of(embedder):
            raise ModelUnavailableError(f"model {name}: {fault}")
        return SharedEmbedder(embedder)
    finally:
        if was_on:
            gc.enable()


def is_path(name: str) -> bool:
    """Whether a model of this name is a file or folder that is there."""
    family = family_of(name)
    path = family.path(name)
    return bool(path) and name not in family.built_in and Path(path).exists()


def absolute(name: str) -> str:
    """What archives know a model by: its name, in which the path of a file or folder is absolute;
    of several names for one model the usual one."""
    family = family_of(name)
    if not is_path(name):
        return family.known_as(name)
    path = family.path(name)
    begin = len(family.prefix)
    full = os.path.abspath(path)  # noqa: PTH100 - resolves no links, as users expect
    return family.prefix + full + name[begin + len(path) :]
