"""Vectors in a file: found by id, erased on disk, checked, and removed with their maker."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock, Timeout

from emotion_search.index.errors import InvalidInputError
from emotion_search.index.vectors import mapped_rows
from emotion_search.index.vectors.mapped_rows import RowWriter, StoredRows, remove_abandoned

IDS = np.array([7, 2, 11, 5, 30, 3], np.int64)
VECTORS = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
QUERY = np.array([0.5, -1.0, 2.0, 0.25], np.float32)


@pytest.fixture(autouse=True)
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows at a time, by two threads."""
    monkeypatch.setattr(mapped_rows, "_READ", 2)
    monkeypatch.setattr(mapped_rows, "_SHARE", 1)
    monkeypatch.setattr(mapped_rows, "_HELPERS", 1)


def written(folder: Path) -> StoredRows:
    writer = RowWriter(folder)
    writer.add(IDS[:4], VECTORS[:4])
    writer.add(IDS[4:], VECTORS[4:])
    stored = writer.close(4)
    assert stored is not None
    return stored


def names(folder: Path) -> list[str]:
    return sorted(path.suffix for path in folder.iterdir())


def test_rows_are_found_by_id(tmp_path: Path):
    stored = written(tmp_path)
    assert len(stored) == 6
    known, rows = stored.get(np.array([30, 1, 7, 31, 2, 4], np.int64))
    assert known.tolist() == [True, False, True, False, True, False]
    assert np.array_equal(rows, VECTORS[[4, 0, 1]])


@pytest.mark.parametrize("wanted", [[2, 9, 30], [30, 7, 99, 2], [3, 30, 5, 11, 2, 8], [9]])
def test_products_are_with_the_rows_of_the_ids(tmp_path: Path, wanted: list[int]):
    known, products = written(tmp_path).products(QUERY, np.array(wanted, np.int64))
    there = [one for one in wanted if one in IDS]
    assert known.tolist() == [one in IDS for one in wanted]
    rows = [int(np.flatnonzero(one == IDS)[0]) for one in there]
    np.testing.assert_allclose(products, VECTORS[rows] @ QUERY, rtol=1e-5)


def test_threads_share_the_rows_and_none_waits_for_one_that_is_busy(monkeypatch):
    with ThreadPoolExecutor(1) as helper:
        monkeypatch.setattr(mapped_rows, "_helpers", helper)
        rows, places = np.repeat(VECTORS, 500, axis=0), np.arange(2999, -1, -1)
        let_go, by, together = threading.Event(), set[str](), threading.Barrier(2, timeout=20)

        def products(part: slice) -> np.ndarray:
            by.add(threading.current_thread().name)
            if not busy:
                together.wait()
            return mapped_rows._products_of(rows, QUERY, places, part)

        for busy in (False, True):
            by.clear()
            if busy:
                let_go.clear()
                helper.submit(let_go.wait, 20)
            found = mapped_rows._shared(products, 3000)
            let_go.set()
            np.testing.assert_allclose(found, (rows @ QUERY)[places], rtol=1e-5)
            assert len(by) == (1 if busy else 2)


@pytest.mark.parametrize("count", [2, 6])
def test_what_was_erased_is_zero_on_disk_and_not_here_any_more(tmp_path: Path, count: int):
    stored = written(tmp_path)
    stored.erase(np.array([2, 40], np.int64))
    asked = IDS[:count]
    left = [row for row in range(count) if row != 1]
    for found in (stored.get(asked), stored.products(QUERY, asked)):
        assert found[0].tolist() == [row != 1 for row in range(count)]
        assert len(found[1]) == count - 1
    np.testing.assert_allclose(stored.products(QUERY, asked)[1], VECTORS[left] @ QUERY, rtol=1e-5)
    assert stored.get(np.array([2], np.int64))[0].tolist() == [False]
    on_disk = np.fromfile(stored.path, "<f4").reshape(6, 4)
    assert not on_disk[1].any()
    assert np.array_equal(np.delete(on_disk, 1, 0), np.delete(VECTORS, 1, 0))


def test_a_product_of_zero_and_a_first_number_of_zero_are_no_erasure(tmp_path: Path):
    writer = RowWriter(tmp_path)
    rows = np.array([[0, 1, 0, 0], [1, 0, 0, 0]], np.float32)
    writer.add(np.array([1, 2], np.int64), rows)
    stored = writer.close(4)
    assert stored is not None
    across = np.array([0, 0, 1, 0], np.float32)
    ids = np.array([2, 1], np.int64)
    known, products = stored.products(across, ids)
    assert (known.tolist(), products.tolist()) == ([True, True], [0.0, 0.0])
    known, found = stored.get(ids)
    assert known.tolist() == [True, True]
    assert np.array_equal(found, rows[::-1])


def test_damage_is_named_by_id_and_erasure_is_none(tmp_path: Path):
    stored = written(tmp_path)
    stored.erase(np.array([5], np.int64))
    assert stored.damaged().tolist() == []
    content = bytearray(stored.path.read_bytes())
    for row in (0, 5):  # ids 7 and 3
        content[row * 16 + 3] ^= 1
    stored.path.write_bytes(content)
    assert StoredRows(stored.path, 4).damaged().tolist() == [3, 7]


def test_ids_that_were_changed_are_damage(tmp_path: Path):
    stored = written(tmp_path)
    beside = stored.path.with_suffix(".npy")
    table = np.load(beside)
    table[0, 2] = 12
    np.save(beside, table)
    assert StoredRows(stored.path, 4).damaged().tolist() == [12]


def test_a_sample_is_of_ids_here_and_always_the_same(tmp_path: Path):
    stored = written(tmp_path)
    assert stored.sample(3).tolist() == stored.sample(3).tolist()
    assert len(stored.sample(3)) == 3
    assert set(stored.sample(9).tolist()) == set(IDS.tolist())


@pytest.mark.parametrize(
    "table", [np.zeros((2, 6), np.int32), np.zeros(2, np.int64), np.zeros((3, 6), np.int64)]
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, table: np.ndarray):
    stored = written(tmp_path)
    np.save(stored.path.with_suffix(".npy"), table)
    with pytest.raises(InvalidInputError, match="has no ids beside it"):
        StoredRows(stored.path, 4)


@pytest.mark.parametrize("dimension", [3, 5])
def test_files_that_do_not_fit_each_other_are_refused(tmp_path: Path, dimension: int):
    path = written(tmp_path).path
    with pytest.raises(InvalidInputError, match="does not hold the vectors that it should"):
        StoredRows(path, dimension)
    path.unlink()
    with pytest.raises(InvalidInputError, match="cannot be read"):
        StoredRows(path, 4)


def test_files_are_under_way_until_they_are_published_or_dropped(tmp_path: Path):
    stored = written(tmp_path)
    assert names(tmp_path) == [".f32", ".lock", ".npy"]
    assert stored.path.stem.startswith("making-")
    remove_abandoned(tmp_path)  # its maker is here
    assert names(tmp_path) == [".f32", ".lock", ".npy"]
    stored.publish(tmp_path)
    assert names(tmp_path) == [".f32", ".npy"]
    assert stored.path.parent == tmp_path
    assert stored.path.stem.startswith("vectors-")
    stored.drop()  # a saved index knows them
    stored.publish(tmp_path)
    assert np.array_equal(StoredRows(stored.path, 4).get(IDS)[1], VECTORS)
    other = written(tmp_path)
    other.drop()
    assert names(tmp_path) == [".f32", ".npy"]
    assert np.array_equal(other.get(IDS)[1], VECTORS)  # what is mapped stays so


def test_what_a_maker_left_that_is_gone_is_removed(tmp_path: Path):
    writer = RowWriter(tmp_path)
    writer.add(IDS, VECTORS)
    with pytest.raises(Timeout):
        FileLock(writer._path.with_suffix(".lock"), timeout=0).acquire()
    writer._file.close()
    writer._lock.release()
    remove_abandoned(tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize("suffix", [".f32", ".npy", ".lock"])
def test_any_part_of_what_a_maker_left_is_removed(tmp_path: Path, suffix: str):
    (tmp_path / "making-gone").with_suffix(suffix).write_bytes(b"left")
    remove_abandoned(tmp_path)
    assert names(tmp_path) == []


def test_a_disk_that_takes_no_more_leaves_no_rows_and_no_files(tmp_path: Path, caplog):
    writer = RowWriter(tmp_path)
    writer._file.close()
    writer._file = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115
    with caplog.at_level(logging.WARNING):
        writer.add(IDS, VECTORS)
    assert "it goes without" in caplog.text
    writer.add(IDS, VECTORS)
    assert writer.close(4) is None
    assert names(tmp_path) == []


def test_an_erasure_that_cannot_be_written_is_done_before_they_are_published(
    tmp_path: Path, monkeypatch, caplog
):
    stored = written(tmp_path)
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(np, "memmap", lambda *_, **__: (_ for _ in ()).throw(OSError("read-only")))
        stored.erase(np.array([11], np.int64))
        stored.erase(np.array([5], np.int64))
    assert "cannot be erased yet" in caplog.text
    assert np.fromfile(stored.path, "<f4").reshape(6, 4)[2].any()
    stored.publish(tmp_path)
    assert np.flatnonzero(~np.fromfile(stored.path, "<f4").reshape(6, 4).any(axis=1)).tolist() == [
        2,
        3,
    ]
