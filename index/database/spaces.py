"""Embedding spaces and their calibrations: storing, listing, choosing the one that serves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from emotion_search.index.database.models import ModelInfo, revision_and_space
from emotion_search.index.database.schema import CalibrationRow, Model, SpaceRow
from emotion_search.index.database.upsert import insert_or_replace
from emotion_search.index.errors import NotFoundError
from emotion_search.index.vectors.percentiles import Calibration
from emotion_search.index.vectors.space import Method, Space

SAMPLE = 10_000
"""Most clips that a space is fitted on."""

PAIRED = 4000
"""Most clips that a calibration draws its pairs from."""


@dataclass(frozen=True)
class SpaceInfo:
    """A space of the archive.

    Attributes:
        version: 0 for the plain one, which is always there.
        method: how it was fitted.
        task: the task whose labels taught it; None if no labels did.
        clips: how many it was fitted on.
        gain: mAP on unseen speakers over the plain space; None if that could not be measured.
        fitted_at: when; None for the plain one.
        active: whether it serves.
    """

    version: int
    method: Method
    task: str | None
    clips: int
    gain: float | None
    fitted_at: datetime | None
    active: bool


def active_space(session: Session, model: ModelInfo) -> tuple[int, Space]:
    """Version and map of the space that serves."""
    version = revision_and_space(session, model.id)[1]
    return version, get_space(session, model, version)


def unsupervised_space(session: Session, model: ModelInfo) -> tuple[int, Space]:
    """Version and map of the space that serves; of the plain one where that was learned from
    labels. It has seen them, so that whatever is found in it agrees with them too well."""
    version, space = active_space(session, model)
    return (0, Space()) if space.method is Method.LEARNED else (version, space)


def get_space(session: Session, model: ModelInfo, version: int) -> Space:
    """One space.

    Raises:
        NotFoundError: there is no such version.
    """
    if version == 0:
        return Space()
    row = session.get(SpaceRow, (model.id, version))
    if row is None:
        raise _no_space(version)
    matrix = None
    if row.matrix is not None:
        matrix = np.frombuffer(row.matrix, dtype="<f4").reshape(model.dimension, -1)
    return Space(Method(row.method), np.frombuffer(row.mean, dtype="<f4"), matrix)


def list_spaces(session: Session, model: ModelInfo) -> list[SpaceInfo]:
    """All spaces of the model, the plain one first."""
    active = revision_and_space(session, model.id)[1]
    columns = [
        getattr(SpaceRow, name)
        for name in ("version", "method", "task", "clips", "gain", "fitted_at")
    ]
    query = select(*columns).where(SpaceRow.model_id == model.id).order_by(SpaceRow.version)
    spaces = [SpaceInfo(0, Method.PLAIN, None, 0, None, None, active == 0)]
    for version, method, task, clips, gain, fitted_at in session.execute(query):
        serves = active == version
        spaces.append(SpaceInfo(version, Method(method), task, clips, gain, fitted_at, serves))
    return spaces


def add_space(
    session: Session,
    model: ModelInfo,
    space: Space,
    *,
    task: str | None,
    clips: int,
    gain: float | None,
) -> int:
    """Store a fitted space under the next version and let it serve; returns the version."""
    assert space.mean is not None  # the plain space is never stored
    last = select(func.max(SpaceRow.version)).where(SpaceRow.model_id == model.id)
    version = (session.scalar(last) or 0) + 1
    session.add(
        SpaceRow(
            model_id=model.id,
            version=version,
            method=space.method.value,
            task=task,
            clips=clips,
            mean=space.mean.astype("<f4").tobytes(),
            matrix=None if space.matrix is None else space.matrix.astype("<f4").tobytes(),
            gain=gain,
            fitted_at=datetime.now(UTC),
        )
    )
    use_space(session, model, version)
    return version


def use_space(session: Session, model: ModelInfo, version: int) -> None:
    """Let a space serve that is there already.

    Raises:
        NotFoundError: there is no such version.
    """
    if version != 0:
        if not 0 < version < 2**31:  # beyond what a database can be asked
            raise _no_space(version)
        there = select(SpaceRow.version).where(
            SpaceRow.model_id == model.id, SpaceRow.version == version
        )
        if session.execute(there).first() is None:
            raise _no_space(version)
    session.execute(update(Model).where(Model.id == model.id).values(space_version=version))


def _no_space(version: int) -> NotFoundError:
    return NotFoundError(f"no space {version} in this archive; list them with: tune --list")


def get_calibration(session: Session, model: ModelInfo, version: int) -> Calibration | None:
    """The calibration of a space; None while there is none."""
    row = session.get(CalibrationRow, (model.id, version))
    if row is None:
        return None
    return Calibration(np.frombuffer(row.quantiles, dtype="<f4"), row.clips)


def calibrated_clips(session: Session, model: ModelInfo, version: int) -> int | None:
    """How many clips the archive had when the space was calibrated; None if it never was."""
    return session.execute(
        select(CalibrationRow.clips).where(
            CalibrationRow.model_id == model.id, CalibrationRow.space_version == version
        )
    ).scalar_one_or_none()


def put_calibration(
    session: Session, model: ModelInfo, version: int, calibration: Calibration
) -> None:
    """Store the calibration of a space in place of its last."""
    insert_or_replace(
        session,
        CalibrationRow,
        [
            {
                "model_id": model.id,
                "space_version": version,
                "clips": calibration.clips,
                "quantiles": calibration.quantiles.astype("<f4").tobytes(),
            }
        ],
    )
