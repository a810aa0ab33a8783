"""Watched folders: whatever a scan would take is handed on, whenever and however it arrived."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emotion_search.engine.files.watch import Watch


class Follower:
    """Collects on a thread what a watch hands on."""

    def __init__(self, *folders: Path) -> None:
        self.stop = threading.Event()
        self.files: list[str] = []
        self.unusable: dict[str, str] = {}
        self._watch = Watch([str(one) for one in folders], quiet=0.1, stop=self.stop)
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self.stop.set()
        if self._thread.ident:
            self._thread.join(20)
            assert not self._thread.is_alive()

    def wait(self, enough: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not enough() and time.monotonic() < deadline:
            time.sleep(0.05)

    def _run(self) -> None:
        for found in self._watch:
            self.files += [file.path for file in found.files]
            self.unusable |= dict(found.unusable)


@pytest.fixture
def follow() -> Iterator[Callable[..., Follower]]:
    made: list[Follower] = []

    def make(*folders: Path) -> Follower:
        made.append(Follower(*folders))
        return made[-1]

    yield make
    for one in made:
        one.end()


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def test_what_arrives_before_anybody_asks_is_handed_on(follow, tmp_path: Path):
    follower = follow(tmp_path)
    early = put(tmp_path / "early.wav")
    time.sleep(0.2)  # an ingest is going on
    follower.start()
    follower.wait(lambda: bool(follower.files))
    assert follower.files == [str(early)]


def test_a_folder_that_is_moved_in_brings_its_files(follow, tmp_path: Path):
    root = tmp_path / "watched"
    root.mkdir()
    put(tmp_path / "batch" / "a.wav")
    put(tmp_path / "batch" / "deep" / "b.flac")
    put(tmp_path / "batch" / ".hidden" / "c.wav")
    put(tmp_path / "batch" / "notes.txt")
    follower = follow(root)
    follower.start()
    (tmp_path / "batch").rename(root / "batch")
    follower.wait(lambda: len(follower.files) == 2)
    put(root / "batch" / "deep" / "later.wav")
    follower.wait(lambda: len(follower.files) == 3)
    names = sorted(str(Path(path).relative_to(root)) for path in follower.files)
    assert names == ["batch/a.wav", "batch/deep/b.flac", "batch/deep/later.wav"]


def test_hidden_is_what_a_scan_of_the_folder_leaves_out(follow, tmp_path: Path):
    root = tmp_path / ".calls"
    (root / ".hid" / "deep" / "sub").mkdir(parents=True)
    follower = follow(root)
    follower.start()
    put(root / ".hid" / "deep" / "sub" / "x.flac")
    put(root / ".y.wav")
    shown = put(root / "z.wav")
    follower.wait(lambda: bool(follower.files))
    later = put(root / "later.wav")
    follower.wait(lambda: len(follower.files) > 1)
    assert follower.files == [str(shown), str(later)]


def test_what_cannot_be_looked_at_is_told_and_the_watch_goes_on(follow, tmp_path: Path):
    follower = follow(tmp_path)
    follower.start()
    os.mkfifo(tmp_path / "pipe.wav")
    follower.wait(lambda: bool(follower.unusable))
    put(tmp_path / os.fsdecode(b"caf\xe9.wav"))
    follower.wait(lambda: len(follower.unusable) == 2)
    after = put(tmp_path / "after.wav")
    follower.wait(lambda: bool(follower.files))
    assert follower.files == [str(after)]
    assert "not a regular file" in follower.unusable[str(tmp_path / "pipe.wav")]
    assert any("UTF-8" in reason for reason in follower.unusable.values())


def test_a_file_is_handed_on_once_it_stays_the_same(follow, tmp_path: Path):
    follower = follow(tmp_path)
    follower._watch._quiet = 1.0
    follower.start()
    path = put(tmp_path / "a.wav")
    for _ in range(5):
        time.sleep(0.3)
        with path.open("ab") as file:
            file.write(b"more")
        assert follower.files == []
    follower.wait(lambda: bool(follower.files))
    assert follower.files == [str(path)]


def test_a_folder_that_goes_and_comes_back_is_watched_again(follow, tmp_path: Path, caplog):
    calls, other = tmp_path / "calls", tmp_path / "other"
    other.mkdir()
    put(calls / "first.wav")
    follower = follow(calls, other)
    follower.start()
    shutil.rmtree(calls)
    follower.wait(lambda: "is gone; it is watched again" in caplog.text)
    put(other / "meanwhile.wav")
    put(calls / "deep" / "second.wav")
    follower.wait(lambda: len(set(follower.files)) == 2)
    put(calls / "third.wav")
    follower.wait(lambda: len(set(follower.files)) == 3)
    assert {Path(one).stem for one in follower.files} == {"meanwhile", "second", "third"}
    assert f"{calls} is back" in caplog.text


def test_a_folder_that_is_back_before_it_is_looked_for_is_gone_through(follow, tmp_path: Path):
    calls = tmp_path / "calls"
    calls.mkdir()
    follower = follow(calls)
    real = follower._watch._folders
    looks = []

    def folders():
        looks.append(None)
        if len(looks) > 1:
            return real()
        put(calls / "meanwhile.wav")  # the changes of which are lost with the folder
        shutil.move(calls, tmp_path / "aside")
        shutil.move(tmp_path / "aside", calls)
        return {}

    follower._watch._folders = folders
    follower.start()
    follower.wait(lambda: bool(follower.files))
    assert follower.files == [str(calls / "meanwhile.wav")]


def test_the_only_folder_may_go_and_come_back(follow, tmp_path: Path, caplog):
    calls = tmp_path / "calls"
    calls.mkdir()
    follower = follow(calls)
    follower.start()
    calls.rename(tmp_path / "elsewhere")
    follower.wait(lambda: "is gone" in caplog.text)
    put(tmp_path / "elsewhere" / "x.wav")
    (tmp_path / "elsewhere").rename(calls)
    follower.wait(lambda: len(follower.files) == 1)
    assert follower.files == [str(calls / "x.wav")]
