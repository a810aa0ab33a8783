"""An open archive: its database, its model, its decoders, its index."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import numpy as np

from emotion_search.engine.archive.index import open_searcher
from emotion_search.engine.archive.uploads import uploads_of
from emotion_search.engine.audio.file import SAMPLE_RATE
from emotion_search.engine.audio.workers import Decoders
from emotion_search.engine.embedders.registry import absolute, family_of, is_path, load_embedder
from emotion_search.engine.embedders.shared import SharedEmbedder
from emotion_search.engine.settings import DEFAULT_MODEL, Settings
from emotion_search.index.database.connection import Database, Session
from emotion_search.index.database.models import ModelInfo, active_model, mismatch
from emotion_search.index.database.scoring import adapted_to, are_stale, rescore, stop_adapting
from emotion_search.index.disk.permissions import make_folder
from emotion_search.index.errors import (
    DatabaseError,
    EmotionSearchError,
    ModelMismatchError,
    ModelUnavailableError,
    NotFoundError,
)
from emotion_search.index.lifecycle.catch_up import IndexState
from emotion_search.index.search import Searcher, Snapshot

log = logging.getLogger(__name__)


class Archive:
    """An open archive.

    Args:
        settings: where it is and how to work.
        database: the database that the settings name, its tables in place.
        background: let a large index be made anew while the last one serves.

    Attributes:
        decoders: decode audio in processes of their own.
        uploads: where bytes of uploads are.
        model_problem: why the model could not be loaded when that was last tried; None if it could,
            or was not tried yet.
    """

    def __init__(self, settings: Settings, database: Database, *, background: bool = False) -> None:
        self.settings = settings
        self.database = database
        self._background = background
        self._loading, self._opening = threading.Lock(), threading.Lock()
        self._embedder: SharedEmbedder | None = None
        self.model_problem: EmotionSearchError | None = None
        self._warming: threading.Thread | None = None
        self.decoders = Decoders()
        self.uploads = uploads_of(settings)
        self._searchers: dict[ModelInfo, Searcher] = {}  # the one used last is the last
        self._serving: ModelInfo | None = None  # when it was last looked

    @classmethod
    def open(cls, settings: Settings, *, create: bool = False, background: bool = False) -> Self:
        """The archive that the settings name.

        Args:
            create: make a new one where there is none.
            background: let a large index be made anew while the last one serves; for servers.

        Raises:
            DatabaseError: there is none, or its database cannot be used.
        """
        database = Database(settings.database)
        try:
            if create:
                make_folder(settings.home)
                database.create_or_require()
            else:
                database.require_schema()
        except OSError as error:
            raise DatabaseError(
                f"{error.filename or settings.home} cannot be made ({error.strerror}); choose"
                " another --home or --database"
            ) from error
        except EmotionSearchError:
            database.close()
            raise
        if database.read_only:
            log.warning("%s", _as_it_is(database))
        return cls(settings, database, background=background)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database's connections, and end what goes on in the background."""
        if self._warming is not None:
            self._warming.join()  # torch does not survive the end of the process under it
        self.decoders.close()
        for searcher in self._searchers.values():
            searcher.keeper.close()
        self.database.close()

    def embedder(self) -> SharedEmbedder:
        """The archive's model, loaded once; for a new archive the one of the settings.

        Raises:
            ModelMismatchError: the settings name another model than the archive's.
            ModelUnavailableError: it cannot be loaded.
        """
        return self.embedder_of(self.model())

    def embedder_of(self, active: ModelInfo | None) -> SharedEmbedder:
        """As ``embedder``, for the model that serves; loaded anew where that was switched."""
        with self._loading:
            known = self._embedder
            if known is None or (active and known.fingerprint != active.fingerprint):
                try:
                    known = self._load(active)
                except EmotionSearchError as error:
                    self.model_problem = error
                    raise
                self._embedder, self.model_problem = known, None
            return known

    def _load(self, active: ModelInfo | None) -> SharedEmbedder:
        self.check_name(active)
        default = active.name if active else DEFAULT_MODEL
        name = absolute(self.settings.model or default)
        try:
            loaded = load_embedder(name, self.settings)
        except (OSError, RuntimeError, MemoryError) as error:
            raise ModelUnavailableError(f"model {name} cannot be loaded ({error})") from error
        if active and loaded.fingerprint != active.fingerprint:
            raise mismatch(active.name, name, loaded.fingerprint)
        return loaded

    def model(self) -> ModelInfo | None:
        """The model whose embeddings the archive holds; None while it is empty."""
        with self.database.read() as session:
            return active_model(session)

    def warm_up(self) -> None:
        """Load the archive's model on a thread of its own, so that the first request need not.

        A model that cannot be loaded is logged; the request that needs it raises.
        """

        def load() -> None:
            try:
                self.embedder().embed([np.zeros(SAMPLE_RATE, np.float32)])
            except EmotionSearchError as error:
                log.warning("%s", error)

        if self.model() is not None:
            self._warming = threading.Thread(target=load, name="warm-up", daemon=True)
            self._warming.start()

    def rescore(
        self, model: ModelInfo | None = None, *, stop: threading.Event | None = None
    ) -> int:
        """Make the emotion scores anew of clips that others were made for: another centre counts
        for them now; see ``index.database.scoring``. Embeddings are read, no audio is.

        Batches commit, so that a call that was killed is gone on with by the next; beside others,
        in this process or another, it does no harm. Where the model cannot be loaded scores stay
        as they are, and a warning says so.

        Args:
            model: of the archive; the one that serves if left out.
            stop: once set, the batch in hand is committed and the call ends.

        Returns:
            How many clips those were.
        """
        model = model or self.model()
        if model is None or not model.classes or not family_of(model.name).adapts:
            return 0
        with self.database.read() as session:
            if not are_stale(session, model):
                return 0
        try:
            embedder = self.embedder_of(model)
        except (ModelMismatchError, ModelUnavailableError) as error:
            log.warning("emotion scores stay as they are until the model can be loaded: %s", error)
            return 0
        if not embedder.adapts:
            with self.database.write() as session:
                stop_adapting(session, model)
            return 0
        done = 0
        while stop is None or not stop.is_set():
            began = time.monotonic()
            with self.database.write() as session:
                some = rescore(session, model, embedder.scores)
            if not some:
                break
            done += some
            time.sleep(time.monotonic() - began)  # other writers get their turn
        return done

    def _adapted(self, session: Session, model: ModelInfo | None) -> str | None:
        """What the scores of a model are adapted to."""
        if model is None or not model.classes or not family_of(model.name).adapts:
            return None
        return adapted_to(session, model)

    def _follow(self, model: ModelInfo) -> None:
        """After a change of the archive: scores follow, but in a server, which has its upkeep."""
        if not self._background:
            self.rescore(model)

    def searcher(self) -> tuple[ModelInfo, Searcher]:
        """The archive's model, and the search over its embeddings.

        Raises:
            NotFoundError: the archive is empty.
            ModelMismatchError: the settings name another model than the archive's.
        """
        model = self._model_here()
        self.check_name(model)
        self._serving = model
        return model, self._search(model)

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """The archive as it stands, to search in; see ``searcher`` and ``Searcher.open``."""
        model = self._serving
        searcher = self._search(model) if model else self.searcher()[1]
        with ExitStack() as stack:
            try:
                snapshot = stack.enter_context(searcher.open())
                serves = snapshot.serving == snapshot.model.id
            except NotFoundError:  # the model was removed
                serves = False
            if not serves:
                stack.close()
                snapshot = stack.enter_context(self.searcher()[1].open())
            yield snapshot

    def index_state(self) -> IndexState:
        """How much is in the index, and since when; nothing is read from the database."""
        serving = list(self._searchers.values())[-1:]
        return serving[0].keeper.state() if serving else IndexState(0, None)

    def loaded(self) -> SharedEmbedder | None:
        """The model, if it is loaded."""
        return self._embedder

    def _model_here(self) -> ModelInfo:
        model = self.model()
        if model is None:
            raise NotFoundError("the archive is empty; fill it with: emotion-search ingest FOLDER")
        return model

    def check_name(self, active: ModelInfo | None) -> None:
        """Refuse a model that cannot be the archive's, before anything is loaded.

        A folder or file may hold the same weights under another name: its fingerprint decides.

        Raises:
            ModelMismatchError: the settings name another.
        """
        asked = self.settings.model
        if active is None or asked is None or absolute(asked) == absolute(active.name):
            return
        if not (is_path(asked) or is_path(active.name)):
            raise mismatch(active.name, asked)

    def _search(self, model: ModelInfo) -> Searcher:
        with self._opening:
            others = self._searchers.copy()
            searcher = others.pop(model, None)
            if searcher is None:
                while len(others) > 1:  # a search under the last model may still go on
                    others.pop(next(iter(others))).keeper.close()
                searcher = open_searcher(
                    self.settings, self.database, model, background=self._background
                )
            self._searchers = {**others, model: searcher}
            return searcher


def _as_it_is(database: Database) -> str:
    """What somebody should know who reads an archive that cannot be written to."""
    beside, shared = (Path(f"{database.file}-{end}") for end in ("wal", "shm"))
    lost = beside.exists() and beside.stat().st_size and not shared.exists()
    last = f"; what was written last is in {beside.name} and not seen here" if lost else ""
    return f"{database} cannot be written to: it is read as it is{last}"
