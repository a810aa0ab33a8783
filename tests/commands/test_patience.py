"""An ingest waits where its Postgres goes away, and goes on."""

import threading
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from emotion_search.engine.commands import patience
from emotion_search.engine.ingest import pipeline
from emotion_search.engine.ingest.write import Writer
from emotion_search.engine.library.library import Library
from emotion_search.index.errors import DatabaseUnreachableError
from tests.commands.test_cli import manifest, run
from tests.conftest import new_database

__all__ = ["manifest", "run"]  # fixtures


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path):
    request.param = "postgres"
    with new_database(request, tmp_path) as made:
        yield made


@pytest.fixture
def outage(postgres: str, url: str):
    """Closes the database to everybody for so many seconds."""
    server = create_engine(postgres, isolation_level="AUTOCOMMIT")
    name = make_url(url).database
    timers: list[threading.Timer] = []

    def opened(yes: bool) -> None:
        with server.connect() as connection:
            connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {yes}"))
            if not yes:
                ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :n"
                connection.execute(text(ended), {"n": name})

    def begin(seconds: float) -> None:
        opened(False)
        timers.append(threading.Timer(seconds, opened, [True]))
        timers[-1].start()

    yield begin
    for timer in timers:
        timer.join()
    opened(True)
    server.dispose()


@pytest.fixture
def breaks(monkeypatch, outage):
    """The database goes away in the second batch that is written, in its transaction."""

    def breaks(seconds: float) -> None:
        real, batches = Writer.recordings, []

        def recordings(self, session, readings, done):
            batches.append(readings)
            if len(batches) == 2:
                outage(seconds)
            return real(self, session, readings, done)

        monkeypatch.setattr(Writer, "recordings", recordings)
        monkeypatch.setattr(pipeline, "BATCH_S", 3.0)
        monkeypatch.setattr(patience, "_POLL_S", 0.1)

    return breaks


def test_it_goes_on_once_the_database_is_back(run, manifest, url, breaks):
    breaks(1.0)
    done = run("ingest", "--manifest", manifest, "--model", "acoustic", "--database", url, "--json")
    assert (done.code, done.err.count("waiting for it"), done.err.count("going on")) == (0, 1, 1)
    record = done.records[0]
    assert (record["recordings"], record["clips"], record["known"]) == (12, 12, 0)
    status = run("status", "--database", url, "--json").records[0]
    assert (status["recordings"], status["failures"]) == (12, 0)


def test_it_stops_with_the_cure_where_the_database_stays_away(
    run, manifest, url, breaks, monkeypatch
):
    monkeypatch.setattr(patience, "_LONGEST_S", 0.3)
    breaks(3.0)
    done = run("ingest", "--manifest", manifest, "--model", "acoustic", "--database", url)
    assert done.code == 1
    assert "once it can, run the same command again: what was committed is kept" in done.err


def test_whoever_waits_can_be_stopped(filled: Library, monkeypatch):
    def gone(*_: object, **__: object) -> None:
        raise DatabaseUnreachableError("gone")

    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    monkeypatch.setattr(patience, "_POLL_S", 0.05)
    monkeypatch.setattr(Library, "ingest", gone)
    monkeypatch.setattr(Library, "failures", gone)
    report = patience.ingest_patiently(
        filled, [], pipeline.IngestOptions(), progress=lambda _: None, stop=stop
    )
    assert report.stopped
