"""The file that names a home as the place of uploads: where it is damaged, none of them is lost."""

from pathlib import Path

import pytest

from emotion_search.engine.archive.check import check
from emotion_search.engine.library.library import Library
from emotion_search.index.database.jobs import JobStatus
from tests.conftest import eventually
from tests.engine.service.test_jobs import jobs_of, row, submit


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", bytes(36), b"another", None])
def test_uploads_that_wait_are_taken_in(
    library: Library, voice: Path, blocked, content: bytes | None
):
    asked, go = blocked
    jobs = jobs_of(library)
    job = submit(jobs, voice)
    assert asked.wait(60)
    jobs.stop(0)
    name = library.uploads.place_file
    before = name.read_text()
    name.unlink()
    if content is not None:
        name.write_bytes(content)
        assert "does not name this home" in [one.what for one in check(library)]
    go.set()
    jobs = jobs_of(library)
    eventually(lambda: row(library, job).status == JobStatus.DONE)
    jobs.stop(5)
    assert name.read_text() == before
