"""Workers of a shared ingest that are cut off from Postgres: others go on, nothing is doubled."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from tests.conftest import ROOT, tone, write_wav
from tests.cut import Cut
from tests.engine.ingest.test_kill import contents

pytestmark = pytest.mark.slow

# Batches of a second, slices of 10 files, leases of 2 s, transactions that may idle for 1 s
CODE = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n" + (
    "import emotion_search.index.database.connection as c; c._IDLE_MS = 1000\n"
    "import emotion_search.engine.ingest.pipeline as p; p.BATCH_S = 1.0\n"
    "import emotion_search.engine.library.shared_ingest as s; s.SLICE_FILES = 10\n"
    "import emotion_search.index.database.slices as l; l.LEASE_S = 2.0\n"
    "from emotion_search.cli import main; main()"
)
FILES = 40


def worker(home: Path, url: str, folder: Path) -> subprocess.Popen[bytes]:
    given = ["ingest", str(folder), "--claim", "--model", "acoustic", "--home", str(home)]
    return subprocess.Popen(
        [sys.executable, "-c", CODE, *given, "--database", url],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_worker_that_is_cut_off_loses_its_slice_and_finds_out(database_url: str, tmp_path: Path):
    for number in range(FILES):
        write_wav(tmp_path / "calls" / f"{number:03}.wav", tone(0.6, 100 + number))
    network = Cut(database_url, tmp_path / "net")
    lonely = worker(tmp_path / "lonely", network.url, tmp_path / "calls")
    while not (before := claimed(database_url)) and lonely.poll() is None:
        time.sleep(0.02)
    network.cut()
    other = worker(tmp_path / "other", database_url, tmp_path / "calls")
    assert other.wait() == 0
    done = contents(database_url)
    assert len({path for path, *_ in done}) == len(done) == FILES
    assert attempts(database_url) > before  # of the slice that was taken over
    assert lonely.poll() is None  # it waits
    network.mend()
    assert lonely.wait(60) in (0, 1)
    assert contents(database_url) == done


def claimed(url: str) -> int:
    """How many slices were taken; 0 while there are no tables."""
    return number(url, "SELECT count(*) FROM ingest_slices WHERE attempts > 0")


def attempts(url: str) -> int:
    return number(url, "SELECT sum(attempts) FROM ingest_slices")


def number(url: str, query: str) -> int:
    database = create_engine(url)
    try:
        with database.connect() as connection:
            return int(connection.scalar(text(query)) or 0)
    except DBAPIError:
        return 0
    finally:
        database.dispose()
