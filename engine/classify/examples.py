"""The labelled clips that a classifier is trained on, grouped by who speaks, and checked."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.files.manifest import read_labels, read_manifest
from emotion_search.engine.files.tables import csv_rows, valid_rows
from emotion_search.engine.quality.tune import sample
from emotion_search.index.database.clips import clips_of
from emotion_search.index.database.connection import Session
from emotion_search.index.database.files import KnownFile, known_files
from emotion_search.index.database.filters import EMOTION
from emotion_search.index.database.labelled_clips import (
    LabelledClips,
    clips_labelled_as,
    labelled_clips,
)
from emotion_search.index.database.labels import list_tasks, spans_of
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.recordings import Annotations
from emotion_search.index.database.spans import span_key
from emotion_search.index.errors import InvalidInputError
from emotion_search.index.vectors.arrays import Vectors

log = logging.getLogger(__name__)

FEWEST = 5
"""Fewest clips of a class."""

FEWEST_GROUPS = 2
"""Fewest speakers (recordings, where a speaker is not known) of a class."""

MOST = 10_000
"""Most clips that a classifier is trained on; of more, a random sample."""

_PATHS_A_QUERY = 500


@dataclass(frozen=True, eq=False)
class Examples:
    """Clips to train on.

    Attributes:
        ids: int64 (n,), ascending.
        features: float32 (n, dim).
        classes: int64 (n,), rows of ``names``.
        names: of the classes, sorted.
        groups: (n,), the speaker of each, or its recording where that is not known.
        by: ``speaker``, ``recording``, or ``speaker or recording``.
        digest: hex sha256 over ids, labels and features.
    """

    ids: NDArray[np.int64]
    features: Vectors
    classes: NDArray[np.int64]
    names: tuple[str, ...]
    groups: NDArray[np.str_]
    by: str
    digest: str


def choose(
    session: Session,
    model: ModelInfo,
    task: str,
    *,
    table: Path | None,
    without: Collection[str] = (),
    most: int = MOST,
) -> tuple[LabelledClips, int]:
    """The clips labelled under a task (in a table, if one is given) but for some classes, at most
    ``most`` of them, and how many there were.

    Raises:
        InvalidInputError: there are none; names the tasks that have labels.
    """
    if table is None:
        clips = labelled_clips(session, model, task)
    else:
        clips = _labelled_in(session, model, table, task)
    if not len(clips.ids):
        raise InvalidInputError(_nothing(session, task, table))
    unknown = set(without) - set(clips.labels.tolist())
    if unknown:
        raise InvalidInputError(
            f"--without {', '.join(sorted(unknown))}: no clip has this label under the task {task}"
        )
    clips = clips.part(np.flatnonzero(~np.isin(clips.labels, list(without))))
    check(clips, task)
    drawn = sample(clips, most)
    if drawn is not clips:
        check(drawn, task)
    return drawn, len(clips.ids)


def check(clips: LabelledClips, task: str) -> None:
    """Refuse what no classifier can be trained and judged on.

    Raises:
        InvalidInputError: a single class, too few clips of one, or too few speakers; names the
            class and the cure.
    """
    names, counts = np.unique(clips.labels, return_counts=True)
    if len(names) < 2:
        what = f"all have the label {names[0]}" if len(names) else "none is left"
        raise InvalidInputError(
            f"a classifier needs two classes; of the clips labelled under the task {task} {what}"
        )
    few = [f"{name} ({n})" for name, n in zip(names, counts, strict=True) if n < FEWEST]
    if few:
        raise InvalidInputError(
            f"a classifier needs {FEWEST} clips of each class; too few of {', '.join(few)}: label"
            f" more (emotion-search suggest --task {task} says which), or leave the class out with"
            " --without"
        )
    groups, by = grouped(clips)
    lonely = [
        str(name) for name in names if len(np.unique(groups[clips.labels == name])) < FEWEST_GROUPS
    ]
    if lonely:
        raise InvalidInputError(
            f"whether a class is known from its speaker is unknown: all clips of"
            f" {', '.join(lonely)} are of one {by}; label clips of others, or leave the class out"
            " with --without"
        )


def grouped(clips: LabelledClips) -> tuple[NDArray[np.str_], str]:
    """The group of each clip, (n,), and what groups are: the speaker where known, else the
    recording."""
    known = clips.speakers != ""
    groups = np.where(
        known,
        np.char.add("speaker ", clips.speakers),
        np.char.add("recording ", clips.recordings.astype(str)),
    )
    if known.all():
        return groups, "speaker"
    return groups, "speaker or recording" if known.any() else "recording"


def examples_of(clips: LabelledClips, features: Vectors) -> Examples:
    """Labelled clips with their features, float32 (n, dim)."""
    names, classes = np.unique(clips.labels, return_inverse=True)
    groups, by = grouped(clips)
    digest = hashlib.sha256(clips.ids.astype("<i8").tobytes())
    digest.update("\0".join(clips.labels.tolist()).encode())
    digest.update(features.astype("<f4").tobytes())
    return Examples(
        clips.ids,
        features,
        classes.astype(np.int64),
        tuple(names.tolist()),
        groups,
        by,
        digest.hexdigest(),
    )


def _labelled_in(session: Session, model: ModelInfo, table: Path, task: str) -> LabelledClips:
    """The clips that a table labels; logs how many of its rows are of no clip here."""
    if _names_clips(table):
        rows = read_labels(table, task)
        given = {clip: value for clip, of, value in rows if of == task and value is not None}
        clips = clips_labelled_as(session, model, given)
        strange = len(given) - len(clips.ids)
    else:
        given, strange = _labels_of_files(session, table, task)
        clips = clips_labelled_as(session, model, given)
    if strange and len(clips.ids):
        log.warning("%d rows of %s are of no clip of this archive, and left out", strange, table)
    return clips


def _labels_of_files(session: Session, table: Path, task: str) -> tuple[dict[int, str], int]:
    """Label by clip of a table of files, or spans of files, and how many rows match no clip."""
    manifest = read_manifest(table)
    if manifest.problems:
        where, why = manifest.problems[0]
        raise InvalidInputError(f"{where}: {why}")
    given: dict[int, str] = {}
    strange = 0
    paths = list(manifest.rows)
    for begin in range(0, len(paths), _PATHS_A_QUERY):
        some = paths[begin : begin + _PATHS_A_QUERY]
        known = known_files(session, some)
        for path in some:
            row = manifest.rows[path]
            for labels, clips in _labels_of(session, row, known.get(path)):
                value = labels.get(task, labels.get(EMOTION))
                if value is not None:
                    given |= dict.fromkeys(clips, value)
                    strange += not clips
    return given, strange


def _labels_of(
    session: Session, row: Annotations, known: KnownFile | None
) -> Iterator[tuple[Mapping[str, str], list[int]]]:
    """The labels that are given to a file or its spans, each with the clips that it means."""
    if not row.spans:
        yield row.labels, [] if known is None else clips_of(session, known.recording_id)
        return
    clips = {} if known is None else spans_of(session, known.recording_id)
    for span in row.spans:
        clip = clips.get(span_key(span.channel, span.start, span.end))
        yield span.labels, [] if clip is None else [clip]


def _names_clips(table: Path) -> bool:
    """Whether a table is a CSV with the column ``clip``, else it names files."""
    if table.suffix.lower() in (".jsonl", ".ndjson", ".parquet"):
        return False
    first = next(valid_rows(table, csv_rows(table)), None)
    return first is not None and "clip" in first[1]


def _nothing(session: Session, task: str, table: Path | None) -> str:
    if table is not None:
        return (
            f"{table} labels no clip of this archive under the task {task}; it needs the columns"
            " clip (or path) and label"
        )
    tasks = sorted(list_tasks(session).items(), key=lambda row: -row[1])
    shown = ", ".join(f"{name} ({n})" for name, n in tasks[:10])
    return (
        f"no clip has a label under the task {task}; tasks with labels: {shown or 'none'}. Give"
        f" labels with: emotion-search label --task {task}"
    )
