"""Embedding spaces and their calibrations: storing, listing, choosing the one that serves."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import NamedTuple

import numpy as np
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, defer

from emotion_search.index.database.baselines import (
    centres,
    group_means,
    means,
    places_of,
    put_baselines,
)
from emotion_search.index.database.bulk import insert_or_replace
from emotion_search.index.database.models import ModelInfo, revision_and_space, score_anew
from emotion_search.index.database.schema import CalibrationRow, Model, SpaceRow, as_details
from emotion_search.index.errors import NotFoundError
from emotion_search.index.vectors.arrays import Ids, Vectors, normalise
from emotion_search.index.vectors.baselines import (
    FEWEST,
    Baselines,
    Group,
    Place,
    group_of,
    keys_of,
    shrunk,
)
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


@dataclass(frozen=True, eq=False)
class ArchiveSpace:
    """A space as it stands in the archive: with the baselines of the clips, where it has such.

    Attributes:
        baselines: version of the space whose baselines it takes; None for none.
        fitted_at: when; None for the plain one.
    """

    model: ModelInfo
    version: int = 0
    map: Space = field(default_factory=Space)
    baselines: int | None = None
    fitted_at: datetime | None = None

    def turn(self, session: Session, ids: Ids, vectors: Vectors) -> Vectors:
        """Embeddings of the clips ``ids`` (float32, (n, dim), as stored) in this space: float32,
        (n, dim), L2-normalised.

        Raises:
            InvalidInputError: a vector is zero or not finite.
        """
        return self.map.apply(vectors, self.centres(session, ids))

    def centres(self, session: Session, ids: Ids) -> Vectors | None:
        """What is subtracted from the clips ``ids``: float32, (n, dim) for their baselines, (dim,)
        for the archive's mean; None for nothing."""
        mean = self.map.mean
        if mean is None or self.baselines is None:
            return mean
        return centres(session, self.model, self.baselines, places_of(session, ids), mean)

    def centre_at(
        self, session: Session, place: Place, vectors: Vectors
    ) -> tuple[Vectors | None, Group | None]:
        """What is subtracted from ``vectors`` (float32, (n, dim)) of one recording that was not
        ingested, float32, (dim,), None for nothing; and whose baseline that is, in a space of such.

        The baseline of the speaker, if the space knows the one that is named, the nearest of
        several (of several channels, or of several sources where none is named); else that of the
        source, the one named or the one that is nearest, drawn towards the vectors' own mean if
        they are five or more.
        """
        mean = self.map.mean
        if mean is None or self.baselines is None:
            return mean, None
        keys = keys_of(place)
        known = means(session, self.model, self.baselines, keys)
        centre, group = mean, Group("archive")
        for key in keys[::-1]:
            if key in known:
                centre, group = known[key], group_of(key, place)
        unit = normalise(vectors)
        total = unit.sum(axis=0, dtype=np.float64)
        near: list[tuple[Vectors, Group]] = []
        several = place.source is None or place.channel is None
        if place.speaker is not None and (several or group.level != "speaker"):
            near = group_means(session, self.model, self.baselines, place)
        if group.level == "archive" and not near:
            near = group_means(session, self.model, self.baselines, Place())
        if near:
            centre, group = min(near, key=lambda one: np.linalg.norm(one[0] - total / len(unit)))
        if group.level == "speaker":
            return centre, group
        if len(unit) < FEWEST:
            return centre, group
        return shrunk(total, len(unit), centre), Group("recording", group.source)

    @property
    def fingerprint(self) -> str:
        """Hex sha256 of what decides its output. Baselines never change once they are fitted: their
        version and time stand for them."""
        if self.baselines is None:
            return self.map.fingerprint
        text = f"{self.map.fingerprint} {self.baselines} {self.fitted_at}"
        return sha256(text.encode()).hexdigest()


class Standing(NamedTuple):
    """Where a session sees an archive stand.

    Attributes:
        revision: the last of the model's embeddings.
        changes: the last of what else is known of clips; see ``changes``.
        space: version of the model's space that serves.
        serving: the model that serves the archive.
        calibrated: clips of the archive when that space was calibrated; None if it never was.
    """

    revision: int
    changes: int
    space: int
    serving: int | None
    calibrated: int | None


_STANDING = (  # past SQLAlchemy: every search asks it
    "SELECT m.revision, a.revision, m.space_version, a.active_model_id, c.clips FROM archive a"
    " JOIN models m ON m.id = {} LEFT JOIN calibrations c ON c.model_id = m.id"
    " AND c.space_version = m.space_version"
)


def standing(session: Session, model: ModelInfo) -> Standing:
    """Where the archive stands, in one statement.

    Raises:
        NotFoundError: the model was removed.
    """
    row = session.connection().exec_driver_sql(_STANDING.format(f"{model.id:d}")).one_or_none()
    if row is None:
        raise NotFoundError(f"the archive has no model {model.name} any more")
    return Standing(*row)


def active_space(session: Session, model: ModelInfo) -> ArchiveSpace:
    """The space that serves."""
    return get_space(session, model, revision_and_space(session, model.id)[1])


def unsupervised_space(session: Session, model: ModelInfo) -> ArchiveSpace:
    """The space that serves; of one learned from labels what it is without them. It has seen them,
    so that whatever is found in it agrees with them too well."""
    space = active_space(session, model)
    return get_space(session, model, space.baselines or 0) if space.map.method.learned else space


def get_space(session: Session, model: ModelInfo, version: int) -> ArchiveSpace:
    """One space.

    Raises:
        NotFoundError: there is no such version.
    """
    if version == 0:
        return ArchiveSpace(model)
    row = session.get(SpaceRow, (model.id, version))
    if row is None:
        raise _no_space(version)
    matrix = None
    if row.matrix is not None:
        matrix = np.frombuffer(row.matrix, dtype="<f4").reshape(model.dimension, -1)
    space = Space(Method(row.method), np.frombuffer(row.mean, dtype="<f4"), matrix)
    return ArchiveSpace(model, version, space, row.baselines, row.fitted_at)


def list_spaces(session: Session, model: ModelInfo | None) -> list[SpaceInfo]:
    """All spaces of the model, the plain one first; none without a model."""
    if model is None:
        return []
    active = revision_and_space(session, model.id)[1]
    query = select(SpaceRow).where(SpaceRow.model_id == model.id).order_by(SpaceRow.version)
    query = query.options(defer(SpaceRow.mean), defer(SpaceRow.matrix))
    return [
        SpaceInfo(0, Method.PLAIN, None, 0, None, None, active == 0),
        *(
            as_details(SpaceInfo, row, method=Method(row.method), active=row.version == active)
            for row in session.scalars(query)
        ),
    ]


def add_space(
    session: Session,
    model: ModelInfo,
    space: Space,
    *,
    task: str | None,
    clips: int,
    gain: float | None,
    baselines: Baselines | int | None = None,
) -> int:
    """Store a fitted space under the next version and let it serve; returns the version.

    Args:
        baselines: of a grouped space: its own, or the version of the space whose ones it takes.
    """
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
            baselines=version if isinstance(baselines, Baselines) else baselines,
            fitted_at=datetime.now(UTC),
        )
    )
    session.flush()
    if isinstance(baselines, Baselines):
        put_baselines(session, model, version, baselines)
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
    before = serving_baselines(session, model)
    session.execute(update(Model).where(Model.id == model.id).values(space_version=version))
    if serving_baselines(session, model) != before:
        score_anew(session, model)


def serving_baselines(session: Session, model: ModelInfo) -> int | None:
    """The version of the space whose baselines the serving one takes; None for none."""
    serves = (SpaceRow.model_id == Model.id) & (SpaceRow.version == Model.space_version)
    query = select(SpaceRow.baselines).join(Model, serves).where(Model.id == model.id)
    return session.scalar(query)


def _no_space(version: int) -> NotFoundError:
    return NotFoundError(
        f"no space {version} in this archive; list them with: emotion-search tune --list"
    )


def get_calibration(session: Session, model: ModelInfo, version: int) -> Calibration | None:
    """The calibration of a space; None while there is none."""
    row = session.get(CalibrationRow, (model.id, version))
    if row is None:
        return None
    return Calibration(np.frombuffer(row.quantiles, dtype="<f4"), row.clips)


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
