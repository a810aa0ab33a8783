"""emotion-search: search archives of speech by the emotion in the voice.

The names below are the public interface; what is under ``engine`` and ``index`` may change.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # typing itself is imported where Ctrl-C is seen to, in __main__
if TYPE_CHECKING:
    from emotion_search.engine.audio.channels import Channels as Channels
    from emotion_search.engine.client.client import Client as Client
    from emotion_search.engine.embedders.base import BaseEmbedder as BaseEmbedder
    from emotion_search.engine.embedders.base import Embedder as Embedder
    from emotion_search.engine.embedders.base import Embeddings as Embeddings
    from emotion_search.engine.embedders.base import Frames as Frames
    from emotion_search.engine.embedders.base import TextEmbedder as TextEmbedder
    from emotion_search.engine.files.manifest import read_manifest as read_manifest
    from emotion_search.engine.files.scan import find_audio as find_audio
    from emotion_search.engine.inference.parts import Granularity as Granularity
    from emotion_search.engine.ingest.options import IngestOptions as IngestOptions
    from emotion_search.engine.library.library import Library as Library
    from emotion_search.engine.quality.evaluate import evaluate as evaluate
    from emotion_search.engine.query.examples import ClipExample as ClipExample
    from emotion_search.engine.query.examples import FileExample as FileExample
    from emotion_search.engine.query.examples import SpanExample as SpanExample
    from emotion_search.engine.query.examples import TextExample as TextExample
    from emotion_search.engine.query.examples import VectorExample as VectorExample
    from emotion_search.engine.settings import Settings as Settings
    from emotion_search.engine.settings import load_settings as load_settings
    from emotion_search.index.database.filters import ClipFilter as ClipFilter
    from emotion_search.index.database.recordings import Annotations as Annotations
    from emotion_search.index.errors import EmotionSearchError as EmotionSearchError
    from emotion_search.index.search import Hit as Hit

_HOMES = {
    "Annotations": "index.database.recordings",
    "BaseEmbedder": "engine.embedders.base",
    "Channels": "engine.audio.channels",
    "Client": "engine.client.client",
    "ClipExample": "engine.query.examples",
    "ClipFilter": "index.database.filters",
    "Embedder": "engine.embedders.base",
    "Embeddings": "engine.embedders.base",
    "EmotionSearchError": "index.errors",
    "FileExample": "engine.query.examples",
    "Frames": "engine.embedders.base",
    "Granularity": "engine.inference.parts",
    "Hit": "index.search",
    "IngestOptions": "engine.ingest.options",
    "Library": "engine.library.library",
    "Settings": "engine.settings",
    "SpanExample": "engine.query.examples",
    "TextEmbedder": "engine.embedders.base",
    "TextExample": "engine.query.examples",
    "VectorExample": "engine.query.examples",
    "evaluate": "engine.quality.evaluate",
    "find_audio": "engine.files.scan",
    "load_settings": "engine.settings",
    "read_manifest": "engine.files.manifest",
}

__all__ = [*_HOMES]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for: the command line starts without them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
