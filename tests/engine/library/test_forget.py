"""What is forgotten is on no disk of ours, whichever model it was embedded by, however it ended."""

import json
from collections.abc import Iterator

import numpy as np
import pytest
from sqlalchemy import text

from emotion_search.engine.library.library import Library
from emotion_search.index.database.clips import vectors_of
from emotion_search.index.database.coverage import add_embeddings, holding_called
from emotion_search.index.database.models import ModelInfo, register_model
from emotion_search.index.database.webhooks import add_webhook, announce
from emotion_search.index.errors import NotFoundError, StorageFullError
from emotion_search.index.lifecycle.saved import IndexCache
from emotion_search.index.vectors.arrays import normalise
from tests.conftest import files_with

DIM = 16


def test_webhooks_are_not_sent_what_names_an_erased_recording(filled: Library):
    firings = [{"recording": one, "period": None, "value": 0.5} for one in (1, 12)]
    with filled.database.write() as session:
        hook = add_webhook(session, "https://a.example", "whsec_", ["job.ended", "alert.fired"]).id
        announce(session, "job.ended", {"job": 1, "recording": 1})
        announce(session, "job.ended", {"job": 2, "recording": 12})
        announce(session, "alert.fired", {"firings": firings})
        announce(session, "alert.fired", {"firings": firings[:1]})
    filled.forget(1)
    left = [
        json.loads(one.body)["data"] for one in filled.deliveries(hook, limit=9, before_id=None)
    ]
    assert left == [{"firings": firings[1:]}, {"job": 2, "recording": 12}]


def add_model(library: Library, name: str, clips: int = 12, number: int | None = None) -> ModelInfo:
    """A model under which the first clips have embeddings; its number in the archive, if given."""
    random = np.random.default_rng(len(name))
    nothing = np.empty(0, np.float32)
    with library.database.write() as session:
        model = register_model(
            session, name=name, fingerprint=name.ljust(64, "0"), dimension=DIM, classes=()
        )
        if number is not None:
            session.execute(
                text("UPDATE models SET id = :to WHERE id = :id"), {"to": number, "id": model.id}
            )
            session.expire_all()
            model = holding_called(session, name).model
        rows = [
            (i, random.normal(size=DIM).astype(np.float32), nothing, None)
            for i in range(1, clips + 1)
        ]
        add_embeddings(session, model.id, rows)
    return model


def vector(library: Library, model: ModelInfo | None, clip: int) -> np.ndarray:
    assert model is not None
    with library.database.read() as session:
        return vectors_of(session, model, [clip])[0]


@pytest.fixture
def archive(filled: Library) -> Iterator[Library]:
    """An archive of the voices that may change its model."""
    with Library.open(filled.settings.model_copy(update={"model": None})) as opened:
        yield opened


@pytest.fixture
def two_models(archive: Library) -> tuple[Library, list[np.ndarray]]:
    """An archive with the saved indexes of two models, and the vectors of clip 1 under each."""
    first = archive.model()
    archive.save_index()
    second = add_model(archive, "second")
    archive.use("second")
    own = [vector(archive, model, 1) for model in (first, second)]
    for one in own:
        assert files_with(archive.settings.index_folder, one)
    return archive, own


def test_no_saved_index_of_any_model_keeps_a_vector(two_models):
    library, own = two_models
    library.forget(1)
    for one in own:
        assert files_with(library.settings.home.parent, one) == []  # with the database
    library.use("acoustic")
    assert 1 not in {hit.clip.id for hit in library.search(2, limit=100)}


def test_what_ended_early_is_made_up_for_by_the_next_forget_of_whatever(two_models):
    library, own = two_models
    library.forget(1, settle=False)  # and then the process was killed
    assert files_with(library.settings.index_folder, own[0])
    with pytest.raises(NotFoundError):
        library.forget(1)
    for one in own:
        assert files_with(library.settings.home.parent, one) == []  # with the database


def test_a_saved_index_that_cannot_be_brought_up_to_date_is_removed(
    two_models, monkeypatch, caplog
):
    def full(*_: object, **__: object) -> None:
        raise StorageFullError("no space left")

    library, own = two_models
    monkeypatch.setattr(IndexCache, "save", full)
    library.forget(1)
    for one in own:
        assert files_with(library.settings.home.parent, one) == []  # with the database
    assert "the saved index of acoustic is removed" in caplog.text
    assert len(library.search(2, limit=100)) == 10


def test_a_server_searches_the_model_that_serves_even_under_a_known_number(archive: Library):
    before = add_model(archive, "before")
    with Library.open(archive.settings) as server:
        archive.use("before")
        server.search(1, limit=5)
        archive.use("acoustic")
        archive.forget_model("before")
        after = add_model(archive, "after it", number=before.id)
        assert after.id == before.id
        archive.use("after it")
        _, searcher = server.searcher()
        with server.database.read() as session, searcher.keeper.at(session) as (loaded, _):
            for clip in range(1, 13):
                unit = normalise(vector(archive, after, clip))
                assert loaded.index.candidates(unit, 1).ids[0] == clip


def test_the_index_that_is_told_of_is_the_one_in_use(archive: Library):
    first, second = archive.model(), add_model(archive, "second", clips=5)
    third = add_model(archive, "third", clips=3)
    closed = []
    for model in (first, second, third):
        searcher = archive._search(model)
        searcher.refresh()
        close = searcher.keeper.close
        searcher.keeper.close = lambda close=close, name=model.name: (closed.append(name), close())
        archive._search(first)
        assert archive.index_state().clips == 12
    assert closed == ["second"]
