"""The index of codes gives what the exact one gives, on vectors easy and hard."""

from pathlib import Path

import numpy as np
import pytest

from emotion_search.index.database.connection import Database
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.errors import InvalidInputError
from emotion_search.index.vectors import topk
from emotion_search.index.vectors.arrays import normalise
from emotion_search.index.vectors.flat import FlatIndex
from emotion_search.index.vectors.quantised import QuantisedIndex
from tests.index.worlds import START, VectorArchive, ask, found

DIM = 64


def voices(count: int, *, seed: int = 0) -> np.ndarray:
    """Crowded clusters, as embeddings of voices are: all cosines are high."""
    rng = np.random.default_rng(seed)
    scale = 1 / np.sqrt(1 + np.arange(DIM))
    centres = np.random.default_rng(99).normal(size=(20, DIM))
    rows = (centres[rng.integers(20, size=count)] + 0.5 * rng.normal(size=(count, DIM))) * scale
    return (rows + 2 * scale).astype(np.float32)


@pytest.fixture
def archive(sqlite: Database, tmp_path: Path) -> VectorArchive:
    return fill(sqlite, tmp_path / "index")


def fill(database: Database, folder: Path) -> VectorArchive:
    made = VectorArchive(database, folder, DIM)
    made.add(voices(3000), clips_each=3)
    return made


def kind(searcher) -> str:
    return searcher.keeper._current.index.kind


def test_hits_are_those_of_the_exact_search(archive: VectorArchive):
    searcher = archive.searcher("quantised")
    queries = voices(60, seed=5)
    right = total = 0
    for query in queries:
        truth = found(ask(searcher, query, exact=True))
        hits = found(ask(searcher, query))
        right += len(set(truth) & set(hits))
        total += len(truth)
    assert kind(searcher) == "quantised"
    assert right / total >= 0.995
    assert searcher.keeper._current.index.recall >= 0.999


def test_one_hit_a_recording(archive: VectorArchive):
    searcher = archive.searcher("quantised")
    for query in voices(10, seed=6):
        hits = ask(searcher, query, 50, per_recording=1)
        assert len({hit.clip.recording_id for hit in hits}) == len(hits) == 50
        truth = ask(searcher, query, 50, per_recording=1, exact=True)
        assert len(set(found(hits)) ^ set(found(truth))) <= 2


FILTERS = (
    ClipFilter(sources=("few",)),
    ClipFilter(labels=("rare",)),
    ClipFilter(labels=("common",)),
    ClipFilter(emotions=("angry",), min_score=0.9),
    ClipFilter(after=START, before=START.replace(month=2)),
    ClipFilter(min_duration=2.0),
    ClipFilter(max_duration=1.0, labels=("rare",), emotions=("calm",)),
)


@pytest.mark.parametrize("few", [3000, 20])  # compare all that match, or search among them
def test_a_filter_gives_exactly_k_or_all(database: Database, tmp_path: Path, few, monkeypatch):
    archive = fill(database, tmp_path / "index")
    archive.count = 3000
    archive.add(voices(4, seed=8), source="few")
    monkeypatch.setattr(topk, "FEW", few)
    searcher = archive.searcher("quantised")
    for wanted in FILTERS:
        for query in voices(5, seed=7):
            truth = found(ask(searcher, query, 10, wanted, exact=True))
            assert found(ask(searcher, query, 10, wanted)) == truth, wanted


def test_what_is_added_is_found_and_what_is_removed_is_not(archive: VectorArchive):
    searcher = archive.searcher("quantised")
    query = voices(1, seed=11)[0]
    before = found(ask(searcher, query))
    (new,) = archive.add(query[None])
    assert found(ask(searcher, query))[0] == (new, 1.0)
    from emotion_search.index.database.recordings import remove_recording

    with archive.database.write() as session:
        remove_recording(session, new)
    assert found(ask(searcher, query)) == before


def test_vectors_that_are_all_equal_are_told_apart_by_id(sqlite: Database, tmp_path: Path):
    archive = VectorArchive(sqlite, tmp_path / "index", DIM)
    archive.add(np.repeat(voices(1), 600, axis=0))
    searcher = archive.searcher("quantised")
    assert found(ask(searcher, voices(1)[0], 5)) == [(i, 1.0) for i in range(1, 6)]
    assert kind(searcher) == "quantised"


def test_near_duplicates_are_left_out_where_that_is_wished(sqlite: Database, tmp_path: Path):
    archive = VectorArchive(sqlite, tmp_path / "index", DIM)
    once = voices(300)
    archive.add(np.repeat(once, 4, axis=0) + 1e-4 * voices(1200, seed=2))
    searcher = archive.searcher("quantised")
    hits = ask(searcher, once[0], 20, distinct=0.9999)
    assert len({(hit.clip.id - 1) // 4 for hit in hits}) == len(hits) == 20


def test_a_saved_index_answers_as_before(archive: VectorArchive):
    first = archive.searcher("quantised")
    first.keeper.save()
    second = archive.searcher("quantised")
    for query in voices(5, seed=3):
        assert found(ask(second, query)) == found(ask(first, query))
    assert second.keeper._current.index.recall == first.keeper._current.index.recall


def test_codes_of_other_vectors_than_the_databases_are_noticed(archive: VectorArchive, caplog):
    archive.searcher("quantised").keeper.save()
    from sqlalchemy import text

    with archive.database.write() as session:  # as if a backup had been restored and added to
        session.execute(
            text("UPDATE embeddings SET vector = :v WHERE clip_id > 2900"),
            {"v": (-voices(1)[0]).tobytes()},
        )
    searcher = archive.searcher("quantised")
    assert found(ask(searcher, -voices(1)[0], 1)) == [(2901, 1.0)]
    assert "does not match the database" in caplog.text


def test_an_archive_that_grows_changes_its_index_behind_the_scenes(
    archive: VectorArchive, monkeypatch
):
    monkeypatch.setattr(FlatIndex, "most", 3500)
    searcher = archive.searcher(background=True)
    query = voices(1, seed=12)[0]
    ask(searcher, query)
    assert kind(searcher) == "flat"
    archive.add(voices(1000, seed=4))
    truth = found(ask(searcher, query))
    searcher.keeper.wait(60)
    assert kind(searcher) == "quantised"
    assert found(ask(searcher, query)) == truth
    lists = searcher.keeper._current.index.lists
    archive.count = 4000
    archive.add(voices(5000, seed=5))
    ask(searcher, query)
    searcher.keeper.wait(60)
    ask(searcher, query)
    assert searcher.keeper._current.index.lists >= lists
    assert searcher.keeper._current.index.trained_on == 9000
    searcher.keeper.close()


def test_the_exact_index_can_be_asked_for_at_any_size(archive: VectorArchive, monkeypatch):
    monkeypatch.setattr(FlatIndex, "most", 100)
    searcher = archive.searcher("flat")
    ask(searcher, voices(1)[0])
    assert kind(searcher) == "flat"


def test_verification_tells_a_sound_index_from_a_broken_one(archive: VectorArchive):
    searcher = archive.searcher("quantised")
    assert searcher.verify().is_sound
    index = searcher.keeper._current.index
    index.remove(np.array([5, 6]))
    index.add(np.array([9999]), voices(1))
    verdict = searcher.verify()
    assert (verdict.clips, verdict.missing, verdict.surplus) == (3000, 2, 1)
    assert not verdict.is_sound
    searcher.keeper.rebuild()
    assert searcher.verify().is_sound


def test_a_vector_on_the_centre_of_its_list_is_found():
    rows = normalise(voices(256))
    index = QuantisedIndex(rows, count=256)
    index.add(np.arange(256), rows)
    for i in range(0, 256, 16):
        assert i in index.candidates(rows[i], 10).ids


@pytest.mark.parametrize("apart", [1, 1000])  # a bitmap of ids, or a set
def test_only_what_is_allowed_is_a_candidate_and_all_of_it_where_it_is_little(apart: int):
    rows = normalise(voices(256))
    index = QuantisedIndex(rows, count=256)
    index.add(np.arange(256) * apart, rows)
    allowed = np.array([3, 100, 255, 300]) * apart  # the last is not there
    found = index.candidates(rows[3], 10, allowed=allowed)
    assert sorted(found.ids.tolist()) == allowed[:3].tolist()
    assert found.ids[0] == 3 * apart
    assert found.complete


def test_searches_go_as_far_as_true_neighbours_lay_when_it_was_measured():
    rows, queries = normalise(voices(1000)), normalise(voices(50, seed=9))
    index = QuantisedIndex(rows, count=1000)
    index.add(np.arange(1000), rows)
    cosines = queries @ rows.T
    nearest = np.argsort(-cosines, axis=1)[:, :20]
    every = [index.candidates(query, 1000) for query in queries]  # not measured: all are looked at
    assert {len(one.ids) for one in every} == {1000}
    errors = [
        one.estimates[np.isin(one.ids, near)] - true[one.ids[np.isin(one.ids, near)]]
        for one, near, true in zip(every, nearest, cosines, strict=True)
    ]
    index.measure(queries, nearest, np.take_along_axis(cosines, nearest, axis=1), 0.999)
    assert index.spread == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=1e-3)
    assert list(index.details()["reach"]) == ["1", "10", "20"]
    for rank in (1, 10, 20):
        found = [index.candidates(query, rank).ids for query in queries]
        both = zip(nearest, found, strict=True)
        assert np.mean([np.isin(near[:rank], ids) for near, ids in both]) >= 0.999
        assert 8 <= index.probes_and_depth(rank)[0] <= index.lists
        assert max(64, 1.5 * rank) <= index.probes_and_depth(rank)[1] < 1000
    assert index.probes_and_depth(15) == index.probes_and_depth(20)
    nearest[:, 19] = 999  # which most searches come upon no sooner than among all
    index.measure(queries, nearest, np.take_along_axis(cosines, nearest, axis=1), 0.999)
    assert index.probes_and_depth(20)[1] == 8 * 20
    assert index.probes_and_depth(41) == (index.lists, np.ceil(41 * index._measured[20][1] / 20))


@pytest.mark.parametrize(("count", "lists"), [(0, 4), (40, 8), (1024, 32), (1_000_000, 1024)])
def test_there_are_about_as_many_lists_as_the_root_of_the_vectors(count: int, lists: int):
    assert QuantisedIndex.training_size(count) == 48 * lists


def test_vectors_added_after_others_were_removed_are_estimated_as_well():
    rng = np.random.default_rng(0)
    rows = normalise(rng.normal(size=(2000, DIM)).astype(np.float32))
    index = QuantisedIndex(rows[:1000], count=1000)
    index.add(np.arange(1000), rows[:1000])

    def errors(ids) -> float:
        answers = [index.candidates(q, 1000, allowed=ids) for q in rows[1900:]]
        true = [rows[one.ids] @ q for one, q in zip(answers, rows[1900:], strict=True)]
        return float(np.std([t.estimates - c for t, c in zip(answers, true, strict=True)]))

    usual = errors(np.arange(1000))
    gone = rng.choice(1000, 300, replace=False)
    index.remove(gone)
    left = np.setdiff1d(np.arange(1000), gone)
    assert sorted(index.ids().tolist()) == left.tolist()
    assert errors(left) < 1.15 * usual  # those that moved into the gaps among them
    for i in range(1000, 1300):
        index.add(np.array([i]), rows[i : i + 1])
    assert index.count == 1000
    assert errors(left) < 1.15 * usual
    assert errors(np.arange(1000, 1300)) < 1.15 * usual


def test_a_file_of_another_kind_is_refused(tmp_path: Path):
    (tmp_path / "x.faiss").write_bytes(b"nonsense")
    with pytest.raises(InvalidInputError, match="not a readable"):
        QuantisedIndex.load(tmp_path / "x.faiss", {})
