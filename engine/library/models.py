"""Library methods: re-embedding, switching, removing and fine-tuning models."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emotion_search.engine.archive.archive import Archive
from emotion_search.engine.archive.index import remove_index
from emotion_search.engine.audio.samples import Samples
from emotion_search.engine.embedders.registry import absolute
from emotion_search.index.database import coverage
from emotion_search.index.database.clips import clip_details
from emotion_search.index.database.embeddings import embeddings_by_id, sample_clips
from emotion_search.index.database.models import ModelInfo, active_model, list_models
from emotion_search.index.errors import AudioError, DatabaseBusyError
from emotion_search.index.vectors.arrays import Vectors, positions

if TYPE_CHECKING:
    from emotion_search.engine.finetune.run import Finetuned
    from emotion_search.engine.finetune.tune import Plan
    from emotion_search.engine.ingest.reembed import Reembedding

log = logging.getLogger(__name__)


class Switching(Archive):
    """Methods of ``Library`` about models."""

    def reembed(
        self,
        name: str,
        *,
        progress: Callable[[Reembedding], None] = lambda _: None,
        stop: threading.Event | None = None,
    ) -> tuple[Reembedding, ModelInfo]:
        """Give the clips embeddings under another model too; see ``engine.ingest.reembed``.

        Raises:
            NotFoundError: the archive is empty.
            ModelUnavailableError: the model cannot be loaded.
        """
        from emotion_search.engine.ingest.reembed import reembed

        return reembed(
            self.database,
            self.settings,
            self.decoders,
            absolute(name),
            progress=progress,
            stop=stop,
        )

    def use(self, name: str, *, partial: bool = False) -> coverage.Holding:
        """Let another model serve whose embeddings the archive holds; its space, percentiles and
        index are made first, while the last one serves.

        Raises:
            NotFoundError: the archive has none of this model.
            ModelMismatchError: clips lack embeddings under it, and ``partial`` is not set.
        """
        from emotion_search.engine.quality.tune import resettle

        with self.database.read() as session:
            model = coverage.holding_called(session, absolute(name)).model
            coverage.require_filled(session, model, partial=partial)
        resettle(self.database, model, at=self.settings.tune_at)
        self._follow(model)
        self._search(model).keeper.save()
        with self.database.write() as session:
            coverage.switch_model(session, model, partial=partial)
            return coverage.holding_called(session, model.fingerprint)

    def forget_model(self, name: str) -> tuple[ModelInfo, int]:
        """Remove a model that does not serve, with its embeddings and its index.

        Raises:
            NotFoundError, InvalidInputError: there is no such model; it serves.
        """
        with self.database.write() as session:
            model = coverage.holding_called(session, absolute(name)).model
            removed = coverage.drop_model(session, model)
        with self._opening:
            searcher = self._searchers.pop(model, None)
        if searcher is not None:
            searcher.keeper.close()
        remove_index(self.settings, self.database, model)
        try:
            self.database.compact()
        except DatabaseBusyError as error:
            log.warning("%s; its space is used again for new clips", error)
        return model, removed

    def some_audio(self, most: int = 24) -> list[Samples]:
        """Clips drawn at random whose audio is still there, float32 (n,), 16 kHz; the same archive
        gives the same ones. Others are passed over."""
        from emotion_search.engine.ingest.reread import clip_source, decode_clips

        with self.database.read() as session:
            model = active_model(session)
            ids = sample_clips(session, model, most=most)[0].tolist() if model else []
            sources = [
                clip_source(session, clip.recording_id, [place])
                for clip in clip_details(session, model, ids)
                for place in [coverage.MissingClip(clip.id, clip.channel, clip.start, clip.end)]
            ]
        found = []
        for source in sources:
            with contextlib.suppress(AudioError):
                found += [clip.samples for clip in decode_clips(source, self.decoders)]
        return found

    def same_neighbours(self, ours: Vectors, theirs: Vectors) -> float:
        """The share of the ten nearest clips that are the same to two embeddings of each of some
        clips, float32 (n, dim)."""
        from emotion_search.engine.query.examples import VectorExample
        from emotion_search.engine.query.query import Query, answer

        def nearest(vector: Vectors) -> set[int]:
            example = VectorExample(tuple(vector.tolist()))
            hits = answer(self, Query([example], per_recording=None, exact=True)).hits
            return {hit.clip.id for hit in hits}

        pairs = [(nearest(one), nearest(other)) for one, other in zip(ours, theirs, strict=True)]
        return float(np.mean([len(one & other) / len(one) for one, other in pairs]))

    def finetune(self, model: str, output: Path, plan: Plan, **how: Any) -> Finetuned:
        """A model tuned on the archive's labels, in the folder ``output``; see
        ``engine.finetune.run.finetune``, which also names the other arguments.

        Raises:
            InvalidInputError, ModelUnavailableError, StorageFullError: see there.
        """
        from emotion_search.engine.finetune.examples import examples_of_archive
        from emotion_search.engine.finetune.run import finetune

        how = {"source": "the labels of an archive", "command": "Library.finetune"} | how
        return finetune(
            lambda: examples_of_archive(self.database, plan.task),
            absolute(model),
            output,
            plan,
            self.settings,
            self.decoders,
            stored=self._stored,
            **how,
        )

    def _stored(self, fingerprint: str, ids: Sequence[int]) -> Vectors | None:
        """Embeddings of clips under the model of this fingerprint; None if it lacks one."""
        with self.database.read() as session:
            same = [one for one in list_models(session) if one.fingerprint == fingerprint]
            if not same:
                return None
            wanted = np.array(ids, np.int64)
            known, vectors = embeddings_by_id(session, same[0], wanted)
        return vectors[positions(known, wanted)] if len(known) == len(wanted) else None
