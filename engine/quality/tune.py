"""Fitting a space to an archive: centring, whitening or a learned metric, by mAP on speakers."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.quality.labelled import SENTENCE_KEY, LabelledVectors, sentences_under
from emotion_search.engine.quality.retrieval import Gallery, judge
from emotion_search.index.database.clips import voices_of_clips
from emotion_search.index.database.connection import Database
from emotion_search.index.database.embeddings import (
    count_embedded,
    draw,
    embeddings_in_order,
    sample_clips,
)
from emotion_search.index.database.filters import EMOTION
from emotion_search.index.database.labelled_clips import (
    LabelledClips,
    context_of,
    labelled_clips,
)
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.spaces import (
    PAIRED,
    SAMPLE,
    active_space,
    add_space,
    calibrated_clips,
    list_spaces,
    put_calibration,
    use_space,
)
from emotion_search.index.errors import InvalidInputError
from emotion_search.index.vectors.percentiles import calibrate
from emotion_search.index.vectors.space import Method, Space, fit_space

log = logging.getLogger(__name__)

FEWEST = 50
"""Fewest clips that a space is fitted to."""

_ROUNDS = 4  # random halves of the speakers; each half is fitted to once and judged once
_QUERIES = 1000  # of each half
_WORTH = 0.005  # mAP that a less simple method has to gain
_DRIFT = 0.1  # share by which an archive changes before its percentiles are taken anew


@dataclass(frozen=True)
class Tuning:
    """What came of fitting a space.

    Attributes:
        version: of the space that serves now.
        method: its method.
        clips: how many clips it was fitted on.
        task: whose labels were used; None if there were too few.
        quality: mAP on the halves of the speakers that were not fitted to, by method; empty
            without labels.
    """

    version: int
    method: Method
    clips: int
    task: str | None
    quality: dict[Method, float]


def tune(database: Database, model: ModelInfo, *, task: str, method: Method | None) -> Tuning:
    """Fit a space and let it serve.

    With labels of two classes by four speakers (recordings, where no speakers are known), every
    method is tried on random halves of the speakers: fitted to one, judged on the other, by mAP
    with galleries of other speakers. The best serves, of nearly equal ones the simplest. Without
    such labels the space is centred, because what whitening does cannot be judged.

    Args:
        task: whose labels to use.
        method: take this one; None for the best.

    Raises:
        InvalidInputError: too few clips; or ``method`` is ``learned`` and there are too few
            labels, or it does no better than the plain space on unseen speakers.
    """
    with database.read() as session:
        ids, clips = sample_clips(session, model, most=SAMPLE)
        if clips < FEWEST:
            raise InvalidInputError(
                f"a space needs {FEWEST} clips at least; this archive has {clips}"
            )
        vectors = embeddings_in_order(session, model, ids)
        labelled = sample(labelled_clips(session, model, task), SAMPLE)
        of_labelled = embeddings_in_order(session, model, labelled.ids)
    data = None
    with contextlib.suppress(InvalidInputError):  # too few labels to go by
        data = labelled_vectors(labelled, of_labelled, name=task)
    quality = compare_methods(data) if data is not None else {}
    if method is None:
        method = _best(quality) if quality else Method.CENTRED
    elif method is Method.LEARNED:
        if data is None or not quality:
            raise InvalidInputError(
                f"a learned space needs labels under the task {task}: two classes by four speakers"
                " (or recordings, where speakers are not known), two clips of each"
            )
        if quality[method] <= quality[Method.PLAIN]:
            raise InvalidInputError(
                "the learned space does no better than the plain one on unseen speakers"
                f" (mAP {quality[method]:.3f} against {quality[Method.PLAIN]:.3f}): refused"
            )
    taught = method is Method.LEARNED and data is not None
    fitted_on = data.vectors if taught and data is not None else vectors
    space = fit_space(method, fitted_on, data.labels if taught and data is not None else None)
    gain = quality[method] - quality[Method.PLAIN] if quality else None
    with database.write() as session:
        if method is Method.PLAIN:
            use_space(session, model, 0)
            version = 0
        else:
            version = add_space(
                session,
                model,
                space,
                task=task if taught else None,
                clips=len(fitted_on),
                gain=gain,
            )
    recalibrate(database, model)
    return Tuning(version, method, len(fitted_on), task if quality else None, quality)


def _best(quality: dict[Method, float]) -> Method:
    """The method of most quality; of nearly equal ones the simplest."""
    best = Method.PLAIN
    for method, value in quality.items():
        if value > quality[best] + _WORTH:
            best = method
    return best


def compare_methods(data: LabelledVectors) -> dict[Method, float]:
    """mAP by method on halves of the speakers that the method was not fitted to.

    Empty where there are too few speakers (or recordings) for that.
    """
    gallery = Gallery.RECORDING if data.speakers is None else Gallery.SPEAKER
    found: dict[Method, list[float]] = {method: [] for method in Method}
    for fit, others in _halves(data.groups):
        try:
            rest = data.part(others)
            taught = {
                method: fit_space(method, data.vectors[fit], data.labels[fit]) for method in Method
            }
            queries = draw(np.arange(len(others)), _QUERIES)
            values = {
                method: judge(rest.with_vectors(space.apply(rest.vectors)), gallery, queries)
                for method, space in taught.items()
            }
        except InvalidInputError:  # a half with a single class, for one
            continue
        for method, judged in values.items():
            found[method].append(float(judged.values[:, 0].mean()))
    return {method: float(np.mean(one)) for method, one in found.items() if one}


def recalibrate(database: Database, model: ModelInfo) -> None:
    """Take the percentiles of the serving space anew, if the archive has changed much since."""
    with database.read() as session:
        version, space = active_space(session, model)
        known = calibrated_clips(session, model, version)
        clips = count_embedded(session, model)
        if known is not None and abs(clips - known) <= _DRIFT * known:
            return
        ids, clips = sample_clips(session, model, most=PAIRED)
        vectors = embeddings_in_order(session, model, ids)
        voices, sources = voices_of_clips(session, ids)
        fitted, of_fitted, labels = vectors, voices, None
        if space.method is Method.LEARNED:
            task = next(one.task for one in list_spaces(session, model) if one.active)
            taught = sample(labelled_clips(session, model, task or EMOTION), PAIRED)
            fitted, labels = embeddings_in_order(session, model, taught.ids), taught.labels
            of_fitted, _ = voices_of_clips(session, taught.ids)

    def refit(known: NDArray[np.bool_]) -> NDArray[np.float32]:
        rows = ~np.isin(of_fitted, voices[~known])
        some = None if labels is None else labels[rows]
        try:
            return fit_space(space.method, fitted[rows], some).apply(vectors)
        except InvalidInputError:  # too few clips or labels are left
            return space.apply(vectors)

    calibration = calibrate(refit, voices, sources, clips=clips)
    if calibration is not None:
        with database.write() as session:
            put_calibration(session, model, version, calibration)


def resettle(database: Database, model: ModelInfo, *, at: int) -> None:
    """After a change of the archive: the first space, once there are ``at`` clips (0 for never),
    and the percentiles."""
    if at:
        with database.read() as session:
            fitted = len(list_spaces(session, model)) > 1
            clips = count_embedded(session, model)
        if not fitted and clips >= max(at, FEWEST):
            done = tune(database, model, task=EMOTION, method=None)
            if done.version:
                log.warning(
                    "similarity is now taken in space %d (%s), fitted to %d clips;"
                    " emotion-search tune --restore 0 undoes it",
                    done.version,
                    done.method,
                    done.clips,
                )
    recalibrate(database, model)


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
        sentence_key: the metadata key that tells what is said, in place of ``text``.

    Raises:
        InvalidInputError: too few labels, or no labelled clip has the ``sentence_key``.
    """
    with database.read() as session:
        found = [labelled_clips(session, model, task) for model in models]
        ids = reduce(np.intersect1d, [clips.ids for clips in found])
        if not len(ids):
            cure = (
                "; give labels in a manifest, or by ingest --label"
                if len(models) == 1
                else " and an embedding of each model; fill them in with: emotion-search reembed"
            )
            raise InvalidInputError(f"no clip has a label under the task {task}{cure}")
        clips = sample(found[0].part(np.flatnonzero(np.isin(found[0].ids, ids))), most)
        made = []
        for model in models:
            vectors = embeddings_in_order(session, model, clips.ids)
            space = active_space(session, model)[1]
            known = context_of(session, model, clips.ids, sentence_key or SENTENCE_KEY)
            data = replace(
                labelled_vectors(clips, vectors, name=model.name),
                sources=known.sources if known.sources.any() else None,
                sentences=sentences_under(sentence_key, known.sentences),
                scores=known.scores if model.classes else None,
                score_classes=tuple(model.classes),
            )
            made.append((data, space))
    return made


def sample(clips: LabelledClips, most: int) -> LabelledClips:
    """The clips, or ``most`` of them drawn at random, always the same ones."""
    if len(clips.ids) <= most:
        return clips
    return clips.part(draw(np.arange(len(clips.ids)), most))


def labelled_vectors(
    clips: LabelledClips, vectors: NDArray[np.float32], *, name: str
) -> LabelledVectors:
    """Labelled clips with their embeddings; speakers only where all are known.

    Raises:
        InvalidInputError: too few of them, or of their classes.
    """
    speakers = clips.speakers if clips.speakers.all() else None
    return LabelledVectors(vectors, clips.labels, speakers, clips.recordings.astype(str), name)


def _halves(groups: NDArray[np.str_]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Rows of one half of the groups and of the other, each way round, some times over."""
    names = np.unique(groups)
    if len(names) < 4:
        return
    random = np.random.default_rng(0)
    for _ in range(_ROUNDS // 2):
        chosen = np.isin(groups, random.permutation(names)[: len(names) // 2])
        yield np.flatnonzero(chosen), np.flatnonzero(~chosen)
        yield np.flatnonzero(~chosen), np.flatnonzero(chosen)
