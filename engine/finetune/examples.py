"""Labelled clips to tune on, of an archive or of a manifest, and their split by speaker."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.audio.file import SAMPLE_RATE, Samples
from emotion_search.engine.audio.mono import MonoFile
from emotion_search.engine.audio.workers import Decoders
from emotion_search.engine.embedders.base import check
from emotion_search.engine.files.manifest import read_manifest
from emotion_search.engine.files.objects import opened
from emotion_search.engine.files.scan import facts, sha256_of
from emotion_search.engine.ingest.reread import ClipSource, DecodedClip, clip_source, decode_clips
from emotion_search.index.database.connection import Database
from emotion_search.index.database.coverage import MissingClip
from emotion_search.index.database.labelled_clips import labelled_spans
from emotion_search.index.database.labels import no_labels
from emotion_search.index.errors import AudioError, InvalidInputError, UnusableError

LONGEST = 15.0
"""Seconds of a clip that are tuned on, from its start."""

FEWEST = 4
"""Fewest clips of a class on the training side."""

Rows = NDArray[np.float16]
"""What the layers to tune get of an example, as it is kept in a file: (rows, width)."""

_VALIDATED = 0.25  # share of the clips that early stopping goes by, about
_TRIES = 200  # random choices of validation groups that are looked at


@dataclass(frozen=True)
class Example:
    """A labelled clip.

    Attributes:
        source: its recording, with this clip alone; one that ends at infinity is the whole file.
        label: what it is to be classified as.
        group: who speaks, or which recording it is where that is not known: all of a group go to
            one side of a split.
        clip: its id in the archive; None for one of a manifest.
    """

    source: ClipSource
    label: str
    group: str
    clip: int | None = None

    @property
    def whole(self) -> bool:
        """Whether it is all of its file, of whatever length."""
        return self.source.clips[0].end == math.inf


@dataclass(frozen=True, eq=False)
class Split:
    """Rows to train on, to stop by, and to judge by at the end (none where no speakers were kept
    for that); no group is in two of them."""

    train: NDArray[np.intp]
    validation: NDArray[np.intp]
    test: NDArray[np.intp]


def examples_of_archive(database: Database, task: str) -> list[Example]:
    """The clips of an archive with a label under the task, by id.

    Raises:
        NotFoundError: there are none.
    """
    found = []
    with database.read() as session:
        sources: dict[int, ClipSource] = {}
        for row in labelled_spans(session, task):
            if row.recording not in sources:
                sources[row.recording] = clip_source(session, row.recording, ())
            span = MissingClip(row.clip, row.channel, row.start, row.end)
            source = replace(sources[row.recording], clips=(span,))
            group = row.speaker or f"recording {row.recording}"
            found.append(Example(source, row.label, group, row.clip))
        if not found:
            raise no_labels(session, task)
    return found


def examples_of_manifest(path: Path, task: str) -> list[Example]:
    """The labelled rows of a manifest: whole files, or spans of them.

    Raises:
        InvalidInputError: it cannot be read, a row cannot be used, or none is labelled.
    """
    manifest = read_manifest(path)
    if manifest.problems:
        where, reason = manifest.problems[0]
        raise UnusableError(f"{where}: {reason}")
    found: list[Example] = []
    for file, row in manifest.rows.items():
        group = row.speaker or file
        try:
            facts(file)
            sha256 = sha256_of(file)
        except OSError as error:
            line = manifest.lines[file]
            raise UnusableError(f"{path}: line {line}: {file}: {error.strerror}") from error
        spans = [(s.channel, s.start, s.end, s.labels) for s in row.spans] or [
            (None, 0.0, math.inf, row.labels)
        ]
        for channel, start, end, labels in spans:
            if task in labels:
                clip = MissingClip(len(found), channel, start, end)
                source = ClipSource(Path(file).name, sha256, (file,), (clip,))
                found.append(Example(source, labels[task], group))
    if not found:
        column = "label" if task == "emotion" else f"label:{task}"
        raise UnusableError(f"{path} has no label under the task {task} (column {column})")
    return found


def decode_examples(examples: Sequence[Example], decoders: Decoders) -> Iterator[DecodedClip]:
    """The samples of each example, the first ``LONGEST`` seconds of them, under its row as id.

    Those of a recording come together, in order of time, and it is decoded once.

    Raises:
        InvalidInputError: one cannot be decoded; names its file.
    """
    by_recording: dict[tuple[str, ...], list[int]] = {}
    for row, one in enumerate(examples):
        key = (one.source.sha256, *one.source.paths)
        by_recording.setdefault(key, []).append(row)
    for rows in by_recording.values():
        first = examples[rows[0]].source
        where = first.paths[0] if first.paths else first.name
        left = set(rows)
        try:
            for clip in _decode(examples, rows, decoders):
                samples = clip.samples[: round(LONGEST * SAMPLE_RATE)]
                check([samples])
                left.discard(clip.id)
                yield DecodedClip(clip.id, samples)
            if left:
                raise AudioError("ends before the clip does")
        except (AudioError, OSError) as error:
            raise UnusableError(
                f"{where}: {error}; take its label away, or bring the file back"
            ) from error


def _decode(
    examples: Sequence[Example], rows: Sequence[int], decoders: Decoders
) -> Iterator[DecodedClip]:
    source = examples[rows[0]].source
    if examples[rows[0]].whole:
        yield DecodedClip(rows[0], _whole(source, decoders))
        return
    wanted = tuple(replace(examples[row].source.clips[0], id=row) for row in rows)
    if any(span.end <= span.start for span in wanted):
        raise AudioError("has a labelled clip of no length, imported without a span")
    yield from decode_clips(replace(source, clips=wanted), decoders)


def _whole(source: ClipSource, decoders: Decoders) -> Samples:
    parts: list[Samples] = []
    with opened(source.paths[0]) as (file, _), closing(MonoFile(decoders, file).blocks()) as blocks:
        for block in blocks:
            parts.append(block)
            if sum(map(len, parts)) >= LONGEST * SAMPLE_RATE:
                break
    return np.concatenate(parts)


def split(
    examples: Sequence[Example],
    *,
    seed: int,
    validation: Sequence[str] = (),
    test: Sequence[str] = (),
) -> Split:
    """The examples by side: groups named for a side go there, of the others about a quarter of the
    clips is validated on, chosen so that every class is on both sides.

    Raises:
        InvalidInputError: one class; fewer than two groups; a class that one side lacks or that has
            too few clips to train on; a group that is not there.
    """
    labels = np.array([one.label for one in examples])
    groups = np.array([one.group for one in examples])
    unknown = sorted({*validation, *test} - set(groups.tolist()))
    if unknown:
        raise UnusableError(f"no labelled clip is of the speaker {unknown[0]}")
    if set(validation) & set(test):
        raise InvalidInputError("a speaker is either for validation or for the test")
    tested = np.isin(groups, list(test))
    classes = sorted(set(labels[~tested].tolist()))
    if len(classes) < 2:
        raise UnusableError(
            f"fine-tuning needs two classes; the labels name {', '.join(classes) or 'none'}"
        )
    strange = set(labels[tested].tolist()) - set(classes)
    if strange:
        raise UnusableError(f"only speakers kept for the test have the label {min(strange)}")
    names = sorted(set(groups[~tested].tolist()))
    if len(names) < 2:
        raise UnusableError(
            "fine-tuning needs two speakers (or recordings, where speakers are not known): one to"
            f" train on and one to stop by; there is {len(names)}"
        )
    chosen = list(validation) or _choose(labels[~tested], groups[~tested], names, classes, seed)
    validated = np.isin(groups, chosen)
    found = Split(
        np.flatnonzero(~tested & ~validated), np.flatnonzero(validated), np.flatnonzero(tested)
    )
    counts = Counter(labels[found.train].tolist())
    for name in classes:
        if counts[name] < FEWEST:
            raise UnusableError(
                f"the class {name} has {counts[name]} clips to train on, beside the speakers"
                f" validated on ({', '.join(chosen)}); {FEWEST} are needed: label more, or merge"
                " classes"
            )
    missing = sorted(set(classes) - set(labels[found.validation].tolist()))
    if missing:
        raise UnusableError(
            f"the speakers validated on ({', '.join(chosen)}) have no clip of the class"
            f" {missing[0]}"
        )
    return found


def _choose(
    labels: NDArray[np.str_],
    groups: NDArray[np.str_],
    names: Sequence[str],
    classes: Sequence[str],
    seed: int,
) -> list[str]:
    """Groups to validate on: of random choices the one whose classes come nearest to a quarter."""
    table = np.array(
        [[np.sum((groups == name) & (labels == one)) for one in classes] for name in names]
    )
    total = table.sum(axis=0)
    random = np.random.default_rng(seed)
    best: tuple[float, list[int]] | None = None
    for _ in range(_TRIES):
        order = random.permutation(len(names))
        sizes = table[order].sum(axis=1).cumsum()
        stop = int(np.argmin(np.abs(sizes - _VALIDATED * table.sum()))) + 1
        fewest = 2 if len(names) > 4 else 1  # one voice is too little
        rows = order[: min(max(stop, fewest), len(names) - 1)].tolist()
        share = table[rows].sum(axis=0) / total
        lost = np.sum((share == 0) | (total - table[rows].sum(axis=0) < FEWEST))
        cost = float(100 * lost + np.abs(share - _VALIDATED).max())
        if best is None or cost < best[0]:
            best = (cost, rows)
    assert best is not None
    return sorted(names[row] for row in best[1])


def data_hash(examples: Sequence[Example]) -> str:
    """Hex sha256 of what was tuned on: bytes, spans, labels and groups, in any order."""
    lines = []
    for one in examples:
        (span,) = one.source.clips
        where = f"{one.source.sha256} {span.channel} {span.start:.3f} {span.end:.3f}"
        lines.append(f"{where} {one.label} {one.group}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
