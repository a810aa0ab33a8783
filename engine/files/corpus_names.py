"""How well-known emotion corpora name their files: patterns of names, and what their codes mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

IN_NAME = "name:"
"""How a pattern begins that is searched for in the file's name alone."""


@dataclass(frozen=True)
class Naming:
    """A pattern as ``PathRule`` has it, and the label of each code that it finds; a code without
    one is the label."""

    pattern: str
    labels: Mapping[str, str] = field(default_factory=dict)


CORPORA = {
    # Livingstone & Russo 2018, doi:10.5281/zenodo.1188976
    "ravdess": Naming(
        IN_NAME + r"^\d\d-\d\d-(?P<label>\d\d)-\d\d-\d\d-\d\d-(?P<speaker>\d\d)\.",
        {
            "01": "neutral",
            "02": "calm",
            "03": "happiness",
            "04": "sadness",
            "05": "anger",
            "06": "fear",
            "07": "disgust",
            "08": "surprise",
        },
    ),
    # http://emodb.bilderbar.info/index-1280.html
    "emodb": Naming(
        IN_NAME + r"^(?P<speaker>\d\d)[ab]\d\d(?P<label>[A-Z])[a-z]?\.",
        {
            "W": "anger",
            "L": "boredom",
            "E": "disgust",
            "A": "fear",
            "F": "happiness",
            "T": "sadness",
            "N": "neutral",
        },
    ),
    # https://github.com/CheyneyComputerScience/CREMA-D
    "crema-d": Naming(
        IN_NAME + r"^(?P<speaker>\d{4})_[A-Z]{3}_(?P<label>[A-Z]{3})_",
        {
            "ANG": "anger",
            "DIS": "disgust",
            "FEA": "fear",
            "HAP": "happiness",
            "NEU": "neutral",
            "SAD": "sadness",
        },
    ),
    # Pichora-Fuller & Dupuis 2020, doi:10.5683/SP2/E8H2MF; one file begins with OA
    "tess": Naming(
        IN_NAME + r"^(?P<speaker>OAF?|YAF)_[^_]+_(?P<label>[a-z]+)\.",
        {
            "angry": "anger",
            "disgust": "disgust",
            "fear": "fear",
            "happy": "happiness",
            "neutral": "neutral",
            "ps": "surprise",
            "sad": "sadness",
        },
    ),
    # https://github.com/amu-cai/nEMO
    "nemo": Naming(
        IN_NAME + r"^(?P<speaker>[^_]+)_(?P<label>[a-z]+)_\d+\.", {"surprised": "surprise"}
    ),
    # Haq & Jackson 2010, http://kahlan.eps.surrey.ac.uk/savee: speakers' folders, or begin names
    "savee": Naming(
        r"(?P<speaker>DC|JE|JK|KL)[/_](?P<label>sa|su|[adfhn])\d\d\.[^/]*$",
        {
            "a": "anger",
            "d": "disgust",
            "f": "fear",
            "h": "happiness",
            "n": "neutral",
            "sa": "sadness",
            "su": "surprise",
        },
    ),
}
"""Namings by the corpus's name."""
