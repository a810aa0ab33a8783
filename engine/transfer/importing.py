"""Import of embeddings computed elsewhere: all checked first, then written in batches."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from emotion_search.engine.embedders.base import usable
from emotion_search.engine.transfer.identity import Identities, Identity
from emotion_search.engine.transfer.rows import Row, read_row, score_columns
from emotion_search.engine.transfer.sources import Source, Vector
from emotion_search.index.database.connection import Database, Session
from emotion_search.index.database.forgotten import are_forgotten, take_back
from emotion_search.index.database.models import ModelInfo, activate_model, active_model, mismatch
from emotion_search.index.database.recordings import (
    Annotations,
    NewClip,
    NewRecording,
    add_recordings,
    add_spans,
    annotate,
)
from emotion_search.index.database.spans import Span
from emotion_search.index.errors import InvalidInputError, UnusableError

_BATCH = 1000  # rows that are committed together, about


@dataclass
class Imported:
    """What an import did.

    Attributes:
        rows: read.
        recordings, clips: new ones.
        known: clips that the archive had; their embeddings stay, their annotations are updated.
        forgotten: recordings that were erased before, and that were passed over.
    """

    rows: int = 0
    recordings: int = 0
    clips: int = 0
    known: int = 0
    forgotten: int = 0


def import_archive(
    database: Database,
    source: Source,
    *,
    model: str | None = None,
    dimension: int | None = None,
    again: bool = False,
    progress: Callable[[Imported], None] = lambda _: None,
) -> tuple[Imported, ModelInfo]:
    """Take in the rows of ``source`` with their embeddings; no audio is needed.

    A recording is known by its ``sha256``, else by the bytes of the file at its ``path`` where that
    is here, else by the path itself, or its ``id``; see ``engine.transfer.identity``. Rows of one
    recording should follow each other. All rows are checked before the first is written. Batches
    commit whole, so that the same import, run again after whatever stopped it, goes on.

    Args:
        model: whose embeddings they are; what the source itself says if left out. Another name
            than that is for an archive that has the same weights under it. An empty archive
            becomes one of this model; a filled one must hold the same model's.
        dimension: what their dimension must be.
        again: take in recordings that were forgotten.

    Raises:
        InvalidInputError: the source says that they are of another model; rows without a vector or
            the other way round; a wrong dimension; a vector that is not finite or zero; a row that
            is doubled or unusable, or says of its recording what another row denies: names it.
        ModelMismatchError: the archive holds embeddings of another model.
    """
    about = source.about
    with database.read() as session:
        active = active_model(session)
    if model is not None and model != about.model:
        own = (active.name, active.fingerprint) if active else None
        if about.model is not None and own != (model, about.fingerprint):
            raise InvalidInputError(
                f"{source.name} holds embeddings of model {about.model}, not of {model}:"
                " leave --model out"
            )
        about = replace(about, model=model)  # which lies elsewhere here
    if about.model is None:
        raise UnusableError(f"{source.name} does not say whose embeddings it holds: --model")
    if dimension is not None and dimension != source.dimension:
        raise UnusableError(
            f"{source.name} holds embeddings of {source.dimension} dimensions, not {dimension}"
        )
    if active is not None:
        if active.name != about.model or about.fingerprint not in (None, active.fingerprint):
            raise mismatch(active.name, about.model)
        if active.dimension != source.dimension:
            raise UnusableError(
                f"{source.name} holds embeddings of {source.dimension} dimensions; those of"
                f" {active.name} in this archive have {active.dimension}"
            )
    classes, whole = _check(source, active.classes if active else about.classes or None)
    fingerprint = active.fingerprint if active else about.fingerprint
    with database.write() as session:
        info = activate_model(
            session,
            name=about.model,
            fingerprint=fingerprint or _fingerprint(about.model, source.dimension),
            dimension=source.dimension,
            classes=classes,
        )
    done = Imported()
    identities = Identities(database)
    for batch in _batches(source, classes):
        known = identities.of([[row for row, _ in rows] for rows in batch])
        hashes = [sha256 for sha256, _ in known]
        with database.write() as session:
            if again:
                take_back(session, hashes)
            erased = are_forgotten(session, hashes)
            recordings = []
            for rows, identity in zip(batch, known, strict=True):
                if identity[0] in erased:
                    done.rows += len(rows)
                    done.forgotten += 1
                else:
                    recordings.append(_recording(rows, identity, whole.get(rows[0][0].key)))
            for some in _distinct(recordings):
                _write(session, info.id, some, done)
        progress(done)
    return done, info


def _distinct(recordings: Sequence[NewRecording]) -> Iterator[list[NewRecording]]:
    """The recordings in lists, none of which has the same bytes twice."""
    while recordings:
        first = {one.sha256: one for one in reversed(recordings)}
        yield [one for one in recordings if first[one.sha256] is one]
        recordings = [one for one in recordings if first[one.sha256] is not one]


def _write(
    session: Session, model_id: int, recordings: Sequence[NewRecording], done: Imported
) -> None:
    """Add recordings, or to known ones the clips that they have not; counts them."""
    written = add_recordings(session, model_id, recordings)
    known = {
        recording: new
        for new, (recording, is_new) in zip(recordings, written, strict=True)
        if not is_new
    }
    added = add_spans(session, model_id, [(one, new.clips) for one, new in known.items()])
    joined = [one for one, number in zip(known, added, strict=True) if number]
    annotate(  # the others have their labels already
        session,
        {
            one: Annotations(speaker=about.speaker, spans=about.spans)
            for one in joined
            for about in [known[one].annotations]
        },
    )
    rows = sum(len(new.clips) for new in recordings)
    passed = sum(len(new.clips) for new in known.values()) - sum(added)
    done.rows += rows
    done.recordings += len(recordings) - len(known)
    done.clips += rows - passed
    done.known += passed


def _check(
    source: Source, classes: tuple[str, ...] | None
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Go through all rows once; the classes of their scores (the first row's, if None is given),
    and by key the speaker of each recording that is of one channel and names no other."""
    seen: list[bytes] = []
    lines: list[int] = []
    recordings: dict[str, dict[str, int]] = {}
    voices: dict[str, tuple[set[str], set[int | None]]] = {}
    for line, cells, vector in source.rows():
        where = f"{source.name}: row {len(lines) + 1} (line {line} of its table)"
        if classes is None:
            classes = score_columns(cells)
        extra = set(score_columns(cells)) - set(classes)
        if extra:
            raise UnusableError(
                f"{where}: the archive's model has no class {', '.join(sorted(extra))}"
            )
        if not usable(vector):
            reason = "zero" if np.isfinite(vector).all() else "not finite (NaN or infinity)"
            raise UnusableError(f"{where}: its embedding is {reason}")
        try:
            row = read_row(cells, source.folder, classes)
            _check_consistent(row, recordings.setdefault(row.key, {}))
            seen.append(row.digest())
            speakers, channels = voices.setdefault(row.key, (set(), set()))
            channels.add(row.channel)
            if row.speaker is not None:
                speakers.add(row.speaker)
        except (ValueError, InvalidInputError) as error:
            raise UnusableError(f"{where}: {error}") from error
        lines.append(line)
    if not lines or classes is None:
        raise UnusableError(f"{source.name} has no rows")
    digests = np.array(seen, dtype="V16").view([("a", "<u8"), ("b", "<u8")])
    order = np.argsort(digests, order=("a", "b"), kind="stable")
    same = np.flatnonzero(digests[order][1:] == digests[order][:-1])
    if len(same):
        one, two = sorted((int(order[same[0]]), int(order[same[0] + 1])))
        raise UnusableError(
            f"{source.name}: rows {one + 1} and {two + 1} (lines {lines[one]} and {lines[two]} of"
            f" its table) are the same clip; {len(same)} rows are doubled"
        )
    whole = {
        key: next(iter(speakers))
        for key, (speakers, channels) in voices.items()
        if len(speakers) == len(channels) == 1
    }
    return classes, whole


def _check_consistent(row: Row, before: dict[str, int]) -> None:
    """Refuse a row whose annotations of its recording differ from an earlier row's, whose hashes
    are in ``before``, by name."""
    for name, value in row.values_of_recording():
        if before.setdefault(name, hash(value)) != hash(value):
            raise ValueError(
                f"its {name} is {value[:80]!r}, but another row of the same recording says"
                " otherwise; a recording has one, so make them equal, or leave the column out"
            )


def _batches(source: Source, classes: tuple[str, ...]) -> Iterator[list[list[tuple[Row, Vector]]]]:
    """Rows by recording, of consecutive rows; about a thousand rows at a time."""
    batch: list[list[tuple[Row, Vector]]] = []
    rows = 0
    for _, cells, vector in source.rows():
        row = read_row(cells, source.folder, classes)
        if not batch or batch[-1][0][0].key != row.key:
            if rows >= _BATCH:
                yield batch
                batch, rows = [], 0
            batch.append([])
        batch[-1].append((row, vector))
        rows += 1
    if batch:
        yield batch


def _recording(
    rows: list[tuple[Row, Vector]], identity: Identity, speaker: str | None
) -> NewRecording:
    """The recording of rows; ``speaker`` is that of them all."""
    sha256, file = identity
    given = [row for row, _ in rows]  # no two of which contradict each other
    return NewRecording(
        file=file,
        name=given[0].name,
        sha256=sha256,
        duration=max(row.duration for row, _ in rows),
        sample_rate=0,  # unknown: no audio is read
        channels=len({row.channel for row, _ in rows}),
        annotations=Annotations(
            source=next((row.source for row in given if row.source), None),
            speaker=speaker,
            recorded_at=next((row.recorded_at for row in given if row.recorded_at), None),
            metadata={key: value for row in given for key, value in row.metadata.items()},
            spans=tuple(
                Span(row.start, row.end, row.channel, row.labels, row.speaker) for row in given
            ),
        ),
        clips=[
            NewClip(
                row.channel,
                row.start,
                row.end,
                vector,
                row.scores,
                row.channel_name,
                affect=row.affect,
            )
            for row, vector in rows
        ],
        cut="import",
    )


def _fingerprint(model: str, dimension: int) -> str:
    """What a model is known by that nobody has seen: its name and dimension."""
    return hashlib.sha256(f"emotion-search import\0{model}\0{dimension}".encode()).hexdigest()
