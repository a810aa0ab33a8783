"""Uploads in a bucket, on a real S3 server: any server takes them, plays them and erases them."""

import time
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from emotion_search.cli import app
from emotion_search.engine.api.app import create_app
from emotion_search.engine.api.http.problems import explain
from emotion_search.engine.api.learn import learn
from emotion_search.engine.archive.check import check
from emotion_search.engine.files import objects
from emotion_search.engine.library.library import Library
from emotion_search.engine.service import kept, work
from emotion_search.engine.service.jobs import Jobs, Upload
from emotion_search.engine.service.uploads import remove_orphans, take_in
from emotion_search.engine.settings import Settings
from emotion_search.index.database import jobs as rows
from emotion_search.index.database import slices
from emotion_search.index.database.files import located_files
from emotion_search.index.database.jobs import Job, JobStatus, get_job, set_job
from emotion_search.index.errors import BusyError, StorageError
from tests.buckets import Bucket, on_s3_and_azure
from tests.conftest import eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("database_url", ["postgres"], indirect=True),
]


@pytest.fixture
def settings(tmp_path: Path, database_url: str, bucket: Bucket) -> Settings:
    return Settings(
        home=tmp_path / "home", database_url=database_url, model="acoustic", uploads=bucket.url
    )


@pytest.fixture
def other(settings: Settings, library: Library, tmp_path: Path):
    """The same archive on another machine."""
    with Library.open(settings.model_copy(update={"home": tmp_path / "other"})) as opened:
        yield opened


@pytest.fixture
def leases(monkeypatch: pytest.MonkeyPatch):
    """Sets the time of the database forward, by seconds."""
    ahead = [0.0]
    now = slices.now_of
    later = lambda session: now(session) + timedelta(seconds=ahead[0])  # noqa: E731
    monkeypatch.setattr(rows, "now_of", later)

    def wait(seconds: float) -> None:
        ahead[0] += seconds

    return wait


def jobs_of(library: Library) -> Jobs:
    made = Jobs(library, explain=explain, learn=learn, at_once=1, most=9, longest=60)
    made.start()
    return made


def submit(jobs: Jobs, path: Path, name: str = "call.wav") -> Job:
    with path.open("rb") as content:
        return jobs.submit(Upload(content, name))[0]


def row(library: Library, job: Job) -> Job:
    with library.database.read() as session:
        return get_job(session, job.id)


def there(bucket: Bucket) -> list[str]:
    return [one.path for one in objects.listed(f"{bucket.url}/", may_be_empty=True)]


@on_s3_and_azure
def test_an_upload_is_taken_in_played_elsewhere_and_erased(
    library: Library, other: Library, voice: Path, bucket: Bucket
):
    jobs = jobs_of(library)
    job = submit(jobs, voice)
    eventually(lambda: jobs.board.live(job.id) is None)
    jobs.stop(5)
    done = row(library, job)
    assert (done.status, done.is_new) == (JobStatus.DONE, True)
    (path,) = there(bucket)  # and nothing waits any more
    assert bytes(bucket.store.get(path.removeprefix(f"{bucket.url}/")).bytes()) == (
        voice.read_bytes()
    )
    samples, _, clip = other.clip_audio(other.clips()[0].id)
    assert len(samples) > 8000
    assert clip.name == "call.wav"
    assert not list(library.settings.uploads_folder.glob("*"))
    assert list(check(other, audio=True)) == []
    other.forget(done.recording_id)
    assert there(bucket) == []


def test_a_server_that_died_loses_its_jobs_to_another_when_its_lease_ends(
    library: Library, other: Library, voice: Path, leases, monkeypatch
):
    first = jobs_of(library)
    monkeypatch.setattr(first, "_run", lambda job: job)  # it dies before it begins
    job = submit(first, voice)
    first._incoming.close()
    second = jobs_of(other)
    second.tidy()
    assert second.board.counts() == (0, 0)
    leases(slices.LEASE_S + 1)
    second.tidy()
    eventually(lambda: second.board.live(job.id) is None)
    second.stop(5)
    assert row(library, job).status == JobStatus.DONE


def test_a_server_that_ends_hands_over_what_it_has_not_begun(
    library: Library, other: Library, voice: Path, blocked
):
    asked, go = blocked
    first = jobs_of(library)
    job = submit(first, voice)
    assert asked.wait(60)
    first.stop(0)
    go.set()
    second = jobs_of(other)
    eventually(lambda: row(library, job).status == JobStatus.DONE)
    second.stop(5)


def test_who_was_cut_off_finds_out_and_doubles_nothing(
    library: Library, other: Library, voice: Path, bucket: Bucket, leases, blocked, monkeypatch
):
    asked, go = blocked
    first = jobs_of(library)
    job = submit(first, voice)
    assert asked.wait(60)
    monkeypatch.setattr(work, "take_in", take_in)
    leases(slices.LEASE_S + 1)
    second = jobs_of(other)
    eventually(lambda: row(library, job).status == JobStatus.DONE)
    second.stop(5)
    done = row(library, job)
    go.set()
    eventually(lambda: first.board.live(job.id) is None)
    first.stop(5)
    assert row(library, job) == done
    assert library.status().counts.recordings == 1
    remove_orphans(library)
    with library.database.read() as session:
        known = {one.path for _, one in located_files(session)}
    assert set(there(bucket)) == known


def test_leases_are_renewed_while_a_server_lives(library: Library, voice: Path, leases, blocked):
    asked, go = blocked
    jobs = jobs_of(library)
    job = submit(jobs, voice)
    assert asked.wait(60)
    leases(slices.LEASE_S - 1)
    jobs._incoming._renew()
    leases(slices.LEASE_S - 1)
    with pytest.raises(BusyError):
        kept.drop(library, job.id)
    go.set()
    jobs.stop(60)
    assert row(library, job).status == JobStatus.DONE


def test_what_is_no_audio_leaves_nothing_in_the_bucket(
    library: Library, tmp_path: Path, bucket: Bucket
):
    text = tmp_path / "text.wav"
    text.write_text("no audio " * 100)
    jobs = jobs_of(library)
    job = submit(jobs, text)
    eventually(lambda: jobs.board.live(job.id) is None)
    jobs.stop(5)
    assert row(library, job).problem["kind"] == "unusable-audio"
    assert there(bucket) == []


def test_uploads_wait_while_the_bucket_is_not_there(
    library: Library, voice: Path, bucket: Bucket, monkeypatch
):
    real = objects.copy_object

    def fail(url: str, target: str) -> None:
        raise OSError(113, "its server cannot be reached", url)

    jobs = jobs_of(library)
    monkeypatch.setattr(objects, "copy_object", fail)
    job = submit(jobs, voice)
    eventually(lambda: jobs.board.live(job.id) is None)
    waits = row(library, job)
    assert (waits.status, waits.problem["kind"]) == (JobStatus.QUEUED, "storage-unavailable")
    monkeypatch.setattr(objects, "copy_object", real)
    jobs.tidy()
    eventually(lambda: row(library, job).status == JobStatus.DONE)
    jobs.stop(60)


def test_orphans_go_and_what_others_may_need_stays(
    library: Library, voice: Path, bucket: Bucket, monkeypatch
):
    jobs = jobs_of(library)
    job = submit(jobs, voice)
    eventually(lambda: jobs.board.live(job.id) is None)
    jobs.stop(5)
    (path,) = there(bucket)
    left = objects_beside(bucket, path, job)
    assert remove_orphans(library) == 1  # of a job that is over
    assert set(there(bucket)) == {path, left["unknown"], left["not ours"]}
    with library.database.write() as session:
        set_job(session, job.id, status=JobStatus.QUEUED)
    again = bucket.put(f"{name_of(path)[:-12]}00000000.wav", b"x")
    assert remove_orphans(library) == 0  # of a job that goes on
    with library.database.write() as session:
        set_job(session, job.id, status=JobStatus.DONE)
    library.forget(row(library, job).recording_id)
    assert again in there(bucket)
    assert remove_orphans(library) == 1  # what was forgotten, whose job is gone
    assert set(there(bucket)) == {left["unknown"], left["not ours"]}


def name_of(path: str) -> str:
    return path.rpartition("/")[2]


def objects_beside(bucket: Bucket, path: str, job: Job) -> dict[str, str]:
    """What an attempt left; what a later copy of the archive has, and another program."""
    sha256 = name_of(path).partition(".")[0]
    bucket.put(f"{sha256}.{job.stored}.ffffffff.wav", b"x")
    return {
        "unknown": bucket.put(f"{'0' * 64}.{'1' * 32}.ffffffff.wav", b"x"),
        "not ours": bucket.put("notes.txt", b"x"),
    }


def test_rubbish_that_waits_is_removed_after_an_hour(library: Library, bucket: Bucket, monkeypatch):
    stray = bucket.put("incoming/stray", b"x")
    jobs = jobs_of(library)
    assert there(bucket) == [stray]
    monkeypatch.setattr("emotion_search.engine.service.bucket_spool.ABANDONED_S", -5.0)
    jobs.tidy()
    jobs.stop(5)
    assert there(bucket) == []


def test_readiness_tells_of_a_bucket_that_is_not_there_within_seconds(
    settings: Settings, monkeypatch
):
    with TestClient(create_app(settings)) as client:
        assert client.get("/readyz").status_code == 200
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        objects._client.cache_clear()
        began = time.monotonic()
        answer = client.get("/readyz")
        objects._client.cache_clear()
        assert time.monotonic() - began < 8
        assert answer.status_code == 503
        assert answer.json()["type"].endswith(":storage-unavailable")


def test_a_server_without_its_bucket_does_not_start(
    settings: Settings, database_url: str, monkeypatch
):
    monkeypatch.setenv("EMOTION_SEARCH_UPLOADS", "s3://no-such/x")
    given = ["--home", str(settings.home), "--database", database_url, "--model", "acoustic"]
    with pytest.raises(StorageError, match="uploads in s3://no-such/x/: no such bucket"):
        CliRunner().invoke(app, ["serve", *given], catch_exceptions=False)
