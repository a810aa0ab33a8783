"""What an ONNX file takes and gives: the JSON file beside it."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emotion_search.engine.audio.file import SAMPLE_RATE
from emotion_search.engine.embedders.onnx.features import LogMel
from emotion_search.index.errors import ModelUnavailableError, reason


class Description(BaseModel):
    """The JSON file ``NAME.json`` beside ``NAME.onnx``.

    Attributes:
        input: name of the input: samples of one clip, mono float32 from -1 to 1, (n,) or (1, n); or
            its ``features``, of two axes or with a first one of 1.
        vector: name of the output with the embedding, float32 (dimension,) or (1, dimension).
        dimension: its length.
        scores: name of the output with the probabilities of classes, likewise; None without.
        classes: their names, in order.
        features: what goes in instead of samples, if anything.
        sample_rate: in Hz.
        shortest: seconds that go in at least; shorter clips are filled up with zeros.
        longest: seconds that go in at once; longer clips do in equal pieces, which are averaged.
        about: what people should know of it: whose it is, terms of use. Plays no part.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: str
    vector: str
    dimension: int = Field(ge=1)
    scores: str | None = None
    classes: tuple[str, ...] = ()
    features: LogMel | None = None
    sample_rate: int = Field(default=SAMPLE_RATE, ge=8000, le=192_000)
    shortest: float = Field(default=0.025, gt=0, le=10)
    longest: float = Field(default=30.0, ge=1, le=3600)
    about: str = ""


def describes(path: Path) -> Path:
    """The description's place beside an ONNX file."""
    return path.with_suffix(".json")


def read_description(path: Path) -> Description:
    """The description of an ONNX file.

    Raises:
        ModelUnavailableError: there is none, or it makes no sense; names the field.
    """
    beside = describes(path)
    try:
        description = Description.model_validate_json(beside.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelUnavailableError(
            f"{path} has no {beside.name} beside it that says what it takes and gives: see"
            " docs/models.md, or write both by: emotion-search models export"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ModelUnavailableError(f"{beside} cannot be read ({reason(error)})") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ModelUnavailableError(
            f"{beside}: {where + ': ' if where else ''}{first['msg']}"
        ) from error
    if bool(description.classes) != bool(description.scores):
        raise ModelUnavailableError(f"{beside}: scores and classes go together")
    return description
