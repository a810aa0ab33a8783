"""The search index of an archive: opened, described, removed."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from emotion_search.engine.settings import Settings
from emotion_search.index.database.connection import Database
from emotion_search.index.database.embeddings import last_removal
from emotion_search.index.database.models import ModelInfo, archive_uuid, revision_and_space
from emotion_search.index.database.spaces import active_space
from emotion_search.index.lifecycle.keeper import IndexKeeper
from emotion_search.index.lifecycle.saved import IndexCache
from emotion_search.index.search import Searcher

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class IndexStatus:
    """The saved index of an archive.

    Attributes:
        kind: ``flat`` or ``quantised``; None if none is saved.
        clips: how many it holds.
        size: of its file, in bytes.
        revision, of_revision: where it stands, and where the database does; searches make up the
            difference.
        recall: share of the true ten nearest that were found when it was made; None if it is exact.
        lists, probes: inverted lists, and how many are looked into for ten hits.
    """

    kind: str | None = None
    clips: int = 0
    size: int = 0
    revision: int = 0
    of_revision: int = 0
    recall: float | None = None
    lists: int | None = None
    probes: int | None = None


def open_searcher(
    settings: Settings, database: Database, model: ModelInfo, *, background: bool
) -> Searcher:
    """The search over the archive's embeddings of this model."""
    cache = _cache(settings, database, model)
    keeper = IndexKeeper(database, model, cache, asked=settings.index, background=background)
    return Searcher(database, model, keeper)


def index_status(settings: Settings, database: Database, model: ModelInfo | None) -> IndexStatus:
    """The state of the saved index, without loading it."""
    if model is None:
        return IndexStatus()
    saved = _cache(settings, database, model).saved()
    with database.read() as session:
        now = revision_and_space(session, model.id)[0]
    if saved is None:
        return IndexStatus(of_revision=now)
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
    )


def saved_index_damage(settings: Settings, database: Database, model: ModelInfo) -> str | None:
    """What is wrong with the saved index of a model, in words; None for nothing, or if none is
    saved. It is read from disk, and not loaded to be used."""
    with database.read() as session:
        space = active_space(session, model)
    return _cache(settings, database, model).examine(model, space.fingerprint)


def purge_removed(
    settings: Settings, database: Database, model: ModelInfo, searcher: Searcher | None
) -> None:
    """Take clips that were removed out of the saved index of a model, if it may hold any.

    Args:
        searcher: what this process searches the model's embeddings with, if it does.
    """
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


def remove_index(settings: Settings, database: Database, model: ModelInfo) -> None:
    """Remove the saved index of a model."""
    _cache(settings, database, model).clear()


def _cache(settings: Settings, database: Database, model: ModelInfo) -> IndexCache:
    with database.read() as session:
        identity = archive_uuid(session)
    return IndexCache(settings.index_folder, archive=identity, model=model.fingerprint)
