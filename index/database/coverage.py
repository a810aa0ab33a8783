"""Models of an archive by coverage: clips without an embedding, filling in, switching, dropping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.orm import Session

from emotion_search.index.database.bulk import known_clips
from emotion_search.index.database.embeddings import Embedded, count_embedded, insert_embeddings
from emotion_search.index.database.models import ModelInfo, active_model, list_models
from emotion_search.index.database.schema import Archive, Base, Clip, Embedding, Model, Recording
from emotion_search.index.errors import ModelMismatchError, NotFoundError, UnusableError

_SHORTEST_PREFIX = 6  # characters of a fingerprint that name a model


@dataclass(frozen=True)
class Holding:
    """What an archive holds of a model.

    Attributes:
        embedded: clips with an embedding under it.
        clips: clips that there are.
        active: whether it serves.
    """

    model: ModelInfo
    embedded: int
    clips: int
    active: bool

    @property
    def missing(self) -> int:
        """Clips without an embedding under it."""
        return self.clips - self.embedded


@dataclass(frozen=True)
class MissingClip:
    """A clip without an embedding: id, channel (None for all mixed down), span in seconds."""

    id: int
    channel: int | None
    start: float
    end: float


def list_holdings(session: Session) -> list[Holding]:
    """The models of the archive, in the order in which they came."""
    clips = session.execute(select(func.count()).select_from(Clip)).scalar_one()
    active = session.scalar(select(Archive.active_model_id))
    return [
        Holding(model, count_embedded(session, model), clips, model.id == active)
        for model in list_models(session)
    ]


def holding_called(session: Session, name: str) -> Holding:
    """The model of this name, or whose fingerprint begins so.

    Raises:
        NotFoundError: the archive has none; names those that it has.
        InvalidInputError: several are meant.
    """
    holdings = list_holdings(session)
    found = [one for one in holdings if one.model.name == name]
    if not found and len(name) >= _SHORTEST_PREFIX:
        found = [one for one in holdings if one.model.fingerprint.startswith(name.lower())]
    if not found:
        names = ", ".join(one.model.name for one in holdings) or "none"
        raise NotFoundError(
            f"the archive has no embeddings of a model {name}; it has: {names}; fill it in with:"
            " emotion-search reembed"
        )
    if len(found) > 1:
        prints = ", ".join(one.model.fingerprint[:12] for one in found)
        raise UnusableError(
            f"{len(found)} models of this archive are called {name}: name one by its fingerprint,"
            f" {prints}"
        )
    return found[0]


def has_clips(session: Session) -> bool:
    """Whether the archive has any clip."""
    return bool(session.scalar(select(exists(select(Clip.id)))))


def count_missing(session: Session, model: ModelInfo) -> tuple[int, int]:
    """How many clips lack an embedding under the model, and how many clips there are."""
    clips = session.execute(select(func.count()).select_from(Clip)).scalar_one()
    return clips - count_embedded(session, model), clips


def unfilled_recordings(session: Session, model_id: int, *, after: int, most: int) -> list[int]:
    """Up to ``most`` ids of recordings of which some clip lacks an embedding under the model,
    ascending, from beyond ``after``."""
    lacks = (
        exists()
        .where(Clip.recording_id == Recording.id)
        .where(~exists().where(Embedding.clip_id == Clip.id, Embedding.model_id == model_id))
    )
    query = select(Recording.id).where(Recording.id > after, lacks)
    return list(session.scalars(query.order_by(Recording.id).limit(most)))


def missing_clips(session: Session, model_id: int, recording_id: int) -> list[MissingClip]:
    """The clips of a recording that lack an embedding under the model, by id."""
    query = select(Clip.id, Clip.channel, Clip.start, Clip.end).where(
        Clip.recording_id == recording_id,
        ~exists().where(Embedding.clip_id == Clip.id, Embedding.model_id == model_id),
    )
    return [MissingClip(*row) for row in session.execute(query.order_by(Clip.id))]


def add_embeddings(session: Session, model_id: int, embedded: Sequence[Embedded]) -> int:
    """Store embeddings under a model; returns how many. A clip that is gone by now, or that another
    process gave its embedding, is passed over."""
    ids = [one[0] for one in embedded]
    here = known_clips(session, ids)
    done = select(Embedding.clip_id).where(
        Embedding.model_id == model_id, Embedding.clip_id.in_(ids)
    )
    wanted = here - set(session.scalars(done))
    new = [one for one in embedded if one[0] in wanted]
    if new:
        insert_embeddings(session, model_id, new)
    return len(new)


def require_filled(session: Session, model: ModelInfo, *, partial: bool = False) -> None:
    """Check that every clip has an embedding under the model; with ``partial``, that some has.

    Raises:
        ModelMismatchError: says how many lack one.
    """
    missing, clips = count_missing(session, model)
    if missing and not (partial and missing < clips):
        raise ModelMismatchError(
            f"{missing} of {clips} clips have no embedding of {model.name}: fill them in with:"
            f" emotion-search reembed --model {model.name}"
            + ("" if missing == clips else "; or switch without them by --partial")
        )


def switch_model(session: Session, model: ModelInfo, *, partial: bool = False) -> None:
    """Let a model serve whose embeddings the archive holds.

    Args:
        partial: also where some clips have no embedding under it; no search will find those.

    Raises:
        ModelMismatchError: clips lack embeddings under it; says how many.
    """
    require_filled(session, model, partial=partial)
    session.execute(update(Archive).values(active_model_id=model.id))


def drop_model(session: Session, model: ModelInfo) -> int:
    """Remove a model with its embeddings and all that was made of them; returns how many
    embeddings.

    Raises:
        InvalidInputError: it serves the archive.
    """
    active = active_model(session)
    if active is not None and active.id == model.id:
        raise UnusableError(
            f"{model.name} serves the archive; let another model serve first: emotion-search use"
        )
    removed = count_embedded(session, model)
    for table in reversed(Base.metadata.sorted_tables):
        for key in table.foreign_keys:
            if key.references(Model.__table__) and table is not Archive.__table__:
                session.execute(delete(table).where(key.parent == model.id))
    session.execute(delete(Model).where(Model.id == model.id))
    return removed
