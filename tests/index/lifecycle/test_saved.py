"""A saved index is never older than it was, never misses its vectors, and keeps nothing erased."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from emotion_search.index.database.columns import Columns
from emotion_search.index.database.connection import Database
from emotion_search.index.database.models import ModelInfo, revision_and_space
from emotion_search.index.database.recordings import remove_recording
from emotion_search.index.database.spaces import Standing
from emotion_search.index.errors import StorageFullError
from emotion_search.index.lifecycle import build as build_module
from emotion_search.index.lifecycle import keeper as keeper_module
from emotion_search.index.lifecycle.saved import IndexCache
from emotion_search.index.search import Searcher
from emotion_search.index.vectors.arrays import normalise
from emotion_search.index.vectors.flat import FlatIndex
from emotion_search.index.vectors.mapped_rows import RowWriter, StoredRows
from emotion_search.index.vectors.space import Space
from tests.index.worlds import VectorArchive, ask, found

DIM = 16


def vectors(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)


@pytest.fixture
def archive(database: Database, tmp_path: Path) -> VectorArchive:
    made = VectorArchive(database, tmp_path / "index", DIM)
    made.add(vectors(400))
    return made


@pytest.fixture
def no_build(monkeypatch: pytest.MonkeyPatch):
    """From when it is called, no index may be made anew."""

    def forbid() -> None:
        def build(*_: object) -> None:
            raise AssertionError("an index was made anew")

        monkeypatch.setattr(keeper_module, "build", build)

    return forbid


def remove(archive: VectorArchive, recording: int) -> None:
    with archive.database.write() as session:
        remove_recording(session, recording)


def cache_of(archive: VectorArchive) -> IndexCache:
    return IndexCache(archive.folder, archive=archive.uuid, model=archive.model.fingerprint)


def saved_ids(archive: VectorArchive) -> set[int]:
    loaded = cache_of(archive).load(archive.model, Space().fingerprint)
    assert loaded is not None
    assert loaded.columns is not None
    ids = set(loaded.index.ids().tolist())
    assert set(loaded.columns.ids.tolist()) == ids
    return ids


def names(archive: VectorArchive, pattern: str = "*") -> list[str]:
    return sorted(file.name for file in archive.folder.rglob(pattern) if file.is_file())


def assert_whole(archive: VectorArchive) -> None:
    """What is in force is all there, and nothing else is."""
    (current,) = archive.folder.rglob("current.json")
    record = json.loads(current.read_text())
    expected = {"current.json", ".lock", record["file"], Path(record["file"]).stem + ".npz"}
    if record["rows"]:
        expected |= {record["rows"], record["rows"].replace(".f32", ".npy")}
    assert set(names(archive)) == expected


def flat(ids: list[int]) -> FlatIndex:
    made = FlatIndex(DIM)
    made.add(np.array(ids), vectors(len(ids)))
    return made


def test_a_delayed_saver_does_not_put_an_older_index_over_a_newer_one(tmp_path: Path):
    cache = IndexCache(tmp_path, archive="a", model="m" * 64)
    model = ModelInfo(1, "m", "m" * 64, DIM, ())
    cache.save(flat([1, 2]), Columns(model), 7, "space")
    assert cache.save(flat([1, 2, 3]), Columns(model), 6, "space")
    loaded = cache.load(model, "space")
    assert loaded is not None
    assert (loaded.revision, sorted(loaded.index.ids().tolist())) == (7, [1, 2])


def test_an_index_of_a_database_that_went_back_replaces_the_newer_one(archive: VectorArchive):
    searcher = archive.searcher()
    archive.count = 400
    archive.add(vectors(1, 9))
    searcher.keeper.save()
    with archive.database.write() as session:  # as it was before the last
        session.execute(text("DELETE FROM recordings WHERE id = 401"))
        session.execute(text("UPDATE models SET revision = 1"))
    ask(archive.searcher(), vectors(1)[0])
    saved = cache_of(archive).saved()
    assert saved is not None
    assert (saved[0].revision, saved[0].count) == (1, 400)


def test_an_index_in_use_is_made_anew_once_its_database_went_back_and_on(
    archive: VectorArchive, caplog
):
    searcher = archive.searcher()
    archive.add(vectors(9, 1))
    ask(searcher, vectors(1)[0])
    with archive.database.write() as session:  # as it was before the last
        session.execute(text("DELETE FROM recordings WHERE id > 400"))
        session.execute(text("UPDATE models SET revision = 1"))
    archive.count = 400
    others = vectors(5, 2)
    archive.add(others)  # under the ids, and up to the revision, of those that are gone
    archive.add(vectors(1, 3))
    hits = ask(searcher, others[2], limit=500)
    assert (len(hits), hits[0].clip.id, round(hits[0].similarity, 4)) == (406, 403, 1.0)
    assert "another database" in caplog.text
    caplog.clear()
    archive.add(vectors(1, 4))
    assert len(ask(searcher, others[2], limit=500)) == 407
    assert "another database" not in caplog.text


def test_an_index_whose_vectors_another_process_replaced_is_not_published(archive: VectorArchive):
    first, second = archive.searcher("quantised"), archive.searcher("quantised")
    first.keeper.save()
    ask(second, vectors(1)[0])
    first.keeper.rebuild()
    remove(archive, 5)
    second.keeper.save()
    assert_whole(archive)
    assert 5 not in saved_ids(archive)
    (rows,) = archive.folder.rglob("*.f32")
    assert not StoredRows(rows, DIM).get(np.array([5]))[0].any()
    assert vectors(400)[4].tobytes() not in rows.read_bytes()
    assert found(ask(second, vectors(1)[0])) == found(ask(second, vectors(1)[0], exact=True))


def test_a_home_that_cannot_be_written_to_stops_no_search(archive: VectorArchive, caplog):
    archive.folder.write_text("a file where the folder should be")
    searcher = archive.searcher("quantised")
    assert found(ask(searcher, vectors(1)[0]))[0] == (1, 1.0)
    assert "it goes without" in caplog.text
    remove(archive, 1)
    assert found(ask(searcher, vectors(1)[0]))[0][0] != 1


class FullDisk(io.BytesIO):
    """A file that takes so many bytes and no more."""

    def write(self, data) -> int:
        if self.tell() + len(data) > 100_000:
            raise OSError(28, "No space left on device")
        return super().write(data)


def test_a_disk_that_is_full_costs_the_vectors_beside_the_index(tmp_path: Path, caplog):
    writer = RowWriter(tmp_path)
    writer._file.close()
    writer._file = FullDisk()
    for begin in range(0, 4000, 1000):
        writer.add(np.arange(begin, begin + 1000), vectors(1000))
    assert writer.close(DIM) is None
    assert "No space left" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_vectors_that_cannot_be_erased_yet_are_not_published(archive: VectorArchive, monkeypatch):
    searcher = archive.searcher("quantised")
    searcher.keeper.save()
    real = np.memmap

    def refuse(*given: object, mode: str, **more: object) -> object:
        if mode == "r+":
            raise PermissionError("read-only")
        return real(*given, mode=mode, **more)

    monkeypatch.setattr(np, "memmap", refuse)
    remove(archive, 5)
    ask(searcher, vectors(1)[0])
    assert 5 in saved_ids(archive)
    monkeypatch.setattr(np, "memmap", real)
    searcher.keeper.save()
    assert 5 not in saved_ids(archive)
    (rows,) = archive.folder.rglob("*.f32")
    assert vectors(400)[4].tobytes() not in rows.read_bytes()


def test_a_new_index_that_cannot_be_made_is_not_tried_by_every_search(
    archive: VectorArchive, monkeypatch, caplog
):
    searcher = archive.searcher(background=True)
    ask(searcher, vectors(1)[0])
    tries = []

    def build(*_: object) -> None:
        tries.append(1)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keeper_module, "build", build)
    monkeypatch.setattr(FlatIndex, "most", 300)
    for _ in range(3):
        assert found(ask(searcher, vectors(1)[0]))[0] == (1, 1.0)
        searcher.keeper.wait(60)
    assert len(tries) == 1
    assert "the last one serves on" in caplog.text


def test_an_index_is_saved_after_a_search_once_much_has_changed(
    archive: VectorArchive, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(keeper_module, "_QUICK_S", 60.0)  # no save is too slow for the next
    searcher = archive.searcher()
    for least, added, saved in [
        (400, 0, 400),
        (30, 29, 400),
        (30, 1, 430),
        (1, 20, 430),  # nor is it a twentieth of all
        (1, 2, 452),
    ]:
        monkeypatch.setattr(keeper_module, "_SAVE_AFTER", least)
        if added:
            archive.add(vectors(added))
        ask(searcher, vectors(1)[0])
        assert len(saved_ids(archive)) == saved


def test_columns_that_had_to_be_read_anew_are_saved_again_and_others_are_not(
    archive: VectorArchive, no_build
):
    archive.searcher().keeper.save()
    (columns,) = archive.folder.rglob("*.npz")
    written = columns.stat().st_mtime_ns
    no_build()
    ask(archive.searcher(), vectors(1)[0])
    assert columns.stat().st_mtime_ns == written
    columns.write_bytes(b"harmed")
    ask(archive.searcher(), vectors(1)[0])
    assert len(saved_ids(archive)) == 400
    assert_whole(archive)


def test_vectors_beside_an_index_that_are_not_the_databases_are_noticed(
    archive: VectorArchive, caplog
):
    archive.searcher("quantised").keeper.save()
    (rows,) = archive.folder.rglob("*.f32")
    (np.fromfile(rows, "<f4") + np.float32(1e-3)).tofile(rows)
    assert found(ask(archive.searcher("quantised"), vectors(1)[0], 1)) == [(1, 1.0)]
    assert "does not match the database" in caplog.text


def test_a_saved_index_is_checked_whatever_was_added_since(archive: VectorArchive, caplog):
    archive.searcher().keeper.save()
    archive.add(vectors(300, 4))
    with archive.database.write() as session:  # as if a backup had been restored and added to
        session.execute(
            text("UPDATE embeddings SET vector = :v WHERE clip_id = 400"),
            {"v": (-vectors(1)[0]).tobytes()},
        )
    assert found(ask(archive.searcher(), -vectors(1)[0], 1)) == [(400, 1.0)]
    assert "does not match the database" in caplog.text


def test_a_saved_index_may_be_ahead_of_a_searchs_snapshot(archive: VectorArchive, no_build):
    with archive.database.read() as early:
        revision_and_space(early, archive.model.id)
        archive.add(vectors(1, 4))
        archive.searcher().keeper.save()
        no_build()
        with archive.searcher().keeper.at(early) as (loaded, _):
            assert loaded.revision == 2


def test_an_index_that_another_thread_brings_forward_is_kept(
    archive: VectorArchive, monkeypatch, no_build
):
    searcher = archive.searcher()
    with archive.database.read() as early:
        revision_and_space(early, archive.model.id)
        archive.add(vectors(1, 4))
        searcher.refresh()
        no_build()
        original = searcher.keeper._latest

        def then_more() -> Standing:
            latest = original()
            monkeypatch.setattr(searcher.keeper, "_latest", original)
            archive.add(vectors(1, 5))
            searcher.refresh()
            return latest

        monkeypatch.setattr(searcher.keeper, "_latest", then_more)
        with searcher.keeper.at(early) as (loaded, _):
            assert loaded.revision == 3


def test_vectors_beside_an_index_are_published_with_it_at_once(archive: VectorArchive):
    searcher = archive.searcher("quantised")
    ask(searcher, vectors(1)[0])
    assert_whole(archive)
    searcher.keeper.rebuild()
    assert_whole(archive)


def test_vectors_that_were_never_published_go_with_the_index(archive: VectorArchive, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise StorageFullError("no space left")

    monkeypatch.setattr(IndexCache, "save", full)
    searcher = archive.searcher("quantised")
    ask(searcher, vectors(1)[0])
    assert len(names(archive, "making-*.f32")) == 1
    with pytest.raises(StorageFullError, match="is not saved"):
        searcher.keeper.rebuild()
    assert len(names(archive, "making-*.f32")) == 1
    searcher.keeper.close()
    assert names(archive, "making-*") == []


def test_saving_removes_what_a_killed_process_left_and_nothing_that_is_being_made(
    archive: VectorArchive,
):
    searcher = archive.searcher("quantised")
    searcher.keeper.save()
    (folder,) = {file.parent for file in archive.folder.rglob("current.json")}
    for name in ("making-dead.f32", "making-dead.npy", "making-dead.lock", "saving-dead.faiss"):
        (folder / name).write_bytes(b"left")
    alive = RowWriter(folder)
    remove(archive, 5)
    searcher.keeper.save()
    assert not [name for name in names(archive) if "dead" in name]
    assert len(names(archive, "making-*.f32")) == 1
    alive.abandon()
    assert_whole(archive)


@pytest.mark.parametrize("kind", ["flat", "quantised"])
def test_a_replica_erases_from_its_own_files_at_its_next_search(archive: VectorArchive, kind):
    replica: Searcher = archive.searcher(kind)
    replica.keeper.save()
    assert 5 in saved_ids(archive)
    remove(archive, 5)  # by another machine
    ask(replica, vectors(1)[0])
    assert 5 not in saved_ids(archive)


def test_recall_is_measured_on_clips_from_all_over_the_archive(archive: VectorArchive, monkeypatch):
    measured = []

    class Watched(build_module.Neighbours):
        def __init__(self, ids: np.ndarray, queries: np.ndarray) -> None:
            measured.extend(zip(ids.tolist(), queries, strict=True))
            super().__init__(ids, queries)

    monkeypatch.setattr(build_module, "Neighbours", Watched)
    archive.searcher("quantised").keeper.rebuild()
    own = np.array([clip for clip, _ in measured])
    assert len(own) == 192
    assert np.count_nonzero(own > 200) > 30
    stored = vectors(400)
    for clip, query in measured:
        if clip < 0:  # between two clips
            assert max(normalise(stored) @ query) < 0.999
            continue
        assert query @ stored[clip - 1] == pytest.approx(np.linalg.norm(stored[clip - 1]), rel=1e-5)


def test_every_bit_of_a_saved_index_counts(archive: VectorArchive):
    archive.searcher("quantised").keeper.save()
    cache = cache_of(archive)
    space = Space().fingerprint
    assert cache.examine(archive.model, space) is None
    rng = np.random.default_rng(5)
    for file in sorted(archive.folder.rglob("[!.]*.*")):
        whole = file.read_bytes()
        begin = 128 if file.suffix == ".npy" else 0  # NumPy's header, of blanks mostly
        for at in rng.integers(begin, len(whole), 12):
            changed = bytearray(whole)
            changed[at] ^= 1 << int(rng.integers(8))
            file.write_bytes(changed)
            assert cache.examine(archive.model, space), (file.name, at)
        file.write_bytes(whole)
    assert cache.examine(archive.model, space) is None
