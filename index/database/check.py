"""Data corruption in the database: integrity, references, checksums of embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np
from sqlalchemy import Table, case, column, delete, func, null, or_, select, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from emotion_search.index.database.affect import DIMENSIONS, ROUNDED
from emotion_search.index.database.bulk import chunks
from emotion_search.index.database.changes import note_changed
from emotion_search.index.database.embeddings import ROWS, scored
from emotion_search.index.database.models import ModelInfo, list_models, revision_and_space
from emotion_search.index.database.schema import (
    Base,
    BaselineRow,
    CalibrationRow,
    Clip,
    Embedding,
    SpaceRow,
)
from emotion_search.index.database.wrong_values import (
    BEHIND_CLIPS,
    BEHIND_EMBEDDINGS,
    LATEST_CLIP,
    LATEST_EMBEDDING,
    LOST_SPACE,
    NO_CLIPS,
    NO_EMBEDDING,
    NO_MODEL,
    NO_SPACE,
    Wrong,
    keys_of,
    wrong_in,
    wrong_values,
)
from emotion_search.index.errors import DatabaseError

_RESTORE = "restore a backup, or move the database away and ingest again"
_REINDEX = (
    "back it up; if indexes alone are named, sqlite3 FILE REINDEX mends them; else restore a backup"
)
_MEND = "emotion-search check --mend"
_TUNE = f"emotion-search tune --restore 0, then tune, then {_MEND}"
_CURES = {
    "spaces": _TUNE,
    "baselines": _TUNE,
    "calibrations": f"emotion-search tune --restore, to the space that serves; else {_MEND}",
    "archive": "emotion-search use MODEL; else restore a backup",
    "models": "restore a backup",
    NO_SPACE: "emotion-search tune --restore 0, then tune",
    "embeddings": f"{_MEND}; else restore a backup",
    NO_EMBEDDING: _MEND,
    NO_CLIPS: "emotion-search forget them, then ingest --again; else restore a backup",
    LOST_SPACE: f"{_MEND}, then emotion-search tune --restore, to the space that serves",
    NO_MODEL: "emotion-search use MODEL",
}

_DISPENSABLE = (
    *("labels", "classifiers", "predictions", "clusterings", "cluster_members", "failures"),
    "jobs",
    *("alerts", "alert_firings", "webhooks", "webhook_deliveries"),
)
"""Tables of which a row that nothing can use is removed by ``remove_wrong``."""
_CURES |= dict.fromkeys(_DISPENSABLE, f"{_MEND}, which removes them")
_CURES["predictions"] += ", then emotion-search classify"
_CURES["classifiers"] += ", then train and classify"
_CURES["clusterings"] += ", then cluster anew"
_CURES["cluster_members"] += ", then cluster anew"
_UNKNOWN = {
    "recordings": ["source", "speaker", "recorded_at", "cut"],
    "clips": ["speaker", "channel_name"],
}
"""By table: what is set to unknown there."""
_BEHIND = {BEHIND_CLIPS: LATEST_CLIP, BEHIND_EMBEDDINGS: LATEST_EMBEDDING}
_NAMELESS = ("have no uuid that can be read", "have a uuid that cannot be")
_CURES |= dict.fromkeys((*_BEHIND, *_NAMELESS), _MEND)
_AFFECT = [getattr(Embedding, name) for name in DIMENSIONS]
_LINES = 20  # of what SQLite finds, at most


@dataclass(frozen=True)
class Damage:
    """Something that is wrong: where, what, and what to do about it."""

    where: str
    what: str
    cure: str


@dataclass
class Embeddings:
    """What was read of a model's embeddings.

    Attributes:
        clips: with an embedding.
        damaged: ids of those of which vector or scores are not what was written.
        derived: ids of those whose emotion is not what their scores, which are whole, say.
        unlike: how many are what was written, and not what the model says that it writes.
        unsealed: how many have no checksum yet.
    """

    clips: int = 0
    damaged: list[int] = field(default_factory=list)
    derived: list[int] = field(default_factory=list)
    unlike: int = 0
    unsealed: int = 0


def check_structure(session: Session) -> Iterator[Damage]:
    """Pages and indexes of SQLite, references between tables, and rows that cannot be read."""
    if session.get_bind().dialect.name == "sqlite":
        try:
            lines = session.execute(text(f"PRAGMA integrity_check({_LINES})")).scalars().all()
        except SQLAlchemyError as error:
            lines = [_first_line(error)]
        for line in lines:
            if line != "ok":
                yield Damage("database", str(line), _REINDEX)
    for table in Base.metadata.sorted_tables:
        named = False
        try:
            for one in wrong_values(session, table):
                named = True
                keys = keys_of(session, table, one)
                what = f"{one} ({keys})" if keys else str(one)
                cure = _MEND if _unknown(table, one) else _CURES.get(one.what)
                yield Damage(table.name, what, cure or _cure(table))
            if table is not Embedding.__table__:
                rows = select(table).execution_options(yield_per=ROWS)
                with closing(session.execute(rows)) as read:
                    for _ in read:
                        pass
        except (SQLAlchemyError, DatabaseError, ValueError, TypeError) as error:
            session.rollback()
            if named and not isinstance(error, DatabaseError):
                continue  # of a row that is named already
            reason = "a checksum is wrong" if isinstance(error, DatabaseError) else error
            yield Damage(table.name, _first_line(reason), _cure(table))


def lost_embeddings(session: Session) -> bool:
    """Whether some clip lost its embedding."""
    wrong = wrong_values(session, Base.metadata.tables[Clip.__tablename__])
    return any(one.what == NO_EMBEDDING for one in wrong)


def remove_wrong(session: Session) -> list[str]:
    """Remove what nothing can use and the rest does without: a label, an alert, a webhook, the name
    of a speaker; take revisions up to where they were. What was done, in words."""
    done = remove_spaces(session)
    for table in Base.metadata.sorted_tables:
        for one in wrong_values(session, table):
            unknown = _unknown(table, one)
            dispensable = table.name in _DISPENSABLE or one.what == LOST_SPACE
            if not (dispensable or unknown or one.what in _BEHIND):
                continue
            done.append(f"{table.name}: {one} ({keys_of(session, table, one)})")
            if "clip_id" in table.c or unknown:
                key = {"clips": "id", "recordings": "id"}.get(table.name, "clip_id")
                rows: Any = select(column(key)).select_from(table).where(one.where)
                of = Clip.recording_id if table.name == "recordings" else Clip.id
                note_changed(session, of.in_(rows))
            if one.what in _BEHIND:
                values = {"revision": _BEHIND[one.what]}
                session.execute(update(table).where(one.where).values(values))
            elif unknown:
                values = dict.fromkeys(unknown, null())
                session.execute(update(table).where(one.where).values(values))
            else:
                session.execute(delete(table).where(one.where))
    return done


def remove_spaces(session: Session) -> list[str]:
    """Remove spaces that are damaged and serve no more, with their baselines, and such percentiles;
    but not the last, whose number a new one would get. What was removed, in words."""
    done = []
    for model in list_models(session):
        versions = select(SpaceRow.version, SpaceRow.baselines)
        spaces = dict(session.execute(versions.where(SpaceRow.model_id == model.id)).all())
        serves = revision_and_space(session, model.id)[1]
        kept = {serves, max(spaces, default=0)}
        kept |= {spaces.get(version) or 0 for version in kept}
        for version in sorted({0, *spaces} - {serves}):
            baselines = spaces.get(version) or version
            whole = _is_whole(session, model, SpaceRow, version)
            if version not in kept and not (
                whole and _is_whole(session, model, BaselineRow, baselines)
            ):
                session.execute(delete(SpaceRow).where(_of_space(SpaceRow, model, version)))
                done.append(f"spaces: version {version} of {model.name}")
            elif _is_whole(session, model, CalibrationRow, version):
                continue
            else:
                done.append(f"calibrations: space {version} of {model.name}")
            of_it = _of_space(CalibrationRow, model, version)
            session.execute(delete(CalibrationRow).where(of_it))
    return done


def _of_space(row: type[Base], model: ModelInfo, version: int) -> Any:
    columns = row.__table__.c
    of = columns.get("space_version", columns.get("version"))
    return (columns.model_id == model.id) & (of == version)


def _is_whole(session: Session, model: ModelInfo, row: type[Base], version: int) -> bool:
    """Whether the rows of a table that are of a space can be used."""
    table, mine = Base.metadata.tables[row.__tablename__], _of_space(row, model, version)
    try:
        session.execute(select(table).where(mine)).all()
        count = select(func.count()).select_from(table).where(mine)
        return not any(session.scalar(count.where(w.where)) for w in wrong_values(session, table))
    except (SQLAlchemyError, DatabaseError, ValueError, TypeError):
        return False


def _unknown(table: Table, wrong: Wrong) -> list[str]:
    """The column that is wrong, if it may be set to unknown."""
    return [name for name in _UNKNOWN.get(table.name, ()) if f" {name} that " in wrong.what]


def check_embeddings(session: Session, model: ModelInfo) -> Embeddings:
    """Every embedding of a model, with its scores, against its checksums.

    Raises:
        DatabaseError: they cannot be read.
    """
    found = Embeddings()
    columns = Base.metadata.tables[Embedding.__tablename__].columns
    dialect = session.get_bind().dialect.name
    others = [one for one in columns if one.name not in ("emotion", "confidence")]
    known = Embedding.emotion.in_(model.classes)  # else it may be none that can be read
    query = select(
        Embedding.clip_id,
        Embedding.vector,
        Embedding.vector_crc32,
        Embedding.scores,
        Embedding.scores_crc32,
        case((Embedding.emotion.is_(None), None), (known, Embedding.emotion), else_=""),
        Embedding.confidence,
        *_AFFECT,
        or_(*(wrong for one in others for wrong in wrong_in(dialect, one).values())),
    ).where(Embedding.model_id == model.id)
    rows = session.execute(query.execution_options(yield_per=ROWS))
    for clip, vector, of_vector, scores, of_scores, emotion, confidence, *own, out in rows:
        found.clips += 1
        if out:
            found.damaged.append(clip)
            continue
        found.unsealed += of_vector is None
        unscored = emotion is None and not scores  # of a version that stored none
        fits = len(vector) == model.dimension * 4 and (
            unscored or len(scores) == len(model.classes) * 4
        )
        if not fits and (of_vector, of_scores) == (crc32(vector), crc32(scores)):
            found.unlike += 1
            continue
        whole = (
            fits
            and of_vector in (None, crc32(vector))
            and of_scores in (None, crc32(scores))
            and np.isfinite(np.frombuffer(vector, "<f4")).all()
        )
        if not whole:
            found.damaged.append(clip)
        elif _denied(model, scores, {"emotion": emotion, "confidence": confidence}, own):
            found.derived.append(clip)
    return found


def _denied(
    model: ModelInfo, scores: bytes, stored: dict[str, Any], own: Sequence[float | None]
) -> dict[str, Any]:
    """What the scores of an embedding say of it, where something else is stored.

    Args:
        stored: its emotion and confidence.
        own: its affect. The model gave it where two of it are not what the scores say.
    """
    best = scored(model.classes, np.frombuffer(scores, "<f4"))
    affect = {
        name: best[name]
        for name, there in zip(DIMENSIONS, own, strict=True)
        if None not in (*own, best[name]) and abs(there - best[name]) > ROUNDED
    }
    says = {name: best[name] for name, there in stored.items() if there != best[name]}
    return says | (affect if len(affect) == 1 else {})


def seal_embeddings(session: Session, model: ModelInfo, after: int = 0) -> int | None:
    """Note the checksums of some embeddings that have none, of clips beyond ``after``; the last
    of those clips, None when there are no more."""
    query = (
        select(Embedding.clip_id, Embedding.vector, Embedding.scores)
        .where(
            Embedding.model_id == model.id,
            Embedding.clip_id > after,
            Embedding.vector_crc32.is_(None),
        )
        .order_by(Embedding.clip_id)
        .limit(ROWS)
    )
    rows = session.execute(query).all()
    for clip, vector, scores in rows:
        session.execute(
            update(Embedding)
            .where(Embedding.clip_id == clip, Embedding.model_id == model.id)
            .values(vector_crc32=crc32(vector), scores_crc32=crc32(scores))
            .execution_options(synchronize_session=False)
        )
    return rows[-1][0] if rows else None


def derive_anew(session: Session, model: ModelInfo, clips: list[int]) -> None:
    """Write the emotion of clips, its score and their affect, as their scores say."""
    stored = select(Embedding.clip_id, Embedding.scores, *_AFFECT)
    stored = stored.where(Embedding.model_id == model.id)
    for some in chunks(clips):
        for clip, scores, *own in session.execute(stored.where(Embedding.clip_id.in_(some))).all():
            says = _denied(model, scores, {"emotion": "", "confidence": ""}, own)
            session.execute(
                update(Embedding)
                .where(Embedding.clip_id == clip, Embedding.model_id == model.id)
                .values(says)
                .execution_options(synchronize_session=False)
            )
    if clips:
        note_changed(session, clips)


def recordings_of(session: Session, clips: list[int]) -> list[tuple[int, int]]:
    """Clips, each with its recording."""
    return [
        (clip, recording)
        for some in chunks(clips)
        for clip, recording in session.execute(
            select(Clip.id, Clip.recording_id).where(Clip.id.in_(some))
        )
    ]


def remove_embeddings(session: Session, model: ModelInfo, clips: list[int]) -> None:
    """Remove the embeddings of clips, which stay, so that they are made anew."""
    for some in chunks(clips):
        session.execute(
            delete(Embedding).where(Embedding.model_id == model.id, Embedding.clip_id.in_(some))
        )


def _cure(table: Table) -> str:
    return _CURES.get(table.name, _RESTORE)


def _first_line(error: object) -> str:
    cause = getattr(error, "orig", None) or error
    return (str(cause).strip().splitlines() or [type(error).__name__])[0]
