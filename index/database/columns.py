"""Clip columns in memory: what filters ask of clips, as NumPy arrays with a row a clip.

They stand beside the vectors of an index, and are brought forward with it by revision. Texts are
small codes. Scores of every class, and what is known under a task or in a clustering, are read when
they are first asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from emotion_search.index.database.affect import DIMENSIONS
from emotion_search.index.database.column_rows import (
    ABSENT,
    NEVER,
    QUERIES,
    Column,
    Convert,
    Mask,
    Names,
    alike,
    fetch_columns,
    fetch_scores,
    microseconds,
    numbers,
    read_clips,
)
from emotion_search.index.database.filters import AFFECT, ROUNDED_S, ClipFilter, cluster_of
from emotion_search.index.database.matching import matching_ids
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.vectors.arrays import Ids, find

_ALL = 0.2  # share of the clips from which on all are read rather than those
_NO_MEMBER = -2  # of clips that are not in a clustering; -1 is its noise
_NUMBERS = ("probability", *DIMENSIONS)
_TEXTS = ("source", "speaker", "channel_name", "emotion")
_KINDS: Mapping[str, Any] = {
    "recording": np.int64,
    "source": np.int32,
    "speaker": np.int32,
    "channel": np.int32,
    "channel_name": np.int32,
    "recorded_at": np.int64,
    "duration": np.float64,
    "emotion": np.int32,
    "confidence": np.float64,
    "there": np.bool_,
}


class Columns:
    """What is known of every clip that has an embedding of a model.

    Attributes:
        revision: up to which changes of clips are in it; see ``changes``.
        ids: int64 (n,), ascending; rows of clips that were removed stay, and are not ``there``.
    """

    def __init__(self, model: ModelInfo, revision: int = 0) -> None:
        self.revision = revision
        self._model = model
        self._count = 0
        self._ids = np.empty(0, np.int64)
        self._columns: dict[str, Column] = {name: np.empty(0, k) for name, k in _KINDS.items()}
        self._names = {name: Names() for name in _TEXTS}
        self._by_task: dict[tuple[str, str], Column] = {}  # kind and task or clustering

    @classmethod
    def read(cls, session: Session, model: ModelInfo, revision: int) -> Self:
        """Those of every clip, as the session sees the archive at this revision."""
        made = cls(model, revision)
        made.update(session, None)
        return made

    @property
    def ids(self) -> Ids:
        """See the class."""
        return self._ids[: self._count]

    @property
    def count(self) -> int:
        """How many clips are there."""
        return int(np.count_nonzero(self["there"]))

    def __getitem__(self, name: str) -> Column:
        return self._columns[name][: self._count]

    def rows_of(self, ids: Ids) -> tuple[Mask, NDArray[np.intp]]:
        """Which of the clips are there, and the rows of these."""
        known, rows = find(self.ids, ids)
        there = self["there"][rows]
        known[known] = there
        return known, rows[there]

    def text(self, name: str, row: int) -> str | None:
        """The text of one clip in a column of texts."""
        code = int(self._columns[name][row])
        return None if code == ABSENT else self._names[name].texts[code]

    def update(self, session: Session, ids: Ids | None) -> None:
        """Read anew what the session sees of these clips (ascending), or of all."""
        if ids is not None and len(ids) > _ALL * max(self._count, 1):
            ids = None
        found, read = read_clips(session, self._model, self._names, ids)
        if ids is None:
            self._install(found, read)
        else:
            self._take(session, found, read)

    def update_changed(self, session: Session) -> Ids:
        """Read anew the clips that changed since ``revision``; returns their ids, ascending."""
        found, read = read_clips(session, self._model, self._names, None, since=self.revision)
        self._take(session, found, read)
        return found

    def _take(self, session: Session, found: Ids, read: Mapping[str, Column]) -> None:
        """Put what was read of these clips (ascending) in its rows, and what is known of them under
        the tasks that were asked for; of many clips that is read when it is next asked for."""
        known, rows = find(self.ids, found)
        if not known.all():
            self._append(found[~known], {name: values[~known] for name, values in read.items()})
            rows = find(self.ids, found)[1]
        for name, values in read.items():
            self._columns[name][rows] = values
        if len(found) > _ALL * self._count:
            self._by_task.clear()
        for kind, task in self._by_task:
            self._fill(session, kind, task, found, rows)

    def remove(self, ids: Ids) -> None:
        """Note that these clips are gone."""
        _, rows = self.rows_of(ids)
        self["there"][rows] = False

    def passing(self, session: Session, wanted: ClipFilter) -> Mask:
        """Which rows pass a filter: bool, (n,). The session is asked only about metadata, and about
        a task or clustering of which nothing was asked yet."""
        passes = self["there"].copy()
        for condition in self._conditions(session, wanted):
            passes &= condition
        return passes

    def scores(self, session: Session) -> Column:
        """Scores of the model's classes: float32, (n, classes); read when first asked for."""
        return self._of(session, "scores", str(self._model.id))

    def affect(self, session: Session, dimension: str) -> Column:
        """Valence, arousal or dominance: float64, (n,), NaN where it is not known; read when
        first asked for."""
        return self._of(session, dimension, str(self._model.id))

    def differences(self, session: Session, ids: Ids | None = None) -> int:
        """Of how many clips, of ``ids`` (ascending) or of all, this is not what the session
        sees."""
        fresh = Columns(self._model)
        fresh._install(*read_clips(session, self._model, fresh._names, ids))
        known, rows = self.rows_of(fresh.ids)
        theirs = np.flatnonzero(known)
        differ = np.zeros(len(rows), np.bool_)
        for name in _KINDS:
            ours, true = self._plain(name, self[name][rows]), fresh._plain(name, fresh[name])
            differ |= ~alike(ours, true[theirs])
        for kind, task in self._by_task:
            name = f"{kind} {task}"
            ours = self._plain(name, self._of(session, kind, task)[rows])
            true = fresh._plain(name, fresh._of(session, kind, task))
            other = ~alike(ours, true[theirs])
            differ |= other.any(axis=tuple(range(1, other.ndim)))
        here = self.count if ids is None else len(self.rows_of(ids)[1])
        lacking = int(np.count_nonzero(~known)) + here - len(rows)
        return lacking + int(np.count_nonzero(differ))

    def _plain(self, name: str, values: Column) -> Column:
        """Values of a column; texts in place of codes."""
        names = self._names.get(name)
        return values if names is None else np.array([*names.texts, None], object)[values]

    def save(self, path: Path) -> None:
        """Write them to a file, ``.npz``, without what was read for a task or clustering, and
        without a trace of clips that are gone."""
        there = self["there"]
        values: dict[str, Any] = {name: self[name][there] for name in _KINDS}
        for name in _TEXTS:
            texts, values[name] = self._names[name].compact(values[name])
            values[f"texts of {name}"] = np.frombuffer("\0".join(["", *texts]).encode(), np.uint8)
        np.savez(path, ids=self.ids[there], revision=np.int64(self.revision), **values)

    @classmethod
    def load(cls, path: Path, model: ModelInfo) -> Self:
        """What ``save`` wrote.

        Raises:
            OSError, ValueError, KeyError: the file is not such a one.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                made = cls(model, int(stored["revision"]))
                made._install(stored["ids"], {name: stored[name] for name in _KINDS})
                made._names = {
                    name: Names(stored[f"texts of {name}"].tobytes().decode().split("\0")[1:])
                    for name in _TEXTS
                }
        except (BadZipFile, EOFError) as error:
            raise ValueError(f"{path.name}: {error}") from error
        if any(len(column) != made._count for column in made._columns.values()):
            raise ValueError("its columns are of different lengths")
        return made

    def _conditions(self, session: Session, wanted: ClipFilter) -> Iterator[Mask]:
        names = self._names
        for name, texts in (
            ("source", wanted.sources),
            ("speaker", wanted.speakers),
            ("emotion", wanted.emotion_names),
        ):
            if texts:
                yield names[name].among(self[name], texts)
        for name, text in (("source", wanted.not_source), ("speaker", wanted.not_speaker)):
            if text is not None:
                yield ~names[name].among(self[name], [text])
        if wanted.min_score is not None:
            yield self["confidence"] >= wanted.min_score
        for name, dimension, compare in AFFECT:
            if (bound := getattr(wanted, name)) is not None:
                yield compare(self.affect(session, dimension), bound)
        if wanted.after is not None:
            yield self["recorded_at"] >= microseconds(wanted.after)
        if wanted.before is not None:
            at = self["recorded_at"]
            yield (at < microseconds(wanted.before)) & (at != NEVER)
        if wanted.not_recordings:
            yield ~np.isin(self["recording"], wanted.not_recordings)
        if wanted.channels:
            numbers = [int(text) for text in wanted.channels if text.isdecimal() and len(text) < 5]
            named = names["channel_name"].among(self["channel_name"], wanted.channels)
            yield named | np.isin(self["channel"], numbers)
        if wanted.min_duration is not None:
            yield self["duration"] >= wanted.min_duration - ROUNDED_S
        if wanted.max_duration is not None:
            yield self["duration"] <= wanted.max_duration + ROUNDED_S
        if wanted.metadata:
            ids = matching_ids(session, ClipFilter(metadata=wanted.metadata))
            passes = np.zeros(self._count, np.bool_)
            passes[self.rows_of(ids)[1]] = True
            yield passes
        if wanted.labels:
            of_task = self._of(session, "label", wanted.task)
            yield self._names[f"label {wanted.task}"].among(of_task, wanted.of_task(wanted.labels))
        if wanted.predicted:
            of_task = self._of(session, "predicted", wanted.task)
            yield self._names[f"predicted {wanted.task}"].among(
                of_task, wanted.of_task(wanted.predicted)
            )
        if wanted.min_probability > 0:
            yield self._of(session, "probability", wanted.task) >= wanted.min_probability
        if wanted.clusters:
            passes = np.zeros(self._count, np.bool_)
            for name, cluster in map(cluster_of, wanted.clusters):
                passes |= self._of(session, "cluster", name) == cluster
            yield passes

    def _of(self, session: Session, kind: str, task: str) -> Column:
        """What is known under a task or in a clustering, read if it was not yet."""
        if (kind, task) not in self._by_task:
            self._by_task[kind, task] = self._empty(kind)
            if kind in ("label", "predicted"):
                self._names.setdefault(f"{kind} {task}", Names())
            self._fill(session, kind, task, None, np.arange(self._count))
        return self._by_task[kind, task][: self._count]

    def _empty(self, kind: str) -> Column:
        if kind == "scores":
            return np.empty((0, len(self._model.classes)), np.float32)
        return np.empty(0, np.float64 if kind in _NUMBERS else np.int32)

    def _fill(
        self, session: Session, kind: str, task: str, ids: Ids | None, rows: NDArray[np.intp]
    ) -> None:
        """Read what clips ``ids`` (None for all), in these rows, have under a task."""
        column = self._by_task[kind, task]
        unknown = np.nan if column.dtype.kind == "f" else ABSENT
        unknown = _NO_MEMBER if kind == "cluster" else unknown
        if len(column) < len(self._ids):
            grown = np.full((len(self._ids), *column.shape[1:]), unknown, column.dtype)
            grown[: len(column)] = column
            self._by_task[kind, task] = column = grown
        names = self._names.get(f"{kind} {task}")
        key, query = QUERIES[kind](task)
        if kind == "scores":
            clips, found = fetch_scores(session, query, key, ids, column.shape[1])
        else:
            values: Convert = names.encode if names is not None else numbers(column.dtype)
            clips, found = fetch_columns(session, query, key, ids, numbers("i8"), values)
        column[rows] = unknown
        known, at = self.rows_of(clips)
        column[at] = found[known]

    def _install(self, ids: Ids, columns: Mapping[str, Column]) -> None:
        self._ids, self._count = ids, len(ids)
        self._columns = dict(columns)
        self._by_task.clear()

    def _append(self, ids: Ids, values: Mapping[str, Column]) -> None:
        """Add rows, ascending, in their places."""
        count = self._count + len(ids)
        if self._count and ids[0] < self._ids[self._count - 1]:  # older clips, embedded later
            places = np.searchsorted(self.ids, ids)
            columns = {name: np.insert(self[name], places, values[name]) for name in _KINDS}
            self._install(np.insert(self.ids, places, ids), columns)
            return
        if count > len(self._ids):
            room = count + count // 8
            self._ids = np.resize(self._ids, room)
            self._columns = {n: np.resize(column, room) for n, column in self._columns.items()}
        self._ids[self._count : count] = ids
        for name, column in self._columns.items():
            column[self._count : count] = values[name]
        self._count = count
