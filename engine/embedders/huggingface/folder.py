"""Names and folders of Hugging Face models: ``hf:SOURCE@LAYER,POOLING,revision=…``, their files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from emotion_search.index.errors import InvalidInputError, ModelUnavailableError, reason

POOLINGS = ("mean", "mean+std")
DESCRIPTIONS = ["config.json", "*processor_config.json"]
"""Patterns of the files that describe a model; one of each is needed."""
WEIGHTS = ("model*.safetensors*", "pytorch_model*.bin*")  # the first that there are
"""Patterns of files of weights."""
TOKENS = ("tokenizer.json", "vocab*")
"""Patterns of files with the tokens of texts, of models that take any; one is needed."""
CARD = "README.md"
"""The model card, whose head says the licence."""
MODULES = "modules.json"
"""The modules of a folder of sentence-transformers, in order."""
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


def weight_files(folder: Path) -> list[Path]:
    """The files that transformers reads weights from, in order."""
    found = [sorted(folder.glob(pattern)) for pattern in WEIGHTS]
    return found[0] or found[1]


def descriptions(folder: Path) -> str:
    """What the configuration files say, as JSON, but for what depends on who saved them.

    Raises:
        ModelUnavailableError: one cannot be read.
    """
    contents = {}
    for path in sorted(path for pattern in DESCRIPTIONS for path in folder.glob(pattern)):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            contents[path.name] = {k: v for k, v in content.items() if k not in _LOCAL}
        except (OSError, ValueError, RecursionError, AttributeError) as error:
            raise ModelUnavailableError(
                f"model folder {folder}: {path.name} cannot be read ({reason(error)})"
            ) from error
    return json.dumps(contents, sort_keys=True)


def check_modules(folder: Path, name: str) -> None:
    """Refuse a folder of sentence-transformers whose vectors other modules make of the model's.

    Raises:
        ModelUnavailableError: it has such, or its list of them cannot be read.
    """
    path = folder / MODULES
    if not path.exists():
        return
    try:
        kinds = [one["type"].rpartition(".")[2] for one in json.loads(path.read_text("utf-8"))]
    except (OSError, ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
        raise ModelUnavailableError(f"{path} cannot be read ({reason(error)})") from error
    if further := [kind for kind in kinds if kind not in ("Transformer", "Normalize")]:
        raise ModelUnavailableError(
            f"model {name} has modules of sentence-transformers that are not known here:"
            f" {', '.join(further)}; a plug-in can load it"
        )


def licence_in(folder: Path | None) -> str | None:
    """The licence that the card in a folder names; None where it names none."""
    try:
        card = (folder / CARD).read_text(encoding="utf-8", errors="replace") if folder else ""
    except OSError:
        return None
    head = card.removeprefix("---\n").partition("\n---")[0] if card.startswith("---\n") else ""
    lines = dict(line.split(":", 1) for line in head.splitlines() if ":" in line)
    return lines.get("license", "").strip(" \"'") or None


def is_whole(folder: Path) -> bool:
    """Whether a folder has what a model is loaded from."""
    described = all(any(folder.glob(pattern)) for pattern in DESCRIPTIONS)
    return described and bool(weight_files(folder))
