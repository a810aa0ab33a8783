"""The work of jobs that are no uploads: evaluate, train, cluster, tune, reembed."""

from __future__ import annotations

from typing import Any

from emotion_search.engine.api.wire import learn as wire
from emotion_search.engine.api.wire.classifiers import classifier_out
from emotion_search.engine.api.wire.clips import model_name
from emotion_search.engine.api.wire.clusters import clustering_details
from emotion_search.engine.api.wire.evaluation import evaluated
from emotion_search.engine.embedders.hub import CURES
from emotion_search.engine.library.library import Library
from emotion_search.engine.service.alone import Progress
from emotion_search.engine.service.board import Step
from emotion_search.index.errors import ModelUnavailableError, NotFoundError


def learn(library: Library, given: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Do what a ``WorkIn`` in plain data asks for; what came of it, in plain data.

    Raises:
        EmotionSearchError: as the method of ``Library``.
    """
    asked: wire.AnyWork = wire.WorkIn.model_validate(given).root
    match asked:
        case wire.EvaluateIn():
            found = evaluated(
                library, asked, lambda done, of: progress(Step("comparing spaces", done, of))
            )
            return found.model_dump(mode="json")
        case wire.TrainIn():
            return _trained(library, asked, progress)
        case wire.ClusterIn():
            clustered = library.cluster(
                asked.name,
                method=asked.method,
                k=asked.k,
                task=asked.task,
                replace=asked.replace,
                progress=lambda text: progress(Step(text)),
            )
            return clustering_details(library.clustering(clustered.name)).model_dump(mode="json")
        case wire.TuneIn():
            tuned = library.tune(
                task=asked.task,
                progress=lambda done, of: progress(Step("comparing spaces", done, of)),
            )
            return {"space": tuned.version, "method": tuned.method.value, "why": tuned.why}
        case wire.ReembedIn():
            return _reembedded(library, asked, progress)


def _trained(library: Library, asked: wire.TrainIn, progress: Progress) -> dict[str, Any]:
    trained = library.train(
        asked.task, progress=lambda done, of: progress(Step("training", done, of))
    )
    library.classify(
        asked.task,
        version=trained.classifier.version,
        progress=lambda done, of: progress(Step("classifying clips", done, of)),
    )
    (made,) = (
        one for one in library.classifiers(asked.task) if one.version == trained.classifier.version
    )
    return classifier_out(made).model_dump(mode="json")


def _reembedded(library: Library, asked: wire.ReembedIn, progress: Progress) -> dict[str, Any]:
    try:
        done, model = library.reembed(
            asked.model,
            progress=lambda one: progress(
                Step("embedding clips", one.dealt_with, one.dealt_with + one.missing)
            ),
        )
    except ModelUnavailableError as error:  # here the model is a field, and never a folder
        cure = "give a model that the server lists, such as voice"
        kind = ModelUnavailableError if "/" in asked.model else NotFoundError  # hubs come back
        raise kind(str(error).replace(CURES, cure)) from error
    if asked.use:
        progress(Step("switching"))
        library.use(asked.model)
    return {
        "model": model_name(model.name),
        "clips": done.clips,
        "missing": done.missing,
        "failed": len(done.failed),  # no names: these may be erased
        "serves": asked.use,
    }
