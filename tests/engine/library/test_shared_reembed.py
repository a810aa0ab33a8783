"""Workers that share a re-embedding: each clip once, whoever stops or dies."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

from emotion_search.cli import app
from emotion_search.engine.files.scan import find_audio
from emotion_search.engine.ingest import reembed
from emotion_search.engine.library import shared_work
from emotion_search.engine.library.library import Library
from emotion_search.engine.library.shared_ingest import SharedIngest
from emotion_search.engine.library.shared_reembed import SharedReembed
from emotion_search.engine.settings import Settings
from emotion_search.index.database import slices
from tests.conftest import ROOT, tone, write_wav
from tests.engine.ingest.test_reembed import archive, other, vectors  # noqa: F401 - fixtures


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices of two recordings, and workers that look for one every hundredth of a second."""
    monkeypatch.setattr(reembed, "LISTED", 2)
    monkeypatch.setattr(shared_work, "_POLL_S", 0.01)
    monkeypatch.setattr(shared_work, "_TICK_S", 0.01)


def worker(library: Library, model: str, **how: object) -> SharedReembed:
    return SharedReembed(library, model, **how)


def beside(library: Library) -> Library:
    return Library.open(library.settings.model_copy(update={"model": None}))


def test_two_workers_give_each_clip_what_one_process_gives(filled: Library, other: str):  # noqa: F811
    with beside(filled) as first, beside(filled) as second:
        two = [worker(one, other) for one in (first, second)]
        reports = []
        threads = [threading.Thread(target=lambda w=w: reports.append(w.run()[0])) for w in two]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(report.clips for report in reports) == 12
        assert [report.missing for report in reports] == [0, 0]
        (run,) = first.shared_ingests()
        assert (run.kind, run.finished, run.files, run.done, run.clips) == (
            "reembed",
            1,
            12,
            12,
            12,
        )
        shared = vectors(first, other)
        first.forget_model(other)
        first.reembed(other)
        assert {i: v.tolist() for i, v in vectors(first, other).items()} == {
            i: pytest.approx(v, abs=1e-6) for i, v in shared.items()
        }


def test_stopped_a_worker_gives_its_slice_back_and_another_goes_on(archive: Library, other: str):  # noqa: F811
    with beside(archive) as library:
        stop = threading.Event()
        first, _ = worker(library, other, progress=lambda _: stop.set(), stop=stop).run()
        assert first.stopped
        assert 0 < first.missing < 12
        (run,) = library.shared_ingests()
        assert (run.finished, run.workers) == (False, ())
        second, _ = worker(library, other).run()
        assert first.clips + second.clips == 12
        assert second.missing == 0


def test_workers_take_slices_of_their_own_kind_and_model(archive: Library, other: str):  # noqa: F811
    with beside(archive) as library:
        left = worker(library, other)
        with library.database.write() as session:
            run = slices.open_run(session, "reembed x", "reembed", {}, slices.REEMBED)
        left._list(run)
        assert SharedIngest(library, None).run().files == 0
        assert worker(library, other).run()[0].clips == 12  # a run of its own
        assert [one.done for one in library.shared_ingests()] == [12, 0]


def test_what_kills_its_workers_is_given_up(archive: Library, other: str):  # noqa: F811
    with beside(archive) as library:
        stopped = threading.Event()
        stopped.set()
        one = worker(library, other, stop=stopped)
        run = None
        with library.database.write() as session:
            key = f"reembed {one._model.fingerprint[:50]}"
            run = slices.open_run(session, key, "reembed", {}, slices.REEMBED)
        worker(library, other)._list(run)
        with library.database.write() as session:
            session.execute(text("UPDATE ingest_slices SET attempts = 5 WHERE id = 1"))
        done, _ = worker(library, other).run()
        assert (done.clips, done.missing) == (10, 2)
        assert done.failed == [("recordings 1 to 2", "given up: 5 workers died over them", 2)]
        assert worker(library, other).run()[0].missing == 0  # the next run tries again


def test_the_command_shares_it_and_says_what_it_did(
    sqlite_settings: Settings,
    voices_archive,
    other,  # noqa: F811
):
    voices_archive.place(sqlite_settings)
    home = ["--home", str(sqlite_settings.home)]
    done = CliRunner().invoke(app, ["reembed", "--model", other, "--claim", "--json", *home])
    record = json.loads(done.stdout)
    assert (record["clips"], record["missing"], record["of_clips"]) == (12, 0, 12)
    status = CliRunner().invoke(app, ["ingest", "--status", *home]).stdout
    assert "reembed under" in status
    assert "files    12 of 12 done, 0 failed" in status


def process(home: Path, url: str, model: str) -> subprocess.Popen[bytes]:
    """A worker with batches of a second, slices of 5 recordings, leases of 2 s."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n" + (
        "import emotion_search.engine.ingest.pipeline as p; p.BATCH_S = 1.0\n"
        "import emotion_search.engine.ingest.reembed as r; r.LISTED = 5\n"
        "import emotion_search.index.database.slices as l; l.LEASE_S = 2.0\n"
        "from emotion_search.cli import main; main()"
    )
    given = ["reembed", "--model", model, "--claim", "--home", str(home), "--database", url]
    return subprocess.Popen(
        [sys.executable, "-c", code, *given], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_workers_that_are_killed_lose_and_double_nothing(
    settings: Settings,
    library: Library,
    other: str,  # noqa: F811
    tmp_path: Path,
):
    for number in range(60):
        write_wav(tmp_path / "many" / f"{number:03}.wav", tone(0.6, 100 + number))
    library.ingest(find_audio([str(tmp_path / "many")]).files)
    kills = 0
    url = str(settings.database_url)
    database = create_engine(url)

    def claims() -> int:
        with database.connect() as connection:
            return connection.scalar(text("SELECT sum(attempts) FROM ingest_slices")) or 0

    workers = [process(settings.home, url, other) for _ in range(2)]
    while not claims() and workers[0].poll() is None:
        time.sleep(0.05)
    time.sleep(0.2)
    for one in workers:
        kills += one.poll() is None
        one.send_signal(signal.SIGKILL)
        one.wait()
    workers = [process(settings.home, url, other) for _ in range(2)]
    assert [one.wait() for one in workers] == [0, 0]
    assert kills
    assert len(vectors(library, other)) == 60
    database.dispose()
