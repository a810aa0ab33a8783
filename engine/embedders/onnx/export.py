"""Writing a model as ONNX, with its head, for clips of any length, once its numbers are right."""

from __future__ import annotations

import os
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emotion_search.engine.audio.file import SAMPLE_RATE
from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.embedders.base import Embedder
from emotion_search.engine.embedders.emotion2vec.checkpoint import read_checkpoint
from emotion_search.engine.embedders.emotion2vec.model import Emotion2vec
from emotion_search.engine.embedders.onnx.description import Description, describes
from emotion_search.engine.embedders.quiet import undisturbed
from emotion_search.engine.embedders.voice.model import LONGEST, Voice
from emotion_search.engine.files.atomic import put
from emotion_search.index.disk.sync import publish
from emotion_search.index.errors import ModelUnavailableError, UnusableError

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


def export_onnx(model: Embedder, path: Path) -> Exported:
    """Write ``voice`` or an emotion2vec model as an ONNX file and its description, which
    ``onnx:FILE`` reads.

    Both appear once the file gave the model's own numbers in onnxruntime; what was there is
    replaced.

    Raises:
        UnusableError: it is another model.
        ModelUnavailableError: packages are missing, the numbers differ.
        OSError: it cannot be written; nothing is.
    """
    if not isinstance(model, Voice | Emotion2vec):
        raise UnusableError(
            f"the model {model.name} cannot be exported; voice and emotion2vec models can"
        )
    built_in = isinstance(model, Voice)
    description = Description(
        input="samples",
        vector="vector",
        dimension=model.dimension,
        scores="scores" if model.classes else None,
        classes=model.classes,
        shortest=0.045 if built_in else 0.025,
        longest=LONGEST if built_in else 60.0,
        about=f"{model.name}, written by emotion-search; terms of use are those of its weights",
    )
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-") as made:
        draft = Path(made) / path.name
        _write(model, description, draft)
        put(describes(draft), description.model_dump_json(indent=2, exclude_none=True) + "\n")
        differences = compare(draft, model, description)
        worst = max(differences.values())
        if not worst <= MOST:
            raise ModelUnavailableError(
                f"the ONNX file differs from the model {model.name} by {worst:.1e}, more than"
                f" {MOST:g}; not written"
            )
        publish(describes(draft), describes(path))
        publish(draft, path)
    return Exported(path, differences)


def compare(path: Path, model: Embedder, description: Description) -> dict[float, float]:
    """How far an ONNX file is from the model, by seconds of a clip that goes in at once; see
    ``Exported``."""
    from emotion_search.engine.embedders.onnx.model import OnnxModel

    other, differences = OnnxModel(path, name=str(path), device="cpu"), {}
    for seconds in SECONDS:
        if not description.shortest <= seconds <= description.longest:
            continue
        voice = speak("anger", speaker=1, seed=1, seconds=max(1.0, min(seconds, 3.0)))
        clip = np.resize(voice, round(seconds * SAMPLE_RATE)).astype(np.float32)
        one, two = model.embed([clip]), other.embed([clip])
        length = np.linalg.norm(one.vectors)
        vector = float(np.abs(one.vectors - two.vectors).max() / length)
        scores = np.abs(one.scores - two.scores)
        differences[seconds] = max(vector, float(scores.max(initial=0.0)))
    return differences


def _write(model: Voice | Emotion2vec, description: Description, path: Path) -> None:
    """The model as one ONNX file."""
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
    from emotion_search.engine.embedders.onnx.voice import VoiceGraph

    graph = (
        VoiceGraph(model)
        if isinstance(model, Voice)
        else Emotion2vecGraph(read_checkpoint(model.folder))
    ).eval()
    example = torch.zeros(1, SAMPLE_RATE)
    graph(example)  # which fills its caches, before they are traced
    shortest = int(description.shortest * SAMPLE_RATE)
    longest = int(description.longest * SAMPLE_RATE)
    with undisturbed(), warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph,
            (example,),
            os.fspath(path),
            input_names=[description.input],
            output_names=[one for one in (description.vector, description.scores) if one],
            dynamic_shapes=({1: torch.export.Dim("samples", min=shortest, max=longest)},),
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
        )
