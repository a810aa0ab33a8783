"""Baselines in the database: whose each clip is, storing them, what each clip's is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, exists, insert, select
from sqlalchemy.orm import Session

from emotion_search.index.database.bulk import chunks
from emotion_search.index.database.embeddings import stream
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.schema import SPEAKER, BaselineRow, Clip, Recording
from emotion_search.index.database.speakers import speaks
from emotion_search.index.database.text import clean
from emotion_search.index.errors import UnusableError
from emotion_search.index.vectors.arrays import Ids, Vectors
from emotion_search.index.vectors.baselines import (
    Baselines,
    Group,
    Place,
    fit_baselines,
    group_of,
    keys_of,
)


def places_of(session: Session, ids: Ids) -> list[Place]:
    """Where clips come from, in the order of ``ids``; of one that is not there, nothing is
    known."""
    query = select(Clip.id, Recording.source, SPEAKER, Recording.id, Clip.channel).join(
        Recording, Recording.id == Clip.recording_id
    )
    found: dict[int, Place] = {}
    for some in chunks(np.sort(ids).tolist()):
        dense = some[-1] - some[0] < 2 * len(some)
        wanted = Clip.id.between(some[0], some[-1]) if dense else Clip.id.in_(some)
        rows = session.execute(query.where(wanted))
        found.update((row[0], Place(row[1], row[2], row[3], row[4])) for row in rows)
    return [found.get(clip, Place()) for clip in ids.tolist()]


def voices_of_clips(session: Session, ids: Ids) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """Who speaks in clips that are there, in the order of ``ids``, (n,): ``speaker …``, or where
    that is not known ``recording …``; and their sources, (n,), empty text where unknown."""
    places = places_of(session, ids)
    voices = [f"speaker {p.speaker}" if p.speaker else f"recording {p.recording}" for p in places]
    return np.array(voices, str), np.array([place.source or "" for place in places], str)


def fit(session: Session, model: ModelInfo) -> Baselines | None:
    """The baselines of every clip that the session sees; None where there is none."""

    def parts() -> Iterator[tuple[list[Place], Vectors]]:
        for ids, vectors in stream(session, model):
            yield places_of(session, ids), vectors

    return fit_baselines(parts())


def put_baselines(session: Session, model: ModelInfo, version: int, fitted: Baselines) -> None:
    """Store the groups' baselines of a new space; of recordings that were removed meanwhile none
    are kept."""
    for some in chunks(list(fitted.groups.values())):
        named = {one.place.recording for one in some if one.place.recording is not None}
        there = set(session.scalars(select(Recording.id).where(Recording.id.in_(named))))
        rows = [
            {
                "model_id": model.id,
                "space_version": version,
                "key": one.key,
                "source": one.place.source,
                "speaker": one.place.speaker,
                "recording_id": one.place.recording,
                "channel": one.place.channel,
                "clips": one.clips,
                "mean": one.mean.astype("<f4").tobytes(),
            }
            for one in some
            if one.place.recording is None or one.place.recording in there
        ]
        if rows:
            session.execute(insert(BaselineRow), rows)


def centres(
    session: Session, model: ModelInfo, version: int, places: Sequence[Place], mean: Vectors
) -> Vectors:
    """The baselines of clips that come from these places, float32 (n, dim), in a space: of the
    closest group that has one, else ``mean``."""
    keys = {place: keys_of(place) for place in set(places)}
    known = means(session, model, version, {key for chain in keys.values() for key in chain})
    of_place = {
        place: next((known[key] for key in chain if key in known), mean)
        for place, chain in keys.items()
    }
    rows = [of_place[place] for place in places]
    return np.asarray(rows, np.float32).reshape(len(rows), len(mean))


def means(
    session: Session, model: ModelInfo, version: int, keys: Iterable[str]
) -> dict[str, Vectors]:
    """The baselines, float32 (dim,), of those of these groups (``keys_of``) that have one."""
    known: dict[str, Vectors] = {}
    for some in chunks(sorted(keys)):
        stored = session.execute(
            select(BaselineRow.key, BaselineRow.mean).where(
                BaselineRow.model_id == model.id,
                BaselineRow.space_version == version,
                BaselineRow.key.in_(some),
            )
        )
        known.update((key, np.frombuffer(data, "<f4")) for key, data in stored)
    return known


def group_at(session: Session, model: ModelInfo, version: int, place: Place) -> Group:
    """The closest group of a clip of the archive that has a baseline in a space."""
    keys = keys_of(place)
    sql = _KNOWN if session.get_bind().dialect.name == "sqlite" else _KNOWN.replace("?", "%s")
    rows = session.connection().exec_driver_sql(sql, (model.id, version, keys[0], keys[-1])).all()
    known = {key for (key,) in rows}
    return next((group_of(key, place) for key in keys if key in known), Group("archive"))


_KNOWN = (  # past SQLAlchemy: every search asks it
    "SELECT key FROM baselines WHERE model_id = ? AND space_version = ? AND key IN (?, ?)"
)


def group_means(
    session: Session, model: ModelInfo, version: int, place: Place
) -> list[tuple[Vectors, Group]]:
    """The baselines in a space, float32 (dim,), of the groups that a place may be of, and whose
    these are: those of its speaker, in its source if one is named; without a speaker all
    sources'."""
    query = select(BaselineRow).where(
        BaselineRow.model_id == model.id,
        BaselineRow.space_version == version,
        BaselineRow.speaker.is_not_distinct_from(place.speaker),
        BaselineRow.recording_id.is_(None),
    )
    if place.source is not None:
        query = query.where(BaselineRow.source == place.source)
    level: Literal["speaker", "nearest source"] = "speaker" if place.speaker else "nearest source"
    return [
        (np.frombuffer(row.mean, "<f4"), Group(level, row.source, row.speaker, None, row.channel))
        for row in session.scalars(query.order_by(BaselineRow.key))
    ]


def forget_speakers(session: Session) -> None:
    """Remove the baselines of speakers of whom there is no recording any more, under that name."""
    same_source = Recording.source.is_not_distinct_from(BaselineRow.source)
    whole = exists().where(Recording.speaker == BaselineRow.speaker, same_source)
    part = exists().where(
        Clip.speaker == BaselineRow.speaker, Recording.id == Clip.recording_id, same_source
    )
    session.execute(delete(BaselineRow).where(BaselineRow.speaker.is_not(None), ~whole, ~part))


def located(session: Session, place: Place) -> Place:
    """A place as the archive knows it: of a speaker who is of one source and one channel alone,
    these too.

    Raises:
        InvalidInputError: the archive has no such speaker or source, or not together.
    """
    if place.speaker is None and place.source is None:
        return place
    place = place._replace(
        source=place.source and clean("source", place.source),
        speaker=place.speaker and clean("speaker", place.speaker),
    )
    named = [
        f"{name} {value!r}"
        for name, value in (("speaker", place.speaker), ("source", place.source))
        if value is not None
    ]
    query = (
        select(Recording.source, Clip.channel)
        .join(Clip, Clip.recording_id == Recording.id)
        .distinct()
    )
    if place.speaker is not None:
        query = query.where(speaks(place.speaker))
    if place.source is not None:
        query = query.where(Recording.source == place.source)
    found = session.execute(query.limit(2)).all()
    if not found:
        raise UnusableError(f"the archive has no recording of {' in '.join(named)}")
    if place.speaker is None or len(found) > 1:
        return place
    return place._replace(source=found[0][0], channel=found[0][1])
