"""Embeddings: reading all at the speed of the disk, or some by id; storing them; tombstones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from emotion_search.index.database.affect import DIMENSIONS, affect
from emotion_search.index.database.bulk import chunks, fetch, fetch_parts, insert_many
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.matching import matching
from emotion_search.index.database.models import ModelInfo, next_revision
from emotion_search.index.database.schema import Clip, Embedding, Model, Tombstone
from emotion_search.index.errors import DatabaseError
from emotion_search.index.vectors.arrays import Ids, Vectors, positions

ROWS = 4096
"""Vectors read at a time."""

Embedded = tuple[int, NDArray[np.float32], NDArray[np.float32], NDArray[np.floating] | None]
"""Id of a clip, its embedding (dim,), its scores (classes,), and its valence, arousal and dominance
(3,) where the model has its own."""

_ASKED = 1000  # ids of one statement
_ALL = "SELECT clip_id, vector, vector_crc32 FROM embeddings WHERE model_id ="


def stream(session: Session, model: ModelInfo, since: int = 0) -> Iterator[tuple[Ids, Vectors]]:
    """Embeddings of revisions after ``since``, a few thousand at a time: ids int64 (n,), vectors
    float32 (n, dim), as stored. All of them come in the order in which they lie on disk, else in
    that of revisions."""
    after = f"AND revision > {since:d} ORDER BY revision, clip_id" if since else ""
    for part in fetch_parts(session, f"{_ALL} {model.id:d} {after}", ROWS):
        yield as_arrays(part, model.dimension)


def embeddings_by_id(session: Session, model: ModelInfo, ids: Ids) -> tuple[Ids, Vectors]:
    """Embeddings of those of the clips that have one: ids int64 (n,) in any order, vectors float32
    (n, dim), as stored."""
    # Numbers written into the statement, past SQLAlchemy: a search reads a hundred vectors, and
    # binding as many parameters would take longer than looking them up.
    query = f"{_ALL} {model.id:d} AND clip_id IN"
    parts = [
        as_arrays(fetch(session, f"{query} ({','.join(map(str, some))})"), model.dimension)
        for some in chunks(ids.tolist(), _ASKED)
    ]
    if not parts:
        return np.empty(0, np.int64), np.empty((0, model.dimension), np.float32)
    return np.concatenate([i for i, _ in parts]), np.concatenate([v for _, v in parts])


def embeddings_in_order(session: Session, model: ModelInfo, ids: Ids) -> Vectors:
    """Embeddings of clips that all have one, in the order of ``ids``: float32, (n, dim), as
    stored."""
    known, stored = embeddings_by_id(session, model, ids)
    return stored[positions(known, ids)]


def embedded_ids(session: Session, model: ModelInfo, wanted: ClipFilter) -> Ids:
    """Ids of the clips with an embedding of the model that pass the filter: int64, ascending."""
    query = select(Embedding.clip_id).where(Embedding.model_id == model.id)
    if not wanted.is_empty:
        query = (
            matching(wanted)
            .join(Embedding, Embedding.clip_id == Clip.id)
            .where(Embedding.model_id == model.id)
        )
    rows = session.scalars(query.execution_options(yield_per=ROWS))
    ids = np.fromiter(rows, dtype=np.int64)
    ids.sort()
    return ids


def draw(ids: Ids, most: int, *, seed: int = 0) -> Ids:
    """``ids``, or ``most`` of them drawn at random, ascending; the same ids give the same draw."""
    if len(ids) <= most:
        return ids
    return np.sort(np.random.default_rng(seed).choice(ids, most, replace=False))


def vectors_by_id(session: Session, model: ModelInfo, ids: Ids) -> Iterator[tuple[Ids, Vectors]]:
    """Ids and embeddings, float32 (n, dim), of the clips ``ids`` (ascending), some at a time.

    The embeddings between the first and the last id are read in their order and those not asked
    for dropped, which beats asking for each: pass most of the clips, or few.
    """
    for part in np.array_split(ids, max(1, -(-len(ids) // ROWS))):
        if not len(part):
            return
        if part[-1] - part[0] < 2 * len(part):  # hardly any gaps
            between = f"AND clip_id BETWEEN {part[0]:d} AND {part[-1]:d} ORDER BY clip_id"
            rows = fetch(session, f"{_ALL} {model.id:d} {between}")
            found, vectors = as_arrays(rows, model.dimension)
            kept = np.isin(found, part)
            yield found[kept], vectors[kept]
            continue
        found, vectors = embeddings_by_id(session, model, part)
        order = np.argsort(found)
        yield found[order], vectors[order]


def count_embedded(session: Session, model: ModelInfo) -> int:
    """How many clips have an embedding of the model."""
    query = select(func.count()).select_from(Embedding).where(Embedding.model_id == model.id)
    return session.execute(query).scalar_one()


def sample_clips(
    session: Session, model: ModelInfo, *, most: int, seed: int = 0
) -> tuple[Ids, int]:
    """Ids of a random sample of the embedded clips, ascending, and how many clips there are.

    The same archive gives the same sample.
    """
    ids = embedded_ids(session, model, ClipFilter())
    return draw(ids, most, seed=seed), len(ids)


def insert_embeddings(session: Session, model_id: int, embedded: Sequence[Embedded]) -> None:
    """Give clips that have none yet an embedding under the model."""
    revision = next_revision(session, model_id)
    classes = session.execute(select(Model.classes).where(Model.id == model_id)).scalar_one()
    rows = []
    for clip_id, vector, scores, own in embedded:
        data = vector.astype("<f4").tobytes()
        rows.append(
            {
                "clip_id": clip_id,
                "model_id": model_id,
                "revision": revision,
                "vector": data,
                "vector_crc32": crc32(data),
                **scored(classes, scores),
                **({} if own is None else dict(zip(DIMENSIONS, own.tolist(), strict=True))),
            }
        )
    insert_many(session, Embedding, rows)


def scored(classes: Sequence[str], scores: NDArray[np.float32]) -> dict[str, Any]:
    """The columns that hold the scores of a clip, float32 (classes,).

    Raises:
        DatabaseError: the model in the database has other classes.
    """
    if len(scores) not in (0, len(classes)):
        raise DatabaseError("a model has lost its classes; see the cure: emotion-search check")
    best = int(scores.argmax()) if len(scores) else None
    data = scores.astype("<f4").tobytes()
    derived = [None] * 3 if best is None else affect(classes, scores).tolist()
    return {
        "scores": data,
        "scores_crc32": crc32(data),
        "emotion": None if best is None else classes[best],
        "confidence": None if best is None else float(scores[best]),
        **dict(zip(DIMENSIONS, derived, strict=True)),
    }


def renew(session: Session, recording_id: int) -> None:
    """Give the embeddings of a recording's clips a new revision, so that indexes read them anew,
    and have their scores made anew."""
    of_recording = select(Clip.id).where(Clip.recording_id == recording_id)
    models = session.scalars(
        select(Embedding.model_id).where(Embedding.clip_id.in_(of_recording)).distinct()
    )
    for model_id in sorted(models.all()):
        session.execute(
            update(Embedding)
            .where(Embedding.model_id == model_id, Embedding.clip_id.in_(of_recording))
            .values(revision=next_revision(session, model_id), score_version=0)
            .execution_options(synchronize_session=False)
        )


def add_tombstones(session: Session, clip_ids: Sequence[int]) -> None:
    """Leave tombstones of these clips, which are about to be removed."""
    embedded = [
        row
        for some in chunks(clip_ids)
        for row in session.execute(
            select(Embedding.model_id, Embedding.clip_id)
            .where(Embedding.clip_id.in_(some))
            .order_by(Embedding.model_id, Embedding.clip_id)
        )
    ]
    revisions = {
        model_id: next_revision(session, model_id) for model_id in sorted({m for m, _ in embedded})
    }
    if embedded:
        session.execute(
            insert(Tombstone),
            [
                {"model_id": model_id, "revision": revisions[model_id], "clip_id": clip_id}
                for model_id, clip_id in embedded
            ],
        )


def last_removal(session: Session, model_id: int) -> int:
    """The revision at which a clip was last removed that had an embedding under the model; 0 if
    none ever was."""
    query = select(func.max(Tombstone.revision)).where(Tombstone.model_id == model_id)
    return session.scalar(query) or 0


def removed_since(session: Session, model: ModelInfo, revision: int) -> Ids:
    """Clips that were removed after a revision and had an embedding under the model."""
    query = select(Tombstone.clip_id).where(
        Tombstone.model_id == model.id, Tombstone.revision > revision
    )
    return np.fromiter(session.scalars(query), dtype=np.int64)


def check_bytes(clip: int, stored: bytes, checksum: int | None, dimension: int) -> None:
    """Check a vector, or scores, of a clip.

    Raises:
        DatabaseError: it is not what was written.
    """
    if len(stored) != 4 * dimension or checksum not in (None, crc32(stored)):
        raise DatabaseError(
            f"the embedding of clip {clip} is damaged; make it anew by: emotion-search check --mend"
        )


def as_arrays(rows: Sequence[Any], dimension: int) -> tuple[Ids, Vectors]:
    """Rows of clip id, vector or scores (bytes) and its checksum (None: it has none) as arrays: ids
    int64 (n,), vectors float32 (n, dim).

    Raises:
        DatabaseError: a vector is not what was written; names the clip.
    """
    for clip, vector, checksum in rows:
        check_bytes(clip, vector, checksum, dimension)
    ids = np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))
    data = np.frombuffer(b"".join(row[1] for row in rows), dtype="<f4")
    return ids, np.asarray(data.reshape(len(rows), dimension), dtype=np.float32)
