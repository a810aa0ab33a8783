"""Library methods: search index (status, verify, rebuild), similarity spaces, tuning."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from emotion_search.engine.archive.archive import Archive
from emotion_search.engine.archive.index import (
    IndexStatus,
    index_status,
    purge_removed,
    saved_index_damage,
)
from emotion_search.engine.embedders.registry import absolute
from emotion_search.index.database.coverage import holding_called
from emotion_search.index.database.filters import EMOTION
from emotion_search.index.database.models import active_model, list_models
from emotion_search.index.database.spaces import SAMPLE, use_space
from emotion_search.index.errors import BusyError, InvalidInputError
from emotion_search.index.search import Searcher
from emotion_search.index.vectors.space import Method, Space

if TYPE_CHECKING:
    from emotion_search.engine.quality.labelled import LabelledVectors
    from emotion_search.engine.quality.tune import Tuning
    from emotion_search.index.lifecycle.shipping import EngineState, Shipping
    from emotion_search.index.lifecycle.verify import Verdict

log = logging.getLogger(__name__)


class Indexed(Archive):
    """Methods of ``Library`` about spaces and the index."""

    def tune(
        self,
        *,
        task: str = EMOTION,
        method: str | None = None,
        progress: Callable[[float, float | None], None] = lambda _done, _total: None,
    ) -> Tuning:
        """Fit the geometry of similarity to the archive and let it serve; see ``engine.quality``.

        Raises:
            NotFoundError: the archive is empty.
            InvalidInputError: no such ``method``, or it does no good; or the archive is too small.
        """
        from emotion_search.engine.quality.tune import tune

        if method is not None and method not in list(Method):
            raise InvalidInputError(f"method {method}: choose {', '.join(Method)}")
        model, named = self._model_here(), None if method is None else Method(method)
        result = tune(self.database, model, task=task, method=named, progress=progress)
        self._follow(model)
        self._search(model).keeper.save()
        return result

    def restore_space(self, version: int) -> None:
        """Let a space serve that was fitted before; 0 is the plain one.

        Raises:
            NotFoundError: there is no such space, or the archive is empty.
        """
        from emotion_search.engine.quality.tune import recalibrate

        model = self._model_here()
        with self.database.write() as session:
            use_space(session, model, version)
        recalibrate(self.database, model)
        self._follow(model)
        self._search(model).keeper.save()

    def labelled(
        self, task: str = EMOTION, *, most: int = SAMPLE, sentence_key: str | None = None
    ) -> tuple[LabelledVectors, Space]:
        """Embeddings of the labelled clips (a random sample beyond ``most``), not in any space
        yet, with what is known of them, and the space that serves.

        Args:
            sentence_key: the metadata key of the words spoken, in place of ``text``.

        Raises:
            NotFoundError: the archive is empty.
            InvalidInputError: too few labels, or no labelled clip has the ``sentence_key``.
        """
        from emotion_search.engine.quality.archive_labels import labelled

        models = [self._model_here()]
        return labelled(self.database, models, task, most=most, sentence_key=sentence_key)[0]

    def labelled_by(
        self, names: Sequence[str], task: str = EMOTION, *, sentence_key: str | None = None
    ) -> list[tuple[LabelledVectors, Space]]:
        """As ``labelled``, under several models: the clips that have an embedding under each.

        Raises:
            NotFoundError: the archive has none of a model.
            InvalidInputError: too few labels, or no labelled clip has the ``sentence_key``.
        """
        from emotion_search.engine.quality.archive_labels import labelled

        with self.database.read() as session:
            models = [holding_called(session, absolute(name)).model for name in names]
        return labelled(self.database, models, task, most=SAMPLE, sentence_key=sentence_key)

    def index_status(self) -> IndexStatus:
        """The state of the saved index, without loading it."""
        return index_status(self.settings, self.database, self.model())

    def verify_index(self) -> Verdict:
        """The saved index read as it is on disk; then what serves compared with the database, clip
        by clip, and its recall on a sample.

        Raises:
            NotFoundError: the archive is empty.
        """
        model = self._model_here()
        damage = saved_index_damage(self.settings, self.database, model)
        return replace(self._search(model).verify(), damage=damage)

    def verify_engine(self) -> Verdict:
        """The engine compared with the database: its ids, and whether it names true neighbours.

        Raises:
            NotFoundError: the archive is empty.
            InvalidInputError: no engine is set.
            EngineError: it cannot be asked.
        """
        searcher = self._search(self._model_here())
        with searcher.keeper.snapshot() as (session, loaded, _):
            return self._shipping(searcher).verify(session, loaded)

    def repair_index(self) -> EngineState:
        """Send the engine the clips that it lacks, delete those that it should not have.

        Raises:
            NotFoundError, InvalidInputError, EngineError: as ``verify_engine``.
            BusyError: another process sends it something now.
        """
        shipping = self._shipping(self._search(self._model_here()))
        if not shipping.ship(everything=True):
            raise BusyError("another process sends the engine something now; try again")
        return shipping.state()

    def _shipping(self, searcher: Searcher) -> Shipping:
        if searcher.keeper.shipping is None:
            raise InvalidInputError(
                "no engine is set; EMOTION_SEARCH_INDEX=milvus+https://HOST:19530 sets one"
            )
        return searcher.keeper.shipping

    def rebuild_index(self) -> None:
        """Make the index anew from the database, and save it.

        Raises:
            NotFoundError: the archive is empty.
        """
        self._search(self._model_here()).keeper.rebuild()

    def settle(self) -> None:
        """After recordings were removed: take their vectors out of the saved index of every model,
        and out of the log of the database; bring the percentiles up to date."""
        from emotion_search.engine.quality.tune import resettle

        if not self.database.empty_log():
            log.warning(
                "%s is being read: what was erased stays in its files until the next forget, until"
                " nobody has it open, or until a server that runs has looked, every ten minutes",
                self.database,
            )
        with self.database.read() as session:
            models, active = list_models(session), active_model(session)
        if active is not None:
            resettle(self.database, active, at=0)
            self._follow(active)
        for model in models:
            purge_removed(self.settings, self.database, model, self._searchers.get(model))

    def refresh(self) -> None:
        """Load the index and bring it up to date, so that the first search need not."""
        model = self.model()
        if model is not None:
            self._search(model).refresh()

    def save_index(self) -> None:
        """Bring the index up to date and write it to disk, for a quick start next time."""
        model = self.model()
        if model is not None:
            self._search(model).keeper.save()
