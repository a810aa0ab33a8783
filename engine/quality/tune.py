"""Fitting a space to an archive: centring, baselines or a learned metric, by mAP on speakers."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.machine.progress import Progress, unwatched
from emotion_search.engine.machine.threads import alone
from emotion_search.engine.quality.archive_labels import labelled_vectors, sample
from emotion_search.engine.quality.labelled import Strings
from emotion_search.engine.quality.methods import Quality, compare_methods
from emotion_search.index.database.baselines import fit, voices_of_clips
from emotion_search.index.database.connection import Database, Session
from emotion_search.index.database.embeddings import (
    count_embedded,
    embeddings_in_order,
    sample_clips,
)
from emotion_search.index.database.filters import EMOTION
from emotion_search.index.database.labelled_clips import labelled_clips
from emotion_search.index.database.labels import no_labels
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.scoring import FEWEST as OF_A_MEAN
from emotion_search.index.database.scoring import mean_clips, set_mean
from emotion_search.index.database.spaces import (
    PAIRED,
    SAMPLE,
    ArchiveSpace,
    SpaceInfo,
    active_space,
    add_space,
    list_spaces,
    put_calibration,
    standing,
    use_space,
)
from emotion_search.index.errors import InvalidInputError, UnusableError
from emotion_search.index.vectors.arrays import Ids, Vectors, normalise
from emotion_search.index.vectors.baselines import FEWEST as OF_A_GROUP
from emotion_search.index.vectors.baselines import Baselines
from emotion_search.index.vectors.percentiles import calibrate
from emotion_search.index.vectors.space import Method, Space, fit_space

log = logging.getLogger(__name__)

FEWEST = 50
"""Fewest clips that a space is fitted to."""

_WORTH = 0.01  # of mAP and triplets together, that a less simple method has to gain
_GROWN = 1.25  # times the clips that baselines were taken from, before they are taken anew
_DRIFT = 0.1  # share by which an archive changes before percentiles and mean are taken anew


@dataclass(frozen=True)
class Tuning:
    """What came of fitting a space.

    Attributes:
        version: of the space that serves now.
        method: its method.
        clips: how many clips it was fitted on.
        task: whose labels were used; None if there were too few.
        quality: on the halves of the speakers that were not fitted to, by method; empty without
            labels.
        groups: how many speakers or recordings, and how many sources, have baselines.
        by: whose halves those were; see ``LabelledVectors.by``.
    """

    version: int
    method: Method
    clips: int
    task: str | None
    quality: dict[Method, Quality]
    groups: tuple[int, int]
    by: str

    @property
    def why(self) -> str:
        """What spoke for the method, in words."""
        judged = f"judged on unseen {self.by}" if self.quality else "too few labels to judge by"
        own, sources = self.groups
        of = f"{own} speakers or recordings and {sources} source{'s' * (sources != 1)}"
        return f"{of} have baselines; {judged}"


@alone
def tune(
    database: Database,
    model: ModelInfo,
    *,
    task: str,
    method: Method | None,
    progress: Progress = unwatched,
) -> Tuning:
    """Fit a space and let it serve.

    With labels of two classes by four speakers (recordings, where no speakers are known), every
    method is tried on random halves of the speakers: fitted to one, judged on the other, by mAP
    with galleries of other speakers and by triplets with confounds. The best serves, of nearly
    equal ones the simplest. Without such labels whitening cannot be judged: baselines are
    subtracted where groups are many and large enough, else the mean.

    Args:
        task: whose labels to use.
        method: take this one; None for the best.
        progress: called with how many halves of the speakers are done, and of how many.

    Raises:
        InvalidInputError: too few clips; no label under a task other than emotion; ``method`` is of
            baselines and no group has enough clips; or it is learned and there are too few labels,
            or it does no better than without them on unseen speakers.
    """
    with database.read() as session:
        ids, clips = sample_clips(session, model, most=SAMPLE)
        if clips < FEWEST:
            raise UnusableError(f"a space needs {FEWEST} clips at least; this archive has {clips}")
        vectors = embeddings_in_order(session, model, ids)
        baselines = fit(session, model)
        assert baselines is not None  # there are clips
        data = None
        if task != EMOTION and not len(labelled_clips(session, model, task).ids):
            raise no_labels(session, task)
        with contextlib.suppress(InvalidInputError):  # too few labels to go by
            clips_labelled = sample(labelled_clips(session, model, task), SAMPLE)
            data = labelled_vectors(session, model, clips_labelled, baselines=baselines)
    quality = compare_methods(data, progress) if data is not None else {}
    by = data.by if data is not None else "speakers"
    if method is None:
        by_groups = Method.BASELINE if baselines.are_telling else Method.CENTRED
        method = _best(quality) if quality else by_groups
    if method.grouped and not baselines.groups:
        raise UnusableError(
            f"no speaker, recording or source has the {OF_A_GROUP} clips that a baseline needs"
        )
    if method.learned:
        _check_learned(method, quality, task, by)
    gains = {
        one: found.precision - quality[Method.PLAIN].precision for one, found in quality.items()
    }
    fitted = fit_space(method if method is Method.WHITENED else Method.CENTRED, vectors)
    with database.write() as session:
        if method is Method.PLAIN:
            use_space(session, model, 0)
        version: int = 0
        if method.grouped:
            version = _add_baselines(session, model, baselines, gains.get(Method.BASELINE))
        if method.learned:
            assert data is not None  # or there were no quality
            space = fit_space(method, data.vectors, data.labels, data.centres)
            clips = len(data.labels)
            version = add_space(
                session,
                model,
                space,
                task=task,
                clips=clips,
                gain=gains.get(method),
                baselines=version or None,
            )
        elif fitted.method is method:
            clips = len(vectors)
            version = add_space(
                session, model, fitted, task=None, clips=clips, gain=gains.get(method)
            )
    recalibrate(database, model)
    groups = (baselines.own, baselines.sources)
    return Tuning(version, method, clips, task if quality else None, quality, groups, by)


def _add_baselines(
    session: Session, model: ModelInfo, baselines: Baselines, gain: float | None
) -> int:
    space = Space(Method.BASELINE, baselines.mean)
    clips = baselines.clips
    return add_space(session, model, space, task=None, clips=clips, gain=gain, baselines=baselines)


def _check_learned(method: Method, quality: dict[Method, Quality], task: str, by: str) -> None:
    if not quality:
        raise UnusableError(
            f"a learned space needs labels under the task {task}: two classes by four speakers"
            " (or recordings, where speakers are not known), two clips of each"
        )
    learned, plain = quality[method].precision, quality[Method.PLAIN].precision
    if learned <= plain:
        raise UnusableError(
            f"the learned space does no better than the plain one on unseen {by}"
            f" (mAP {learned:.3f} against {plain:.3f}): refused"
        )


def _best(quality: dict[Method, Quality]) -> Method:
    """The method of most quality; of nearly equal ones the simplest."""
    best = Method.PLAIN
    for method, value in quality.items():
        if value.total > quality[best].total + _WORTH:
            best = method
    return best


def recalibrate(database: Database, model: ModelInfo) -> None:
    """Take the percentiles of the serving space anew, and the mean of the archive, whichever was
    taken when the archive was another: a tenth of the clips came or went since."""
    with database.read() as session:
        space = active_space(session, model)
        clips = count_embedded(session, model)
        known = standing(session, model).calibrated
        calibrates = known is None or abs(clips - known) > _DRIFT * known
        known = mean_clips(session, model)
        moves = clips >= OF_A_MEAN if known is None else abs(clips - known) > _DRIFT * known
        if not (calibrates or moves):
            return
        ids, clips = sample_clips(session, model, most=PAIRED)
        vectors = embeddings_in_order(session, model, ids)
        turned = space.turn(session, ids, vectors)
        voices, sources = voices_of_clips(session, ids)
        refit = _refitted(session, space, ids, turned, voices)
    calibration = calibrate(refit, voices, sources, clips=clips) if calibrates else None
    if calibration is None and not moves:
        return
    with database.write() as session:
        if calibration is not None:
            put_calibration(session, model, space.version, calibration)
        if moves:
            mean = normalise(vectors).mean(axis=0) if clips >= OF_A_MEAN else None
            set_mean(session, model, mean, clips)


def _refitted(
    session: Session, space: ArchiveSpace, ids: Ids, turned: Vectors, voices: Strings
) -> Callable[[NDArray[np.bool_]], Vectors]:
    """The clips ``ids`` in the serving space as it would be, had it been fitted to those of them
    alone that are given; baselines, which each group has for itself, stay."""
    model, method, own = space.model, space.map.method, ids
    if method in (Method.PLAIN, Method.BASELINE):
        return lambda _: turned
    vectors, centres = embeddings_in_order(session, model, ids), space.centres(session, ids)
    fitted, of_fitted, centres_fitted, labels = vectors, voices, centres, None
    if method.learned:
        task = next(one.task for one in list_spaces(session, model) if one.active)
        taught = sample(labelled_clips(session, model, task or EMOTION), PAIRED)
        own, labels = taught.ids, taught.labels
        fitted = embeddings_in_order(session, model, own)
        centres_fitted = space.centres(session, own)
        of_fitted, _ = voices_of_clips(session, own)

    def refit(known: NDArray[np.bool_]) -> Vectors:
        rows = ~np.isin(of_fitted, voices[~known])
        some = None if labels is None else labels[rows]
        below = centres_fitted[rows] if method.grouped and centres_fitted is not None else None
        try:
            made = fit_space(method, fitted[rows], some, below)
        except InvalidInputError:  # too few clips or labels are left
            return turned
        return made.apply(vectors, centres if method.grouped else None)

    return refit


def resettle(database: Database, model: ModelInfo, *, at: int, grown: bool = True) -> None:
    """After a change of the archive, which has ``grown`` or was to be settled when its process was
    killed: the first space, once there are ``at`` clips (0 for never); new baselines, once a fifth
    of the clips came after them; and the percentiles."""
    with database.read() as session:
        fitted = {one.version: one for one in list_spaces(session, model)}
        space = active_space(session, model)
        clips = count_embedded(session, model)
        due = grown or standing(session, model).calibrated is None
    if at and due and len(fitted) == 1 and clips >= max(at, FEWEST):
        done = tune(database, model, task=EMOTION, method=None)
        if done.version:
            log.warning(
                "similarity is now taken in space %d (%s), fitted to %d clips (%s);"
                " emotion-search tune --restore 0 undoes it",
                done.version,
                done.method,
                done.clips,
                done.why,
            )
    elif space.baselines is not None and clips > _GROWN * fitted[space.baselines].clips:
        version = _refit(database, model, space, fitted)
        log.warning("space %d takes the baselines of %d clips, for many are new", version, clips)
    recalibrate(database, model)


def _refit(
    database: Database, model: ModelInfo, space: ArchiveSpace, fitted: dict[int, SpaceInfo]
) -> int:
    """The serving space with the baselines of the archive as it is now; returns its version."""
    with database.read() as session:
        baselines = fit(session, model)
    assert baselines is not None  # the archive has grown
    last, below = fitted[space.version], fitted[space.baselines or 0]
    with database.write() as session:
        version = _add_baselines(session, model, baselines, below.gain)
        if space.map.method.learned:
            version = add_space(
                session,
                model,
                replace(space.map, mean=baselines.mean),
                task=last.task,
                clips=last.clips,
                gain=last.gain,
                baselines=version,
            )
    return version
