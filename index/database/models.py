"""The embedding models an archive knows, and the one that serves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from emotion_search.index.database.bulk import insert_new
from emotion_search.index.database.schema import Archive, Clip, Model, as_details
from emotion_search.index.errors import DatabaseError, ModelMismatchError

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""What names an archive, or a home that stores uploads."""


@dataclass(frozen=True)
class ModelInfo:
    """A model as the archive knows it.

    Attributes:
        id: row in the archive.
        name: what the user called it: a hub id, a checkpoint folder, ``voice``.
        fingerprint: hash of weights and configuration; what makes two models the same.
        dimension: length of its embeddings.
        classes: emotion classes of its scores, in order; empty if it gives none.
    """

    id: int
    name: str
    fingerprint: str
    dimension: int
    classes: tuple[str, ...]


def archive_uuid(session: Session) -> str:
    """The identity of the archive.

    Raises:
        DatabaseError: it is none.
    """
    found = session.execute(select(Archive.uuid)).scalar_one()
    if isinstance(found, str) and UUID.fullmatch(found):
        return found
    raise DatabaseError(
        "the archive is damaged: its uuid is not one; see what else is, and the cure:"
        " emotion-search check"
    )


def name_anew(session: Session, known: Sequence[str]) -> list[str]:
    """Give an archive whose identity is damaged the one of the names ``known``, or else a new one;
    what was done, in words."""
    try:
        archive_uuid(session)
    except DatabaseError:
        names = [name for name in known if UUID.fullmatch(name)]
        name = names[0] if len(names) == 1 else str(uuid4())
        session.execute(update(Archive).values(uuid=name))
        new = "" if name in names else "; an ingest takes in again what was forgotten"
        return [f"archive: its uuid is {name}{new}"]
    return []


def active_model(session: Session) -> ModelInfo | None:
    """The model whose embeddings the archive serves; None while it has none.

    Raises:
        DatabaseError: it has clips, and names no model.
    """
    row = session.execute(
        select(Model).join(Archive, Archive.active_model_id == Model.id)
    ).scalar_one_or_none()
    if row is None and session.scalar(select(Clip.id).limit(1)) is not None:
        raise DatabaseError(
            "the archive is damaged: it does not say which model serves; see which it has, and the"
            " cure: emotion-search check"
        )
    return None if row is None else _info(row)


def list_models(session: Session) -> list[ModelInfo]:
    """Every model that the archive knows, in the order in which they came."""
    return [_info(row) for row in session.scalars(select(Model).order_by(Model.id))]


def activate_model(
    session: Session, *, name: str, fingerprint: str, dimension: int, classes: tuple[str, ...]
) -> ModelInfo:
    """The archive's model, which this one becomes if there was none.

    Raises:
        ModelMismatchError: the archive holds embeddings of another model.
    """
    given = register_model(
        session, name=name, fingerprint=fingerprint, dimension=dimension, classes=classes
    )
    session.execute(
        update(Archive).where(Archive.active_model_id.is_(None)).values(active_model_id=given.id)
    )
    active = active_model(session)
    if active is None or active.id != given.id:
        raise mismatch(active.name if active else "nothing", name, fingerprint)
    return active


def register_model(
    session: Session, *, name: str, fingerprint: str, dimension: int, classes: tuple[str, ...]
) -> ModelInfo:
    """The model as the archive knows it from now on; which one serves does not change."""
    insert_new(
        session,
        Model,
        [
            {
                "name": name,
                "fingerprint": fingerprint,
                "dimension": dimension,
                "classes": list(classes),
                "revision": 0,
            }
        ],
    )
    return _info(
        session.execute(select(Model).where(Model.fingerprint == fingerprint)).scalar_one()
    )


def rename_model(session: Session, fingerprint: str, name: str) -> None:
    """Call the model of this fingerprint something else: it lies elsewhere now."""
    session.execute(update(Model).where(Model.fingerprint == fingerprint).values(name=name))


def mismatch(archive_model: str, asked: str, fingerprint: str | None = None) -> ModelMismatchError:
    """The error for a model that is not the archive's; ``fingerprint`` is its own, where known."""
    if archive_model == asked and fingerprint is not None:
        return ModelMismatchError(
            f"this archive holds embeddings of other weights of {asked} than are here: its clips"
            " can be searched; it takes in new ones once it is moved, with: emotion-search"
            f" reembed --model {asked} && emotion-search use {fingerprint[:12]}"
        )
    same = archive_model == asked
    named = f"{asked} (the same name, but other weights or configuration)" if same else asked
    with_its_own = "" if same else "leave --model out, "
    return ModelMismatchError(
        f"this archive holds embeddings of model {archive_model}, not of {named}: vectors of two"
        f" models cannot be compared; {with_its_own}use another --home, or move the archive to it"
        " with: emotion-search reembed"
    )


def next_revision(session: Session, model_id: int) -> int:
    """A new revision, in commit order: the model's row stays locked until the transaction ends."""
    return session.execute(
        update(Model)
        .where(Model.id == model_id)
        .values(revision=Model.revision + 1)
        .returning(Model.revision)
    ).scalar_one()


def score_anew(session: Session, model: ModelInfo) -> None:
    """Have the scores of all clips made anew: other centres came into force."""
    session.execute(
        update(Model).where(Model.id == model.id).values(score_version=Model.score_version + 1)
    )


def revision_and_space(session: Session, model_id: int) -> tuple[int, int]:
    """The last revision, and the version of the space that serves, in this session's snapshot."""
    query = select(Model.revision, Model.space_version).where(Model.id == model_id)
    revision, space_version = session.execute(query).one()
    return revision, space_version


def _info(row: Model) -> ModelInfo:
    return as_details(ModelInfo, row, classes=tuple(row.classes))
