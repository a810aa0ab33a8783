"""Audio encoders of Hugging Face as a family: ``hf:NAME``, ``hf:NAME@12``, ``hf:FOLDER``."""

from __future__ import annotations

import logging
from pathlib import Path

from emotion_search.engine.embedders.base import Embedder
from emotion_search.engine.embedders.family import Family
from emotion_search.engine.embedders.huggingface import folder as folders
from emotion_search.engine.settings import Settings
from emotion_search.index.errors import ModelUnavailableError, reason

log = logging.getLogger(__name__)

_BESIDE = ("tokenizer*", "merges.txt", folders.CARD, folders.MODULES)


class HuggingFaceFamily(Family):
    """See ``Family``."""

    prefix = "hf:"

    def path(self, name: str) -> str:
        """The folder or hub id in a name."""
        return folders.parse(name).source

    def files(self, name: str, settings: Settings) -> Path:
        """The folder; of a hub id, in the cache of ``huggingface_hub``, downloaded if it must be.

        Raises:
            ModelUnavailableError: it is not to be had, or lacks files.
        """
        wanted = folders.parse(name)
        folder = Path(wanted.source).expanduser()
        if folder.is_dir():
            if not folders.is_whole(folder):
                raise ModelUnavailableError(
                    f"model folder {folder} lacks one of config.json, preprocessor_config.json,"
                    " model.safetensors (or pytorch_model.bin): save it by save_pretrained of"
                    " transformers"
                )
            return folder
        if wanted.source.count("/") > 1 or wanted.source.startswith((".", "/", "~")):
            raise ModelUnavailableError(f"model {name}: no such folder, and not an id of the hub")
        return _cached(wanted) or _downloaded(name, wanted)

    def load(self, name: str, settings: Settings) -> Embedder:
        """See ``Family``."""
        wanted, folder = folders.parse(name), self.files(name, settings)
        try:
            import transformers  # noqa: F401 - FunASR brings it; other installations may lack it
        except ImportError as error:
            raise ModelUnavailableError(
                f"model {name} needs transformers: pip install 'emotion-search[hf]'"
            ) from error
        from emotion_search.engine.embedders.huggingface.load import load_folder
        from emotion_search.engine.embedders.huggingface.model import HuggingFaceEncoder
        from emotion_search.engine.embedders.huggingface.with_text import SpeechAndText

        loaded = load_folder(folder, wanted, name)
        kind = SpeechAndText if hasattr(loaded.model, "get_text_features") else HuggingFaceEncoder
        return kind(loaded, wanted, settings.device)

    def licence(self, name: str, settings: Settings) -> str | None:
        """The licence that the model card in the folder or the cache names."""
        wanted = folders.parse(name)
        folder = Path(wanted.source).expanduser()
        return folders.licence_in(folder if folder.is_dir() else _cached(wanted))

    def place(self, name: str, settings: Settings) -> str:
        """The folder in the hub's cache, or ``not downloaded``."""
        return str(_cached(folders.parse(name)) or "not downloaded")


def _cached(wanted: folders.Wanted) -> Path | None:
    from huggingface_hub import snapshot_download

    try:
        folder = Path(
            snapshot_download(wanted.source, revision=wanted.revision, local_files_only=True)
        )
    except (OSError, ValueError):  # among them all errors of this client
        return None
    return folder if folders.is_whole(folder) else None


def _downloaded(name: str, wanted: folders.Wanted) -> Path:
    from huggingface_hub import snapshot_download

    from emotion_search.engine.embedders.hub import require_reachable

    require_reachable(name, "huggingface")
    log.warning("downloading %s; this happens once", name)
    try:
        for weights in folders.WEIGHTS:
            folder = Path(
                snapshot_download(
                    wanted.source,
                    revision=wanted.revision,
                    allow_patterns=[*folders.DESCRIPTIONS, *folders.TOKENS, *_BESIDE, weights],
                )
            )
            if folders.is_whole(folder):
                return folder
    except (OSError, ValueError) as error:
        why = reason(error)
        raise ModelUnavailableError(f"model {name} could not be downloaded: {why}") from error
    raise ModelUnavailableError(
        f"model {name} is no audio model for transformers: it lacks a preprocessor_config.json or"
        " weights"
    )
