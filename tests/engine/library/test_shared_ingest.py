"""Workers that share an ingest: each file is taken once, whoever dies."""

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner, Result

from emotion_search.cli import app
from emotion_search.engine.commands.ingest_shared import print_status
from emotion_search.engine.files.scan import Found, Scan
from emotion_search.engine.ingest.options import IngestOptions
from emotion_search.engine.library import shared_ingest, shared_work
from emotion_search.engine.library.library import Library
from emotion_search.engine.library.shared_ingest import GIVEN_UP, SharedIngest, Wanted
from emotion_search.engine.settings import Settings
from emotion_search.index.database import slices
from emotion_search.index.database.recordings import Annotations
from emotion_search.index.errors import DatabaseError, InvalidInputError, NotFoundError
from tests.conftest import ROOT, tone, write_wav
from tests.engine.ingest.test_kill import contents, ingest


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices of two files, and workers that look for one every hundredth of a second."""
    monkeypatch.setattr(shared_ingest, "SLICE_FILES", 2)
    monkeypatch.setattr(shared_work, "_POLL_S", 0.01)
    monkeypatch.setattr(shared_work, "_TICK_S", 0.01)


@pytest.fixture
def alone(sqlite_settings: Settings) -> Iterator[Library]:
    """An empty archive on SQLite, for what does not depend on the kind."""
    with Library.open(sqlite_settings, create=True) as opened:
        yield opened


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """Five recordings, one of them twice, and one that is none."""
    for number in range(5):
        write_wav(tmp_path / "calls" / f"{number}.wav", tone(0.6, 100 + number))
    (tmp_path / "calls" / "4.wav").rename(tmp_path / "calls" / "x.wav")
    (tmp_path / "calls" / "y.wav").write_bytes((tmp_path / "calls" / "x.wav").read_bytes())
    (tmp_path / "calls" / "z.wav").write_bytes(b"no audio")
    return tmp_path / "calls"


def wanted(library: Library, calls: Path, **annotated: str) -> Wanted:
    scan = Scan([str(calls)], annotations_of=lambda _: Annotations(**annotated))
    return Wanted("key", str(calls), lambda: scan, IngestOptions().completed(library.settings))


def queued(library: Library, calls: Path) -> None:
    """List the files, and work on none."""
    worker = SharedIngest(library, wanted(library, calls))
    with library.database.write() as session:
        run = slices.open_run(session, "key", str(calls), {})
        session.execute(text("UPDATE ingest_runs SET options = :o"), {"o": options(library)})
    worker._list(run)


def options(library: Library) -> str:
    done = IngestOptions().completed(library.settings)
    return shared_ingest._OPTIONS.dump_json(done).decode()


def test_one_worker_takes_all_in_with_their_annotations(library: Library, calls: Path):
    report = SharedIngest(library, wanted(library, calls, source="queue")).run()
    assert (report.recordings, report.duplicates, len(report.failed)) == (5, 1, 1)
    assert {clip.source for clip in library.clips()} == {"queue"}
    (run,) = library.shared_ingests()
    assert run.finished
    assert (run.files, run.done, run.failed) == (7, 7, 1)
    assert (run.recordings, run.clips) == (5, 5)
    assert run.seconds == pytest.approx(3.0, abs=0.01)
    assert run.workers == ()


def test_a_second_run_puts_known_files_into_no_slice(alone: Library, calls: Path):
    SharedIngest(alone, wanted(alone, calls)).run()
    SharedIngest(alone, wanted(alone, calls)).run()
    (run,) = alone.shared_ingests()  # the first is forgotten
    assert (run.known, run.files) == (6, 1)  # the failed one is tried again


def test_a_known_file_that_failed_in_the_meantime_is_no_failure_any_more(
    alone: Library, calls: Path
):
    SharedIngest(alone, wanted(alone, calls)).run()
    alone.note_failures(Found(unusable=[(str(calls / "0.wav"), "cannot be read")]))
    SharedIngest(alone, wanted(alone, calls)).run()
    assert [one.path for one in alone.failures()] == [str(calls / "z.wav")]


def take(library: Library) -> None:
    """What a worker does with a slice before it is killed; another may have it at once."""
    with library.database.write_beside() as session:
        claimed = slices.claim_slice(session, "dead")
    assert claimed is not None
    library.ingest(shared_ingest._FILES.validate_python(claimed.files))
    with library.database.write_beside() as session:
        session.execute(text("UPDATE ingest_slices SET lease_until = NULL"))


def test_what_a_killed_worker_committed_is_counted(library: Library, calls: Path):
    queued(library, calls)
    take(library)
    SharedIngest(library, None).run()
    (run,) = library.shared_ingests()
    assert (run.recordings, run.clips) == (5, 5)
    assert run.seconds == pytest.approx(3.0, abs=0.01)


def test_workers_at_once_each_take_other_slices(library: Library, calls: Path):
    queued(library, calls)
    taken = []
    for number in range(5):
        with library.database.write_beside() as session:
            taken.append(slices.claim_slice(session, f"worker {number}"))
    assert [len(one.files) if one else 0 for one in taken] == [2, 2, 2, 1, 0]
    assert len({file["facts"]["path"] for one in taken if one for file in one.files}) == 7
    (run,) = library.shared_ingests()
    assert run.workers == tuple(f"worker {n}" for n in range(4))


def test_two_claims_at_one_instant_do_not_wait_for_each_other(library: Library, calls: Path):
    if library.database.is_sqlite:
        pytest.skip("on SQLite writers take turns")
    queued(library, calls)
    with library.database.write_beside() as one, library.database.write_beside() as other:
        first, second = slices.claim_slice(one, "one"), slices.claim_slice(other, "other")
    assert first is not None
    assert second is not None
    assert first.id != second.id


def test_a_lease_that_ran_out_is_taken_over_and_its_holder_finds_out(
    library: Library, calls: Path, monkeypatch: pytest.MonkeyPatch
):
    queued(library, calls)
    monkeypatch.setattr(slices, "LEASE_S", 0.05)
    with library.database.write_beside() as session:
        first = slices.claim_slice(session, "dead")
    assert first is not None
    with library.database.write_beside() as session:
        assert slices.renew(session, first.id, "dead", slices.Progress(clips=3, recordings=3))
    time.sleep(0.1)
    with library.database.write_beside() as session:
        again = slices.claim_slice(session, "alive")
    assert again is not None
    assert (again.id, again.before.clips) == (first.id, 3)
    with library.database.write_beside() as session:
        assert not slices.renew(session, first.id, "dead", slices.Progress())
        assert not slices.finish_slice(session, first.id, "dead", slices.Progress())


@pytest.mark.parametrize("hours", [-1, 24])
def test_a_clock_that_jumps_keeps_no_slice_of_the_dead(
    library: Library, calls: Path, monkeypatch: pytest.MonkeyPatch, hours: int
):
    queued(library, calls)
    with library.database.write_beside() as session:
        dead = slices.claim_slice(session, "dead")
    assert dead is not None
    now = slices.now_of
    monkeypatch.setattr(slices, "now_of", lambda session: now(session) + timedelta(hours=hours))
    with library.database.write_beside() as session:
        alive = slices.claim_slice(session, "alive")
        assert alive is not None
        assert alive.id == dead.id
        assert slices.finish_slice(session, alive.id, "alive", slices.Progress())
        assert not slices.renew(session, dead.id, "dead", slices.Progress())


def test_a_worker_whose_lease_was_lost_leaves_the_slice(
    alone: Library, calls: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(slices, "LEASE_S", 0.04)
    worker = SharedIngest(alone, None)
    queued(alone, calls)
    with alone.database.write_beside() as session:
        claimed = slices.claim_slice(session, worker.worker)
    assert claimed is not None
    with worker._kept(claimed) as (_, stop):
        assert not stop.wait(0.1)
        with alone.database.write_beside() as session:
            session.execute(text("UPDATE ingest_slices SET worker = 'another'"))
        assert stop.wait(5)


def test_a_listing_that_was_cut_off_goes_on_where_it_was(
    alone: Library, calls: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("emotion_search.engine.ingest.lookup.LOOKED_UP", 2)
    add, calls_made = slices.add_slice, []

    def dies(*arguments: object) -> bool:
        calls_made.append(1)
        if len(calls_made) == 3:
            raise DatabaseError("gone")
        return add(*arguments)

    monkeypatch.setattr(slices, "add_slice", dies)
    with pytest.raises(DatabaseError):
        SharedIngest(alone, wanted(alone, calls)).run()
    (run,) = alone.shared_ingests()
    assert (run.files, run.listed) == (4, False)
    report = SharedIngest(alone, wanted(alone, calls)).run()
    (run,) = alone.shared_ingests()
    assert (run.files, run.done, run.finished) == (7, 7, True)
    assert report.known == 0


def test_a_slice_over_which_workers_die_is_given_up(alone: Library, calls: Path):
    queued(alone, calls)
    with alone.database.write_beside() as session:
        session.execute(text("UPDATE ingest_slices SET attempts = 6 - id"))  # one may try once more
    report = SharedIngest(alone, None).run()
    given_up = {failure.path for failure in alone.failures() if failure.reason == GIVEN_UP}
    assert given_up == {str(calls / "0.wav"), str(calls / "1.wav")}
    assert report.recordings == 3
    assert alone.shared_ingests()[0].finished


def test_a_run_that_is_dropped_is_done_by_nobody(alone: Library, calls: Path):
    queued(alone, calls)
    with alone.database.write_beside() as session:
        claimed = slices.claim_slice(session, "worker")
    assert claimed is not None
    alone.drop_shared_ingest(alone.shared_ingests()[0].run)
    with alone.database.write_beside() as session:
        assert not slices.renew(session, claimed.id, "worker", slices.Progress())
    assert SharedIngest(alone, None).run().files == 0
    with pytest.raises(NotFoundError, match="no shared work 9"):
        alone.drop_shared_ingest(9)


def test_the_status_tells_of_failures_workers_and_what_is_left(
    alone: Library, calls: Path, capsys: pytest.CaptureFixture[str]
):
    queued(alone, calls)
    with alone.database.write_beside() as session:
        slices.claim_slice(session, "host:7:abc")
        slices.renew(session, 1, "host:7:abc", slices.Progress(2, 1, 1, 3, 36.0))
    print_status(alone.shared_ingests(), as_json=False)
    shown = capsys.readouterr().out
    for part in ("under way", "2 of 7 done, 1 failed", "3 clips, 36.0 s", "workers  1 (host:7)"):
        assert part in shown
    print_status(alone.shared_ingests(), as_json=True)
    record = json.loads(capsys.readouterr().out)
    assert (record["done"], record["workers"], record["finished"]) == (2, ["host:7:abc"], False)
    assert record["clips_per_second"] > 0


def test_stopped_a_worker_gives_its_slice_back(alone: Library, calls: Path):
    queued(alone, calls)
    stop = threading.Event()
    worker = SharedIngest(alone, None, progress=lambda *_: stop.set(), stop=stop)
    assert worker.run().stopped
    (run,) = alone.shared_ingests()
    assert (run.workers, run.finished) == ((), False)
    with alone.database.write_beside() as session:
        claimed = slices.claim_slice(session, "next")
    assert claimed is not None
    assert claimed.attempts == 1
    assert replace(worker.report, stopped=False).files <= 2


def run(alone: Library, *arguments: str) -> Result:
    places = ["--home", str(alone.settings.home)]
    if "--status" not in arguments:
        places += ["--model", "acoustic"]
    return CliRunner().invoke(app, ["ingest", *arguments, *places])


def test_the_command_shares_an_ingest_and_says_how_far_it_is(alone: Library, calls: Path):
    (calls / "z.wav").unlink()
    done = run(alone, str(calls), "--claim", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["recordings"] == 5
    again = run(alone, str(calls), "--claim", "--json")
    assert json.loads(again.stdout)["recordings"] == 0
    status = json.loads(run(alone, "--status", "--json").stdout)
    assert (status["known"], status["finished"]) == (6, True)
    assert "0 recordings" in run(alone, "--claim").stdout  # nothing to help with


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["CALLS", "--claim", "--watch"], "--claim goes without --watch"),
        (["CALLS", "--on", "spark://x"], "give local, or ray://HOST:PORT"),
        (["CALLS", "--workers", "2"], "--workers goes with --on"),
        (["--on", "local"], "name folders or files"),
        (["CALLS", "--on", "ray://127.0.0.1:9"], "share a Postgres database, not SQLite"),
        (["CALLS", "--on", "local"], "--on needs Ray: pip install 'emotion-search[ray]'"),
    ],
)
def test_misuse_is_an_error_of_one_line(
    alone: Library, calls: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
):
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it were not installed
    result = run(alone, *(one.replace("CALLS", str(calls)) for one in arguments))
    assert isinstance(result.exception, InvalidInputError)
    assert says in str(result.exception)


def shared(home: Path, url: str, *paths: str) -> subprocess.Popen[bytes]:
    """A worker with batches of a second, slices of 10 files, leases of 2 s."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n" + (
        "import emotion_search.engine.ingest.pipeline as p; p.BATCH_S = 1.0\n"
        "import emotion_search.engine.library.shared_ingest as s; s.SLICE_FILES = 10\n"
        "import emotion_search.index.database.slices as l; l.LEASE_S = 2.0\n"
        "from emotion_search.cli import main; main()"
    )
    arguments = ["ingest", "--claim", *paths, "--model", "acoustic"]
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments, "--home", str(home), "--database", url],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def claims(url: str) -> int:
    """How often slices were taken; 0 while there are no tables."""
    database = create_engine(url)
    try:
        with database.connect() as connection:
            return connection.scalar(text("SELECT sum(attempts) FROM ingest_slices")) or 0
    except DBAPIError:
        return 0
    finally:
        database.dispose()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple]]:
    """A folder of 120 recordings, and what one process makes of it in peace."""
    folder = tmp_path_factory.mktemp("undisturbed")
    for number in range(120):
        write_wav(folder / "many" / f"{number:03}.wav", tone(0.6, 100 + number))
    calm = f"sqlite:///{folder / 'calm.db'}"
    assert ingest(folder / "home", calm, folder / "many").wait() == 0
    return folder / "many", contents(calm)


@pytest.mark.slow
def test_workers_killed_at_random_instants_lose_and_double_nothing(
    tmp_path: Path,
    database_url: str,
    undisturbed: tuple[Path, list[tuple]],
    request: pytest.FixtureRequest,
):
    rng = random.Random(request.node.name)
    folder, calm = undisturbed
    home, kills = tmp_path / "home", 0
    for _ in range(2):
        before = claims(database_url)
        workers = [shared(home, database_url, str(folder)) for _ in range(2)]
        while claims(database_url) == before and workers[0].poll() is None:
            time.sleep(0.05)
        time.sleep(rng.uniform(0.0, 0.5))
        for worker in workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGKILL)
                kills += 1
            worker.wait()
    workers = [shared(home, database_url, str(folder)) for _ in range(2)]
    assert [worker.wait() for worker in workers] == [0, 0]
    assert kills >= 2
    assert len(calm) == 120
    assert contents(database_url) == calm
