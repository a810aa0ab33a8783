"""The labelled clips of an archive with their embeddings, sources, sentences and scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

import numpy as np

from emotion_search.engine.quality.labelled import (
    SENTENCE_KEY,
    LabelledVectors,
    sentences_under,
    voices_of,
)
from emotion_search.index.database.baselines import places_of
from emotion_search.index.database.connection import Database, Session
from emotion_search.index.database.embeddings import draw, embeddings_in_order
from emotion_search.index.database.labelled_clips import LabelledClips, context_of, labelled_clips
from emotion_search.index.database.labels import no_labels
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.spaces import active_space
from emotion_search.index.errors import NotFoundError
from emotion_search.index.vectors.baselines import Baselines, fit_baselines
from emotion_search.index.vectors.space import Space


def labelled(
    database: Database,
    models: Sequence[ModelInfo],
    task: str,
    *,
    most: int,
    sentence_key: str | None = None,
) -> list[tuple[LabelledVectors, Space]]:
    """Embeddings of the labelled clips under each of the models, not in any space yet, and the
    space that serves: the same clips, those with an embedding under all (a random sample beyond
    ``most``), with what is known of them.

    Args:
        sentence_key: the metadata key of the words spoken, in place of ``text``.

    Raises:
        NotFoundError: no labels.
        InvalidInputError: too few labels, or no labelled clip has the ``sentence_key``.
    """
    with database.read() as session:
        found = [labelled_clips(session, model, task) for model in models]
        ids = reduce(np.intersect1d, [clips.ids for clips in found])
        if not len(ids):
            if len(models) == 1:
                raise no_labels(session, task)
            raise NotFoundError(
                f"no clip has a label under the task {task} and an embedding of each model; fill"
                " them in with: emotion-search reembed"
            )
        clips = sample(found[0].part(np.flatnonzero(np.isin(found[0].ids, ids))), most)
        made = []
        for model in models:
            space = active_space(session, model)
            data = labelled_vectors(session, model, clips, sentence_key=sentence_key)
            if space.baselines is not None:
                data = replace(data, centres=space.centres(session, clips.ids))
            made.append((data, space.map))
        return made


def sample(clips: LabelledClips, most: int) -> LabelledClips:
    """The clips, or ``most`` of them drawn at random, always the same ones."""
    if len(clips.ids) <= most:
        return clips
    return clips.part(draw(np.arange(len(clips.ids)), most))


def labelled_vectors(
    session: Session,
    model: ModelInfo,
    clips: LabelledClips,
    *,
    sentence_key: str | None = None,
    baselines: Baselines | None = None,
) -> LabelledVectors:
    """Labelled clips with their embeddings and what is known of them; speakers only where all are.

    Args:
        sentence_key: the metadata key of the words spoken, in place of ``text``.
        baselines: of the archive; those of these clips alone if left out.

    Raises:
        InvalidInputError: too few of them, or of their classes, or none has the ``sentence_key``.
    """
    vectors = embeddings_in_order(session, model, clips.ids)
    known = context_of(session, model, clips.ids, sentence_key or SENTENCE_KEY)
    recordings = clips.recordings.astype(str)
    data = LabelledVectors(
        vectors,
        clips.labels,
        clips.speakers if clips.speakers.all() else None,
        recordings,
        model.name,
        sources=known.sources if known.sources.any() else None,
        sentences=sentences_under(sentence_key, known.sentences),
        scores=known.scores if model.classes else None,
        score_classes=tuple(model.classes),
        affect=known.affect,
        voices=None if clips.speakers.all() else voices_of(clips.speakers, recordings),
    )
    places = places_of(session, clips.ids)
    baselines = baselines or fit_baselines([(places, vectors)])
    if baselines is None or not baselines.groups:
        return data
    return replace(data, centres=np.stack([baselines.centre(place) for place in places]))
