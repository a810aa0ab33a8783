"""The search index of an archive: opened, described, removed."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from emotion_search.engine.settings import Settings
from emotion_search.index.database.connection import Database
from emotion_search.index.database.embeddings import last_removal
from emotion_search.index.database.models import ModelInfo, archive_uuid, revision_and_space
from emotion_search.index.database.spaces import active_space
from emotion_search.index.errors import DatabaseError, EngineError, NotFoundError
from emotion_search.index.lifecycle.catch_up import differing
from emotion_search.index.lifecycle.keeper import IndexKeeper
from emotion_search.index.lifecycle.saved import IndexCache
from emotion_search.index.search import Searcher
from emotion_search.index.vectors.kinds import IndexKind, is_address

if TYPE_CHECKING:
    from emotion_search.index.lifecycle.shipping import EngineState, Shipping

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class IndexStatus:
    """The saved index of an archive.

    Attributes:
        kind: ``flat``, ``quantised`` or ``engine``; None if none is saved.
        clips: how many it holds.
        size: of its file, in bytes.
        revision, of_revision: where it stands, and where the database does; searches make up the
            difference.
        recall: share of the true ten nearest that were found when it was made; None if it is exact.
        lists, probes: inverted lists, and how many are looked into for ten hits.
        engine: what names candidates; None where no engine is set.
    """

    kind: str | None = None
    clips: int = 0
    size: int = 0
    revision: int = 0
    of_revision: int = 0
    recall: float | None = None
    lists: int | None = None
    probes: int | None = None
    engine: EngineState | None = None


def open_searcher(
    settings: Settings, database: Database, model: ModelInfo, *, background: bool
) -> Searcher:
    """The search over the archive's embeddings of this model."""
    cache = _cache(settings, database, model)
    shipping = open_shipping(settings, database, model)
    asked = cast("IndexKind", "engine" if shipping else settings.index)
    keeper = IndexKeeper(
        database, model, cache, asked=asked, background=background, shipping=shipping
    )
    return Searcher(database, model, keeper)


def open_shipping(settings: Settings, database: Database, model: ModelInfo) -> Shipping | None:
    """What sends the model's embeddings to the engine; None where none is set.

    Raises:
        InvalidInputError: its client is not installed.
    """
    if not is_address(settings.index):
        return None
    from emotion_search.index.lifecycle.shipping import Shipping
    from emotion_search.index.vectors.milvus import Milvus

    with database.read() as session:
        identity = archive_uuid(session)
    return Shipping(database, model, Milvus(settings.index), identity)


def index_status(settings: Settings, database: Database, model: ModelInfo | None) -> IndexStatus:
    """The state of the saved index, without loading it."""
    if model is None:
        return IndexStatus()
    shipping = open_shipping(settings, database, model)
    engine = shipping.state() if shipping else None
    saved = _cache(settings, database, model).saved()
    with database.read() as session:
        now = revision_and_space(session, model.id)[0]
    if saved is None:
        return IndexStatus(of_revision=now, engine=engine)
    stamp, size = saved
    probes, _ = stamp.details.get("reach", {}).get("10", (None, None))
    return IndexStatus(
        kind=stamp.kind,
        clips=stamp.count,
        size=size,
        revision=stamp.revision,
        of_revision=now,
        recall=stamp.details.get("recall"),
        lists=stamp.details.get("lists"),
        probes=probes,
        engine=engine,
    )


def saved_index_damage(settings: Settings, database: Database, model: ModelInfo) -> str | None:
    """What is wrong with the saved index of a model, in words; None for nothing, or if none is
    saved. It is read from disk, and not loaded to be used."""
    with database.read() as session:
        space = active_space(session, model)
    return _cache(settings, database, model).examine(model, space.fingerprint)


def saved_index_differences(settings: Settings, database: Database, model: ModelInfo) -> list[int]:
    """Clips whose vectors in the saved index are not those of the database; none where one of them
    cannot be read, or where the index is ahead, so that a search makes it anew."""
    with contextlib.suppress(DatabaseError, NotFoundError), database.read() as session:
        space = active_space(session, model)
        saved = _cache(settings, database, model).load(model, space.fingerprint)
        if saved is not None and saved.revision <= revision_and_space(session, model.id)[0]:
            return differing(session, model, saved, space)
    return []


def purge_removed(
    settings: Settings, database: Database, model: ModelInfo, searcher: Searcher | None
) -> None:
    """Take clips that were removed out of the saved index of a model, if it may hold any.

    Args:
        searcher: what this process searches the model's embeddings with, if it does.
    """
    known = searcher.keeper.shipping if searcher is not None else None
    _erase_from_engine(known or open_shipping(settings, database, model))
    cache = _cache(settings, database, model)
    with database.read() as session:
        removed = last_removal(session, model.id)

    def may_hold_removed() -> bool:
        saved = cache.saved()
        return saved is None or saved[0].revision < removed

    if cache.is_empty() or not removed or not may_hold_removed():
        return
    keeper = (searcher or open_searcher(settings, database, model, background=False)).keeper
    keeper.save()
    if may_hold_removed():
        log.warning("the saved index of %s is removed; the next search makes it anew", model.name)
        cache.clear()


def _erase_from_engine(shipping: Shipping | None) -> None:
    if shipping is None:
        return
    try:
        if shipping.state().revision:
            shipping.ship()
    except EngineError as error:
        log.warning("%s", error)
    state = shipping.state()
    if state.pending or state.problem is not None:
        log.warning(
            "what was erased is pending in the engine until a server has sent it on, or the next"
            " forget, or: emotion-search index repair"
        )


def remove_index(settings: Settings, database: Database, model: ModelInfo) -> None:
    """Remove the saved index of a model, and what an engine has of it."""
    shipping = open_shipping(settings, database, model)
    try:
        if shipping is not None:
            shipping.drop()
    except EngineError as error:
        log.warning("%s; what it has of %s is still there", error, model.name)
    _cache(settings, database, model).clear()


def _cache(settings: Settings, database: Database, model: ModelInfo) -> IndexCache:
    with database.read() as session:
        identity = archive_uuid(session)
    return IndexCache(settings.index_folder, archive=identity, model=model.fingerprint)
