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
from emotion_search.engine.files.tables import table_rows, valid_rows
from emotion_search.engine.quality.archive_labels import sample
from emotion_search.engine.quality.labelled import voices_of
from emotion_search.index.database.clips import clips_of
from emotion_search.index.database.connection import Session
from emotion_search.index.database.emotion_names import common
from emotion_search.index.database.files import KnownFile, known_files
from emotion_search.index.database.filters import EMOTION
from emotion_search.index.database.labelled_clips import (
    LabelledClips,
    clips_labelled_as,
    labelled_clips,
)
from emotion_search.index.database.labels import no_labels, spans_of
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.nearest import nearest
from emotion_search.index.database.recordings import Annotations
from emotion_search.index.database.spans import span_key
from emotion_search.index.errors import NotFoundError, UnusableError
from emotion_search.index.vectors.arrays import Vectors

log = logging.getLogger(__name__)

FEWEST = 3
"""Fewest clips of a class."""

FEWEST_GROUPS = 2
"""Fewest speakers (recordings, where a speaker is not known) of a class."""

MOST = 10_000
"""Most clips that a classifier is trained on; of more, a random sample."""

_PATHS_A_QUERY = 500


@dataclass(frozen=True)
class LeftOut:
    """A class that is not learned: how many clips it has, and why."""

    clips: int
    why: str


@dataclass(frozen=True, eq=False)
class Chosen:
    """Clips to train on.

    Attributes:
        clips: those of the classes that can be learned; of too many, a random sample.
        available: how many there were before sampling.
        left_out: the other classes by name.
    """

    clips: LabelledClips
    available: int
    left_out: dict[str, LeftOut]


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
) -> Chosen:
    """The clips labelled under a task (in a table, if one is given) but for the classes named in
    ``without`` and those of too few clips or speakers, at most ``most``.

    Raises:
        NotFoundError: there are none, or none of a class named in ``without``.
        InvalidInputError: fewer than two classes are left; says what to label.
    """
    if table is None:
        clips = labelled_clips(session, model, task)
    else:
        clips = _labelled_in(session, model, table, task)
    if not len(clips.ids):
        if table is None:
            raise no_labels(session, task)
        raise UnusableError(
            f"{table} labels no clip of this archive under the task {task}; it needs the columns"
            " clip (or path) and label"
        )
    labels = np.unique(clips.labels).tolist()
    named = common if task == EMOTION else str
    left = {named(one) for one in without}
    for one in without:
        if named(one) not in map(named, labels):
            near = nearest(one, labels)
            raise NotFoundError(
                f"--without {one}: no clip has this label under the task {task}{near}"
            )
    learned = [label for label in labels if named(label) not in left]
    clips = clips.part(np.flatnonzero(np.isin(clips.labels, learned)))
    kept, left_out = _enough(clips, task)
    drawn, too_few = _enough(sample(kept, most), task)
    return Chosen(drawn, len(kept.ids), left_out | too_few)


def _enough(clips: LabelledClips, task: str) -> tuple[LabelledClips, dict[str, LeftOut]]:
    """The clips of those classes that have enough of them, by enough speakers, and the others."""
    groups, by = grouped(clips)
    left_out = {}
    names, counts = np.unique(clips.labels, return_counts=True)
    for name, count in zip(names.tolist(), counts.tolist(), strict=True):
        if count < FEWEST:
            left_out[name] = LeftOut(count, f"fewer than {FEWEST} clips")
        elif len(np.unique(groups[clips.labels == name])) < FEWEST_GROUPS:
            left_out[name] = LeftOut(count, f"all of one {by}")
    if len(names) - len(left_out) < 2:
        kept = [f"{n} ({c})" for n, c in zip(names, counts, strict=True) if n not in left_out]
        short = [f"{name} ({one.clips}, {one.why})" for name, one in left_out.items()]
        raise UnusableError(
            f"a classifier needs two classes of {FEWEST} clips, each by more than one {by};"
            f" under the task {task} there are: {', '.join(kept + short) or 'none'}. Label more of"
            f" {', '.join(left_out) or 'another class'}; which clips may help says:"
            f" emotion-search suggest --task {task}"
        )
    return clips.part(np.flatnonzero(~np.isin(clips.labels, list(left_out)))), left_out


def grouped(clips: LabelledClips) -> tuple[NDArray[np.str_], str]:
    """The group of each clip, (n,), and what groups are: the speaker where known, else the
    recording."""
    known = clips.speakers != ""
    groups = voices_of(clips.speakers, clips.recordings.astype(str))
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
        clips = clips_labelled_as(session, model, given, task)
        strange = len(given) - len(clips.ids)
    else:
        given, strange = _labels_of_files(session, table, task)
        clips = clips_labelled_as(session, model, given, task)
    if strange and len(clips.ids):
        log.warning("%d rows of %s are of no clip of this archive, and left out", strange, table)
    return clips


def _labels_of_files(session: Session, table: Path, task: str) -> tuple[dict[int, str], int]:
    """Label by clip of a table of files, or spans of files, and how many rows match no clip."""
    manifest = read_manifest(table)
    if manifest.problems:
        where, why = manifest.problems[0]
        raise UnusableError(f"{where}: {why}")
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
    first = next(valid_rows(table, table_rows(table)), None)
    return first is not None and "clip" in {one.strip().casefold() for one in first[1]}
