"""Classifiers: storing, listing, finding and deleting them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session, defer

from emotion_search.index.database.changes import note_changed
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.nearest import nearest
from emotion_search.index.database.schema import ClassifierRow, Clip, Model, Prediction, as_details
from emotion_search.index.errors import ModelMismatchError, NotFoundError


@dataclass(frozen=True)
class ClassifierInfo:
    """A classifier that was trained on the labels of a task.

    Attributes:
        id: in the archive.
        task, version: its name; versions of a task count from 1.
        method: how it decides.
        classes: the values that it predicts, in order.
        model: name of the model whose embeddings it knows.
        space_version: of the space its features are taken in.
        provenance: what it was trained on and how well it did; plain data.
        predictions: how many clips it has classified.
    """

    id: int
    task: str
    version: int
    method: str
    classes: tuple[str, ...]
    model: str
    space_version: int
    provenance: Mapping[str, Any]
    created_at: datetime
    predictions: int


def add_classifier(
    session: Session,
    model: ModelInfo,
    *,
    task: str,
    method: str,
    classes: Sequence[str],
    space_version: int,
    provenance: Mapping[str, Any],
    parameters: bytes,
) -> int:
    """Store a classifier as the next version of its task; returns its id."""
    last = select(func.max(ClassifierRow.version)).where(ClassifierRow.task == task)
    row = ClassifierRow(
        model_id=model.id,
        task=task,
        version=(session.scalar(last) or 0) + 1,
        method=method,
        classes=list(classes),
        space_version=space_version,
        provenance=dict(provenance),
        parameters=parameters,
        created_at=datetime.now(UTC),
    )
    session.add(row)
    session.flush()
    return row.id


def list_classifiers(session: Session, task: str | None = None) -> list[ClassifierInfo]:
    """All classifiers, or those of a task, by task and version."""
    counts = (
        select(Prediction.classifier_id, func.count().label("n"))
        .group_by(Prediction.classifier_id)
        .subquery()
    )
    query = (
        select(ClassifierRow, Model.name, func.coalesce(counts.c.n, 0))
        .options(defer(ClassifierRow.parameters))
        .join(Model, Model.id == ClassifierRow.model_id)
        .outerjoin(counts, counts.c.classifier_id == ClassifierRow.id)
        .order_by(ClassifierRow.task, ClassifierRow.version)
    )
    if task is not None:
        query = query.where(ClassifierRow.task == task)
    return [
        as_details(ClassifierInfo, row, classes=tuple(row.classes), model=model, predictions=n)
        for row, model, n in session.execute(query)
    ]


def get_classifier(
    session: Session, model: ModelInfo, task: str, version: int | None = None
) -> tuple[ClassifierInfo, bytes]:
    """A classifier of a task and its parameters: the latest trained on this model's embeddings, or
    the version named.

    Raises:
        NotFoundError: there is none.
        ModelMismatchError: it knows the embeddings of another model.
    """
    found = list_classifiers(session, task)
    if not found:
        near = nearest(task, set(session.scalars(select(ClassifierRow.task))))
        raise NotFoundError(
            f"no classifier for the task {task} in this archive{near}; train one with:"
            f" emotion-search train --task {task}"
        )
    if version is not None:
        found = [one for one in found if one.version == version]
        if not found:
            raise _no_version(task, version)
    ours = select(ClassifierRow.id).where(
        ClassifierRow.model_id == model.id, ClassifierRow.task == task
    )
    known = set(session.scalars(ours))
    fitting = [one for one in found if one.id in known]
    if not fitting:
        raise ModelMismatchError(
            f"classifier {task} {found[-1].version} was trained on embeddings of model"
            f" {found[-1].model}, not of {model.name}, which this archive serves; train it again"
            f" with: emotion-search train --task {task}"
        )
    parameters = select(ClassifierRow.parameters).where(ClassifierRow.id == fitting[-1].id)
    return fitting[-1], session.execute(parameters).scalar_one()


def delete_classifier(session: Session, task: str, version: int) -> int:
    """Delete a classifier with its predictions; returns how many those were.

    Raises:
        NotFoundError: there is none of this version.
    """
    found = [one for one in list_classifiers(session, task) if one.version == version]
    if not found:
        raise _no_version(task, version)
    by_it = Prediction.classifier_id == found[0].id
    note_changed(session, Clip.id.in_(select(Prediction.clip_id).where(by_it)))
    session.execute(delete(Prediction).where(by_it))
    session.execute(delete(ClassifierRow).where(ClassifierRow.id == found[0].id))
    return found[0].predictions


def _no_version(task: str, version: int) -> NotFoundError:
    return NotFoundError(
        f"no classifier for the task {task} of version {version}; list them with:"
        " emotion-search classifiers"
    )
