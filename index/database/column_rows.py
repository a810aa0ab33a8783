"""Rows of the database as NumPy columns: what is known of clips, texts as small codes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from emotion_search.index.database.bulk import chunks
from emotion_search.index.database.embeddings import as_arrays
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.schema import (
    SPEAKER,
    Clip,
    ClusteringRow,
    ClusterMember,
    Embedding,
    Label,
    Prediction,
    Recording,
)
from emotion_search.index.vectors.arrays import Ids

ABSENT = -1
"""The code of what is not known."""

NEVER = np.iinfo(np.int64).min
"""When a recording was made of which that is not known."""

_ASKED, _READ = 1000, 10_000  # ids of one statement; rows read at a time

Mask = NDArray[np.bool_]
Column = NDArray[Any]
Convert = Callable[[Sequence[Any]], Column]


class Names:
    """Texts and their codes, counted from 0 in the order in which they came."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self.texts = list(texts)
        self._codes = {text: code for code, text in enumerate(self.texts)}

    def encode(self, texts: Iterable[str | None]) -> NDArray[np.int32]:
        """The codes of texts, new ones included; ``ABSENT`` for None."""
        codes = self._codes
        found = [ABSENT if one is None else codes.setdefault(one, len(codes)) for one in texts]
        self.texts.extend(list(codes)[len(self.texts) :])
        return np.array(found, np.int32)

    def among(self, column: Column, texts: Iterable[str]) -> Mask:
        """Where a column has the code of one of these texts."""
        codes = [self._codes[text] for text in texts if text in self._codes]
        return column == codes[0] if len(codes) == 1 else np.isin(column, codes)

    def compact(self, column: Column) -> tuple[tuple[str, ...], NDArray[np.int32]]:
        """The texts that a column has, and its codes among these."""
        used, codes = np.unique(column, return_inverse=True)
        texts = tuple(self.texts[code] for code in used.tolist() if code != ABSENT)
        return texts, (codes - int(ABSENT in used)).astype(np.int32)


def read_clips(
    session: Session,
    model: ModelInfo,
    names: Mapping[str, Names],
    ids: Ids | None,
    since: int | None = None,
) -> tuple[Ids, dict[str, Column]]:
    """The clips of ``ids`` (None for all) that have an embedding of a model, ascending, and their
    columns; texts are encoded by ``names``. With ``since`` only what changed after this
    revision."""
    converts = [convert or names[name].encode for name, (_, convert) in _OF_CLIPS.items()]
    if since is None:
        query = _CLIPS.where(Embedding.model_id == model.id)
        columns = fetch_columns(session, query, Embedding.clip_id, ids, *converts)
    else:
        changed = session.execute(_CHANGED, {"model": model.id, "since": since})
        columns = _converted(changed.partitions(), converts)
    order = np.argsort(columns[0])
    found = {name: values[order] for name, values in zip(_OF_CLIPS, columns, strict=True)}
    return found.pop("clip"), found | {"there": np.ones(len(order), np.bool_)}


Ask = Callable[[str], tuple[Any, Any]]


def _under_task(table: type[Label | Prediction], value: Any) -> Ask:
    return lambda task: (table.clip_id, select(table.clip_id, value).where(table.task == task))


def _by_model(*values: Any) -> Ask:
    known = Embedding.emotion if values[0] is Embedding.scores else values[0]
    query = select(Embedding.clip_id, *values).where(known.is_not(None))  # some have none
    return lambda model_id: (Embedding.clip_id, query.where(Embedding.model_id == int(model_id)))


def _of_clustering(name: str) -> tuple[Any, Any]:
    query = select(ClusterMember.clip_id, ClusterMember.cluster)
    named = query.join(ClusteringRow, ClusteringRow.id == ClusterMember.clustering_id)
    return ClusterMember.clip_id, named.where(ClusteringRow.name == name)


QUERIES: Mapping[str, Ask] = {
    "label": _under_task(Label, Label.value),
    "predicted": _under_task(Prediction, Prediction.value),
    "probability": _under_task(Prediction, Prediction.probability),
    "cluster": _of_clustering,
    "scores": _by_model(Embedding.scores, Embedding.scores_crc32),
    "valence": _by_model(Embedding.valence),
    "arousal": _by_model(Embedding.arousal),
    "dominance": _by_model(Embedding.dominance),
}
"""By what is known of clips under a task, in a clustering or by a model: the column of clip ids,
and a query for these and the values (of scores with their checksums)."""


def fetch_columns(
    session: Session, query: Any, key: Any, ids: Ids | None, *converts: Convert
) -> list[Column]:
    """The columns of a query's rows, all or those whose key is among ``ids``, each converted."""
    return _converted(_fetched(session, query, key, ids), converts)


def _converted(parts: Iterable[Sequence[Any]], converts: Sequence[Convert]) -> list[Column]:
    columns = [[convert(()) for convert in converts]]
    columns += [
        [convert(values) for convert, values in zip(converts, zip(*part, strict=True), strict=True)]
        for part in parts
        if part
    ]
    return [np.concatenate(of_one) for of_one in zip(*columns, strict=True)]


def fetch_scores(
    session: Session, query: Any, key: Any, ids: Ids | None, classes: int
) -> tuple[Ids, Column]:
    """Clip ids and scores, float32 (n, classes), of such a query.

    Raises:
        DatabaseError: some are not what was written; names the clip.
    """
    parts = [as_arrays(part, classes) for part in ((), *_fetched(session, query, key, ids))]
    found, scores = zip(*parts, strict=True)
    return np.concatenate(found), np.concatenate(scores)


def _fetched(session: Session, query: Any, key: Any, ids: Ids | None) -> Iterator[Sequence[Any]]:
    if ids is None:
        yield from session.execute(query.execution_options(yield_per=_READ)).partitions()
        return
    for some in chunks(ids.tolist(), _ASKED):
        yield session.execute(query.where(key.in_(some))).all()


def alike(ours: Column, true: Column) -> Mask:
    """Where two columns are the same; what is not a number is the same as another such."""
    same: Mask = ours == true
    return same | (np.isnan(ours) & np.isnan(true)) if ours.dtype.kind == "f" else same


def numbers(kind: Any) -> Convert:
    """Converts numbers of a type; what is unknown is not a number, or ``ABSENT``."""
    if np.dtype(kind).kind == "f":
        return lambda values: np.array(values, kind)
    return lambda values: np.array([ABSENT if one is None else one for one in values], kind)


def moments(values: Sequence[datetime | None]) -> Column:
    """Microseconds since 1970; ``NEVER`` for what is unknown."""
    return np.array([NEVER if one is None else microseconds(one) for one in values], np.int64)


def microseconds(moment: datetime) -> int:
    """Since 1970."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


_OF_CLIPS: Mapping[str, tuple[Any, Convert | None]] = {
    "clip": (Embedding.clip_id, numbers("i8")),
    "recording": (Clip.recording_id, numbers("i8")),
    "source": (Recording.source, None),  # a text
    "speaker": (SPEAKER, None),
    "channel": (Clip.channel, numbers("i4")),
    "channel_name": (Clip.channel_name, None),
    "recorded_at": (Recording.recorded_at, moments),
    "duration": (Clip.end - Clip.start, numbers("f8")),
    "emotion": (Embedding.emotion, None),
    "confidence": (Embedding.confidence, numbers("f8")),
}
_CLIPS = (
    select(*(value for value, _ in _OF_CLIPS.values()))
    .select_from(Embedding)
    .join(Clip, Clip.id == Embedding.clip_id)
    .join(Recording, Recording.id == Clip.recording_id)
)
_CHANGED = _CLIPS.where(
    Embedding.model_id + 0 == bindparam("model"),  # so that SQLite begins with the clips
    Clip.revision > bindparam("since"),
).execution_options(yield_per=_READ)
