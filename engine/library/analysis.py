"""Library methods: classifiers, clusterings, 2-D maps."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from emotion_search.engine.archive.archive import Archive
from emotion_search.engine.machine.progress import Progress, unwatched
from emotion_search.index.database.filters import EMOTION, ClipFilter

if TYPE_CHECKING:  # scikit-learn would cost every command a second
    from emotion_search.engine.classify.apply import Classified
    from emotion_search.engine.classify.suggest import Suggestion
    from emotion_search.engine.classify.train import Trained
    from emotion_search.engine.clusters.cluster import Clustered
    from emotion_search.engine.clusters.cluster import How as ClusterHow
    from emotion_search.engine.clusters.project import How, Map, Maps


class Learned(Archive):
    """Methods of ``Library`` about what can be learned from its stored embeddings."""

    _maps: Maps | None = None

    def train(
        self,
        task: str,
        *,
        table: Path | None = None,
        without: Collection[str] = (),
        method: str | None = None,
        rounds: int = 1000,
        seed: int = 0,
        progress: Progress = unwatched,
    ) -> Trained:
        """Train a classifier on the labels of a task; see ``engine.classify.train``.

        Raises:
            NotFoundError: the archive is empty.
            InvalidInputError: too few labels, classes or speakers, or an unknown method.
        """
        from emotion_search.engine.classify.train import train

        return train(
            self.database,
            self._model_here(),
            task=task,
            table=table,
            without=without,
            method=method,
            rounds=rounds,
            seed=seed,
            progress=progress,
        )

    def classify(
        self,
        task: str,
        *,
        version: int | None = None,
        wanted: ClipFilter | None = None,
        dry_run: bool = False,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> Classified:
        """Write what a task's classifier says about clips; see ``engine.classify.apply``.

        Raises:
            NotFoundError: the archive is empty, or there is no such classifier.
            ModelMismatchError: it knows the embeddings of another model.
        """
        from emotion_search.engine.classify.apply import classify

        return classify(
            self.database,
            self._model_here(),
            task=task,
            version=version,
            wanted=wanted,
            dry_run=dry_run,
            progress=progress,
        )

    def suggest(
        self, task: str, *, limit: int = 20, wanted: ClipFilter | None = None
    ) -> list[Suggestion]:
        """The clips most worth labelling next; see ``engine.classify.suggest``.

        Raises:
            NotFoundError: the archive is empty.
            InvalidInputError: a limit out of range, or nothing is left to label.
        """
        from emotion_search.engine.classify.suggest import suggest

        return suggest(self.database, self._model_here(), task=task, limit=limit, wanted=wanted)

    def cluster(
        self,
        name: str,
        *,
        method: ClusterHow = "kmeans",
        k: int | None = None,
        least: int | None = None,
        task: str = EMOTION,
        wanted: ClipFilter | None = None,
        replace: bool = False,
        seed: int = 0,
        progress: Callable[[str], None] = lambda _: None,
    ) -> Clustered:
        """Cluster clips and save what was found under a name; see ``engine.clusters.cluster``.

        Raises:
            NotFoundError: the archive is empty.
            InvalidInputError: too few clips, a name that is taken, an option out of place.
        """
        from emotion_search.engine.clusters.cluster import cluster

        return cluster(
            self.database,
            self._model_here(),
            name=name,
            method=method,
            k=k,
            least=least,
            task=task,
            wanted=wanted,
            replace=replace,
            seed=seed,
            progress=progress,
        )

    def map(
        self,
        *,
        method: How = "pca",
        limit: int = 2000,
        task: str = EMOTION,
        clustering: str | None = None,
        wanted: ClipFilter | None = None,
        progress: Progress = unwatched,
    ) -> Map:
        """Clips as points in a plane; see ``engine.clusters.project``.

        Raises:
            NotFoundError: the archive is empty, or there is no such clustering.
            InvalidInputError: too few clips, or too many points.
        """
        from emotion_search.engine.clusters.project import Maps

        if self._maps is None:
            self._maps = Maps()
        return self._maps.make(
            self.database,
            self._model_here(),
            method=method,
            limit=limit,
            task=task,
            clustering=clustering,
            wanted=wanted,
            progress=progress,
        )
