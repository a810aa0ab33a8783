"""Audio encoders of Hugging Face as a family: ``hf:NAME``, ``hf:NAME@12``, ``hf:FOLDER``."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path

from emotion_search.engine.embedders.base import Embedder
from emotion_search.engine.embedders.family import Family
from emotion_search.engine.settings import Settings
from emotion_search.index.errors import InvalidInputError, ModelUnavailableError, reason

log = logging.getLogger(__name__)

POOLINGS = ("mean", "mean+std")
_DESCRIPTIONS = ["config.json", "*processor_config.json"]
_WEIGHTS = ("model*.safetensors*", "pytorch_model*.bin*")  # the first that there are
_LOCAL = frozenset({"transformers_version", "_name_or_path", "dtype", "torch_dtype"})


@dataclass(frozen=True)
class Wanted:
    """A name, taken apart.

    Attributes:
        source: a folder, or an id of the hub.
        layer: whose hidden states are pooled, 0 being what enters the first; None for the last.
        pooling: one of ``POOLINGS``, over time.
        revision: branch, tag or commit on the hub.
    """

    source: str
    layer: int | None = None
    pooling: str = "mean"
    revision: str | None = None


def parse(name: str) -> Wanted:
    """What ``hf:SOURCE@LAYER,POOLING,revision=…`` says; what follows @ may be left out.

    Raises:
        InvalidInputError: something else stands there.
    """
    source = name.removeprefix("hf:")
    if Path(source).expanduser().exists() or "@" not in source:
        return Wanted(source)
    source, _, rest = source.rpartition("@")
    layer, pooling, revision = None, "mean", None
    for word in rest.split(","):
        if word.isdecimal():
            layer = int(word)
        elif word in POOLINGS:
            pooling = word
        elif word.startswith("revision=") and word != "revision=":
            revision = word.removeprefix("revision=")
        else:
            raise InvalidInputError(
                f"model {name}: after @ stand a layer, {' or '.join(POOLINGS)}, revision=…, with"
                f" commas between; not {word!r}"
            )
    return Wanted(source, layer, pooling, revision)


class HuggingFaceFamily(Family):
    """See ``Family``."""

    prefix = "hf:"

    def path(self, name: str) -> str:
        """The folder or hub id in a name."""
        return parse(name).source

    def files(self, name: str, settings: Settings) -> Path:
        """The folder; of a hub id, in the cache of ``huggingface_hub``, downloaded if it must be.

        Raises:
            ModelUnavailableError: it is not to be had, or lacks files.
        """
        wanted = parse(name)
        folder = Path(wanted.source).expanduser()
        if folder.is_dir():
            if not _whole(folder):
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
        wanted, folder = parse(name), self.files(name, settings)
        try:
            import transformers  # noqa: F401 - FunASR brings it; other installations may lack it
        except ImportError as error:
            raise ModelUnavailableError(
                f"model {name} needs transformers: pip install 'emotion-search[hf]'"
            ) from error
        from emotion_search.engine.embedders.huggingface.model import HuggingFaceEncoder

        return HuggingFaceEncoder(folder, wanted, name=name, device=settings.device)

    def place(self, name: str, settings: Settings) -> str:
        """The folder in the hub's cache, or ``not downloaded``."""
        return str(_cached(parse(name)) or "not downloaded")


def weight_files(folder: Path) -> list[Path]:
    """The files that transformers reads weights from, in order."""
    found = [sorted(folder.glob(pattern)) for pattern in _WEIGHTS]
    return found[0] or found[1]


def descriptions(folder: Path) -> str:
    """What the configuration files say, as JSON, but for what depends on who saved them.

    Raises:
        ModelUnavailableError: one cannot be read.
    """
    said = {}
    for path in sorted(path for pattern in _DESCRIPTIONS for path in folder.glob(pattern)):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            said[path.name] = {k: v for k, v in content.items() if k not in _LOCAL}
        except (OSError, ValueError, RecursionError, AttributeError) as error:
            raise ModelUnavailableError(
                f"model folder {folder}: {path.name} cannot be read ({reason(error)})"
            ) from error
    return json.dumps(said, sort_keys=True)


def _whole(folder: Path) -> bool:
    described = all(any(folder.glob(pattern)) for pattern in _DESCRIPTIONS)
    return described and bool(weight_files(folder))


def _cached(wanted: Wanted) -> Path | None:
    from huggingface_hub import snapshot_download

    try:
        folder = Path(
            snapshot_download(wanted.source, revision=wanted.revision, local_files_only=True)
        )
    except (OSError, ValueError):  # among them all errors of this client
        return None
    return folder if _whole(folder) else None


def _downloaded(name: str, wanted: Wanted) -> Path:
    from huggingface_hub import snapshot_download

    from emotion_search.engine.embedders.hub import require_reachable

    require_reachable(name, "huggingface")
    log.warning("downloading %s; this happens once", name)
    try:
        for weights in _WEIGHTS:
            folder = Path(
                snapshot_download(
                    wanted.source,
                    revision=wanted.revision,
                    allow_patterns=[*_DESCRIPTIONS, weights],
                )
            )
            if _whole(folder):
                return folder
    except (OSError, ValueError) as error:
        first = (str(error).strip() or repr(error)).splitlines()[0]
        raise ModelUnavailableError(f"model {name} could not be downloaded: {first}") from error
    raise ModelUnavailableError(
        f"model {name} is no audio model for transformers: it lacks a preprocessor_config.json or"
        " weights"
    )
