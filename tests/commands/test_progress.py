"""The progress bar: counts and rate at once, the total as soon as somebody knows it."""

import io
import threading
import time
from pathlib import Path

from rich.console import Console

from emotion_search.engine.commands.show.progress import IngestProgress
from emotion_search.engine.files.scan import Scan
from emotion_search.engine.ingest.report import IngestReport
from tests.conftest import tone, write_wav


def shown(progress: IngestProgress) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(progress._bar.get_renderable())
    text = console.file.getvalue()
    assert isinstance(text, str)
    return text


def test_the_total_appears_once_the_files_are_counted():
    counted, known = threading.Event(), threading.Event()

    def count(_stop: threading.Event) -> int:
        counted.wait(10)
        return 1234

    terminal = Console(file=io.StringIO(), force_terminal=True, width=120)
    with IngestProgress(count, console=terminal) as progress:
        progress.update(IngestReport(recordings=3, clips=7, silent=1))
        assert " 4 files" in shown(progress)
        counted.set()
        for thread in threading.enumerate():
            if thread.name == "count":
                thread.join(10)
        known.set()
        assert " 4 of 1,234 files" in shown(progress)


def test_nothing_is_counted_or_shown_where_nobody_looks():
    quiet = io.StringIO()
    asked = []
    with IngestProgress(asked.append, console=Console(file=quiet)) as progress:
        progress.update(IngestReport(recordings=3))
    assert (asked, quiet.getvalue()) == ([], "")


def test_a_scan_is_counted_by_names_alone(tmp_path: Path):
    for name in ("a/1.wav", "a/b/2.wav", "c/3.wav", "c/notes.txt"):
        write_wav(tmp_path / name, tone(0.1)) if name.endswith("wav") else (
            tmp_path / name
        ).write_text("x")
    stop = threading.Event()
    assert Scan([str(tmp_path)]).count(stop) == 3
    assert Scan([str(tmp_path), str(tmp_path / "a"), str(tmp_path / "c/3.wav")]).count(stop) == 3
    stop.set()
    assert Scan([str(tmp_path)]).count(stop) is None
    assert Scan([str(tmp_path / "a/1.wav")]).count(stop) is None


def test_thousands_of_named_files_are_counted_at_once(tmp_path: Path):
    names = [str(tmp_path / f"{number}.wav") for number in range(3000)]
    began = time.monotonic()
    assert Scan([], [*names, str(tmp_path)]).count(threading.Event()) == 0
    assert Scan([], names).count(threading.Event()) == 3000
    assert time.monotonic() - began < 10  # each compared with each, it was a minute
