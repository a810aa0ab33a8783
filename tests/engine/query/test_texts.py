"""Queries in words: the space that they are put in, and what they go with."""

import numpy as np
import pytest

from emotion_search.engine.embedders.shared import SharedEmbedder
from emotion_search.engine.library.library import Library
from emotion_search.engine.quality.tune import recalibrate
from emotion_search.engine.query.examples import ClipExample, TextExample, VectorExample
from emotion_search.engine.query.query import Query, answer
from emotion_search.index.database.baselines import fit
from emotion_search.index.database.clips import vectors_of
from emotion_search.index.database.spaces import active_space, add_space
from emotion_search.index.errors import InvalidInputError, ModelFailedError
from emotion_search.index.vectors.arrays import normalise
from emotion_search.index.vectors.space import Method, Space


@pytest.fixture
def library(sqlite_settings, voices_archive):
    voices_archive.place(sqlite_settings)
    with Library.open(sqlite_settings) as opened:
        yield opened


@pytest.fixture
def words(library, monkeypatch):
    """Embeddings by text, of a model that has the archive's clips and knows these texts."""
    known = {"loud": np.random.default_rng(0).normal(size=256).astype(np.float32)}
    model = library.embedder()._embedder

    def embed_text(texts):
        return np.stack([known[text] for text in texts])

    monkeypatch.setattr(model, "embed_text", embed_text, raising=False)
    return known


def stored(library, *clips: int) -> np.ndarray:
    with library.database.read() as session:
        return vectors_of(session, library.model(), list(clips))


def hits(library, *positive, negative=(), **options):
    options = {"limit": 100, "per_recording": None} | options
    return answer(library, Query(positive, negative, **options)).hits


def like(found) -> dict[int, float]:
    return {hit.clip.id: hit.similarity for hit in found}


def test_hits_come_by_the_cosine_of_their_embeddings_to_the_texts(library, words):
    found = hits(library, TextExample("loud"))
    ids = [hit.clip.id for hit in found]
    true = normalise(stored(library, *ids)) @ normalise(words["loud"])
    assert [hit.similarity for hit in found] == pytest.approx(true.tolist(), abs=1e-5)
    assert sorted(ids) == list(range(1, 13))
    assert true.tolist() == sorted(true, reverse=True)


def test_texts_go_with_clips_for_and_against(library, words):
    vector = VectorExample(tuple(words["loud"].tolist()))
    for positive, negative in (
        (lambda text: (ClipExample(1), text), lambda _: ()),
        (lambda _: (ClipExample(1),), lambda text: (text,)),
    ):
        one, other = (
            like(hits(library, *positive(example), negative=negative(example)))
            for example in (TextExample("loud"), vector)
        )
        assert one == other
        assert 1 not in one
        assert one != {c: s for c, s in like(hits(library, ClipExample(1))).items() if c in one}


def test_from_a_text_the_mean_of_the_archive_is_subtracted_and_from_clips_their_baselines(
    library, words
):
    model = library.model()
    with library.database.write() as session:
        fitted = fit(session, model)
        add_space(
            session,
            model,
            Space(Method.BASELINE, fitted.mean),
            task=None,
            clips=fitted.clips,
            gain=None,
            baselines=fitted,
        )
    near = next(iter(fitted.groups.values()))
    words["loud"] = normalise(near.mean + 0.1 * normalise(words["loud"]))  # beside a source's mean
    found = hits(library, TextExample("loud"))
    query = normalise(words["loud"] - fitted.mean)
    with library.database.read() as session:
        ids = np.array([hit.clip.id for hit in found])
        rows = active_space(session, model).turn(session, ids, stored(library, *ids.tolist()))
    assert [hit.similarity for hit in found] == pytest.approx((rows @ query).tolist(), abs=1e-5)
    as_sound = hits(library, VectorExample(tuple(words["loud"].tolist())))
    assert like(as_sound) != like(found)  # which would take the baseline of the nearest source
    assert [one.baselines[0].level for one in (*found[:1], *as_sound[:1])] == [
        "archive",
        "nearest source",
    ]


def test_of_a_query_with_a_text_there_are_no_percentiles(library, words):
    recalibrate(library.database, library.model())
    assert all(hit.percentile is not None for hit in hits(library, ClipExample(1)))
    for found in (
        hits(library, TextExample("loud")),
        hits(library, ClipExample(1), negative=[TextExample("loud")]),
    ):
        assert all(hit.percentile is None for hit in found)


def test_empty_texts_are_refused_and_speakers_of_texts(library, words):
    with pytest.raises(InvalidInputError, match="the text is empty"):
        hits(library, TextExample(" \n"))
    with pytest.raises(InvalidInputError, match="say whose files are"):
        hits(library, TextExample("loud"), speaker="voice1")
    with pytest.raises(InvalidInputError, match="is not in the archive"):
        hits(library, TextExample("loud"), exclude_same="recording")


@pytest.mark.parametrize(
    "given", [np.zeros((1, 4), np.float32), np.full((1, 4), np.nan), np.ones((1, 3))]
)
def test_what_is_no_embedding_of_a_text_is_the_models_fault(given):
    class Bad:
        name, fingerprint, dimension, classes, adapts, centre = "bad", "0" * 64, 4, (), False, None

        def embed_text(self, texts):
            return given

    with pytest.raises(ModelFailedError, match="bad gave a text no usable embedding"):
        SharedEmbedder(Bad(), threads=1).embed_text(["loud"])
