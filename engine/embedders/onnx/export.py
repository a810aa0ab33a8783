"""Writing a model as ONNX, with its head, for clips of any length, once its numbers are right."""

from __future__ import annotations

import os
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.embedders.base import Embedder
from emotion_search.engine.embedders.emotion2vec.checkpoint import read_checkpoint
from emotion_search.engine.embedders.emotion2vec.model import Emotion2vec
from emotion_search.engine.embedders.onnx.description import Description, describes
from emotion_search.engine.embedders.quiet import undisturbed
from emotion_search.engine.files.atomic import put
from emotion_search.index.disk.sync import publish
from emotion_search.index.errors import InvalidInputError, ModelUnavailableError

SECONDS = (0.025, 1.0, 7.0, 30.0)
"""Lengths of the clips on which the file is compared with the model."""

MOST = 1e-4
"""Largest difference that is let through: of a vector in relation to its length, and of a score."""

_OPSET = 18


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Attributes:
        path: the ONNX file.
        differences: by seconds of a clip, the largest of vector and scores, as in ``MOST``.
    """

    path: Path
    differences: dict[float, float]


def export_onnx(folder: Path, path: Path, *, name: str) -> Exported:
    """Write an emotion2vec model as an ONNX file and its description, which ``onnx:FILE`` reads.

    Both appear once the file gave the model's own numbers in onnxruntime; what was there is
    replaced.

    Args:
        folder: the model's checkpoint.
        path: the file to write.
        name: of the model, for the description.

    Raises:
        InvalidInputError: the file's name does not end in .onnx, or there is no such folder.
        ModelUnavailableError: the checkpoint is broken, packages are missing, the numbers differ.
        OSError: it cannot be written; nothing is.
    """
    if path.suffix != ".onnx":
        raise InvalidInputError(f"--onnx {path}: name a file that ends in .onnx")
    if not path.absolute().parent.is_dir():
        raise InvalidInputError(f"--onnx {path}: there is no folder {path.parent}")
    model = Emotion2vec(folder, name=name, device="cpu")
    description = Description(
        input="samples",
        vector="vector",
        dimension=model.dimension,
        scores="scores" if model.classes else None,
        classes=model.classes,
        longest=60.0,
        about=f"{name}, written by emotion-search; terms of use are those of its weights",
    )
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-") as made:
        draft = Path(made) / path.name
        _write(folder, draft)
        put(describes(draft), description.model_dump_json(indent=2, exclude_none=True) + "\n")
        differences = compare(draft, model)
        worst = max(differences.values())
        if not worst <= MOST:
            raise ModelUnavailableError(
                f"the ONNX file differs from {name} by {worst:.1e}, more than {MOST:g}; not written"
            )
        publish(describes(draft), describes(path))
        publish(draft, path)
    return Exported(path, differences)


def compare(path: Path, model: Embedder) -> dict[float, float]:
    """How far an ONNX file is from the model, by seconds of a clip; see ``Exported``."""
    from emotion_search.engine.embedders.onnx.model import OnnxModel

    other, differences = OnnxModel(path, name=str(path), device="cpu"), {}
    for seconds in SECONDS:
        voice = speak("anger", speaker=1, seed=1, seconds=max(1.0, min(seconds, 3.0)))
        clip = np.resize(voice, round(seconds * 16_000)).astype(np.float32)
        one, two = model.embed([clip]), other.embed([clip])
        length = np.linalg.norm(one.vectors)
        vector = float(np.abs(one.vectors - two.vectors).max() / length)
        scores = np.abs(one.scores - two.scores)
        differences[seconds] = max(vector, float(scores.max(initial=0.0)))
    return differences


def _write(folder: Path, path: Path) -> None:
    """The model of a checkpoint folder as one ONNX file."""
    try:
        import onnx  # noqa: F401 - what torch's exporter needs
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ModelUnavailableError(
            f"exporting needs {error.name}: pip install 'emotion-search[onnx]'"
        ) from error
    import torch

    from emotion_search.engine.embedders.onnx.emotion2vec import Emotion2vecGraph

    graph = Emotion2vecGraph(read_checkpoint(folder)).eval()
    with undisturbed(), warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph,
            (torch.zeros(1, 16_000),),
            os.fspath(path),
            input_names=["samples"],
            output_names=["vector", "scores"][: 1 if graph.head is None else 2],
            dynamic_shapes=({1: torch.export.Dim("samples", min=400)},),
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
        )
