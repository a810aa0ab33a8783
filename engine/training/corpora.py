"""Labelled clips to train on, from manifests and from EmoGator's file names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emotion_search.engine.files.tables import csv_rows, valid_rows
from emotion_search.index.errors import InvalidInputError

EMOGATOR = "emogator"
"""The corpus of ``read_emogator``: bursts, no speech."""

_EMOGATOR_NAME = re.compile(r"(\d{6})-(\d{2})-[123]\.mp3")
_EMOGATOR_LABELS = """
adoration amusement anger awe confusion contempt contentment desire disappointment disgust
distress ecstasy elation embarrassment fear guilt interest neutral pain pride realization relief
romantic-love sadness serenity shame surprise-negative surprise-positive sympathy triumph
""".split()  # noqa: SIM905 - thirty lines, else
"""EmoGator's categories in the order of their numbers, 01 to 30."""


@dataclass(frozen=True)
class LabelledClip:
    """A file to train on.

    Attributes:
        corpus: which collection it is of; its labels and speakers are its own.
        label: the emotion, in the corpus's words.
        speaker: who speaks.
        text: what is said, in any words that tell sentences apart; empty if that is not known.
    """

    path: Path
    corpus: str
    label: str
    speaker: str
    text: str = ""


def read_emogator(folder: Path) -> list[LabelledClip]:
    """The clips of EmoGator (fredbuhl/EmoGator, Apache-2.0) below ``folder``, by name.

    Raises:
        InvalidInputError: there are none, or one has the number of no category.
    """
    clips = []
    for path in sorted(folder.rglob("*.mp3")):
        name = _EMOGATOR_NAME.fullmatch(path.name)
        if name:
            speaker, number = name.groups()
            if not 1 <= int(number) <= len(_EMOGATOR_LABELS):
                raise InvalidInputError(f"{path}: EmoGator's categories are 01 to 30, not {number}")
            label = _EMOGATOR_LABELS[int(number) - 1]
            clips.append(LabelledClip(path, EMOGATOR, label, speaker))
    if not clips:
        raise InvalidInputError(f"{folder} has no files named like EmoGator's (000001-01-1.mp3)")
    return clips


def some_of_each(clips: Sequence[LabelledClip], most: int, seed: int) -> list[LabelledClip]:
    """At most ``most`` clips of each label, drawn at random."""
    order = np.random.default_rng(seed).permutation(len(clips))
    taken: Counter[str] = Counter()
    kept = []
    for i in order:
        taken[clips[i].label] += 1
        if taken[clips[i].label] <= most:
            kept.append(int(i))
    return [clips[i] for i in sorted(kept)]


def read_labelled(manifest: Path) -> list[LabelledClip]:
    """The clips of a CSV manifest with the columns path, label and speaker, and text if known.

    Paths are relative to the manifest. The corpus is named by the column corpus, where it is empty
    or missing by the manifest's folder.

    Raises:
        InvalidInputError: a column or a value is missing, named with its line.
    """
    clips = []
    for line, row in valid_rows(manifest, csv_rows(manifest)):
        if not all(row.get(column) for column in ("path", "label", "speaker")):
            raise InvalidInputError(f"{manifest}: line {line} needs a path, a label and a speaker")
        corpus = row.get("corpus") or manifest.resolve().parent.name
        path = manifest.parent / row["path"]
        text = row.get("text") or ""
        clips.append(LabelledClip(path, corpus, row["label"], row["speaker"], text))
    if not clips:
        raise InvalidInputError(f"{manifest} names no clips")
    return clips
