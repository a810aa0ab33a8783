"""Jobs of uploads: over restarts, beside other servers, and when the database fails."""

import hashlib
import os
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from emotion_search.engine.api.http.problems import explain
from emotion_search.engine.api.learn import learn
from emotion_search.engine.archive.check import check
from emotion_search.engine.archive.uploads import HomeUploads
from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.audio.workers import Decoders
from emotion_search.engine.files.disk import upload_lock
from emotion_search.engine.files.scan import Scan
from emotion_search.engine.library.library import Library
from emotion_search.engine.service import alone, kept
from emotion_search.engine.service.jobs import Jobs, Upload
from emotion_search.engine.service.spool import Incoming
from emotion_search.engine.service.upkeep import Upkeep
from emotion_search.engine.service.uploads import remove_orphans, take_in
from emotion_search.engine.settings import Settings
from emotion_search.index.database import jobs as rows
from emotion_search.index.database.jobs import Job, JobStatus, get_job, set_job
from emotion_search.index.database.recordings import Annotations
from emotion_search.index.errors import (
    BusyError,
    DatabaseBusyError,
    EmotionSearchError,
    InvalidInputError,
    NotFoundError,
)
from tests.conftest import eventually, write_wav


def jobs_of(library: Library, *, at_once: int = 1) -> Jobs:
    made = Jobs(library, explain=explain, learn=learn, at_once=at_once, most=9, longest=60)
    made.start()
    return made


def submit(jobs: Jobs, path: Path, name: str = "call.wav") -> Job:
    with path.open("rb") as content:
        return jobs.submit(Upload(content, name))[0]


def row(library: Library, job: Job) -> Job:
    with library.database.read() as session:
        return get_job(session, job.id)


def test_an_upload_is_hashed_once_as_it_arrives(library: Library, voice: Path, monkeypatch):
    known = []
    original = Decoders.read

    def read(self, path, channels, sha256, track=None):
        known.append(sha256)
        return original(self, path, channels, sha256)

    monkeypatch.setattr(Decoders, "read", read)
    monkeypatch.setattr(hashlib, "file_digest", None)
    jobs = jobs_of(library)
    job = submit(jobs, voice)
    eventually(lambda: row(library, job).finished)
    jobs.stop(5)
    assert row(library, job).status == JobStatus.DONE
    assert known == [hashlib.sha256(voice.read_bytes()).hexdigest()]


def test_restarts_do_not_count_as_attempts(library: Library, voice: Path, blocked):
    asked, go = blocked
    jobs = jobs_of(library)
    job = submit(jobs, voice)
    for _ in range(5):
        assert asked.wait(60)
        asked.clear()
        jobs.stop(0)
        waits = row(library, job)
        assert (waits.status, waits.attempts, waits.started_at) == (JobStatus.QUEUED, 0, None)
        jobs = jobs_of(library)
    go.set()
    eventually(lambda: row(library, job).status == JobStatus.DONE)
    jobs.stop(5)


def test_when_it_ends_what_waits_is_not_begun(library: Library, voice: Path, tmp_path, blocked):
    asked, go = blocked
    jobs = jobs_of(library)
    first = submit(jobs, voice)
    second = submit(jobs, write_wav(tmp_path / "b.wav", speak("happiness", speaker=1, seed=1)))
    assert asked.wait(60)
    outcome = jobs.outcome(second.id)
    jobs.end_soon()
    assert outcome.cancelled()
    go.set()
    jobs.stop(60)
    assert row(library, first).status == JobStatus.DONE
    assert (row(library, second).status, row(library, second).attempts) == (JobStatus.QUEUED, 0)


def test_an_upload_is_kept_until_its_end_is_in_the_database(
    library: Library, voice: Path, monkeypatch
):
    import emotion_search.engine.service.board as board

    failing = threading.Event()
    failing.set()

    def noted(session, job_id, **values):
        if failing.is_set() and values.get("finished_at"):
            raise DatabaseBusyError("locked")
        return set_job(session, job_id, **values)

    monkeypatch.setattr(board, "set_job", noted)
    jobs = jobs_of(library)
    job = submit(jobs, voice)
    eventually(lambda: jobs.board.live(job.id) is None)
    waits = row(library, job)
    assert not waits.finished
    assert (library.settings.uploads_folder / "incoming" / waits.stored).exists()
    failing.clear()
    jobs.tidy()
    eventually(lambda: row(library, job).status == JobStatus.DONE)
    jobs.stop(5)


def test_progress_that_cannot_be_noted_is_no_reason_to_fail(
    library: Library, voice: Path, monkeypatch
):
    import emotion_search.engine.service.board as board
    import emotion_search.engine.service.work as work

    monkeypatch.setattr(work, "_NOTED_EVERY_S", -1.0)

    def noted(session, job_id, **values):
        if set(values) == {"seconds", "total"}:
            raise DatabaseBusyError("locked")
        return set_job(session, job_id, **values)

    monkeypatch.setattr(board, "set_job", noted)
    jobs = jobs_of(library)
    job = submit(jobs, voice)
    eventually(lambda: row(library, job).finished)
    assert row(library, job).status == JobStatus.DONE
    jobs.stop(5)


def test_a_second_server_takes_up_what_the_first_leaves(library: Library, voice: Path, blocked):
    asked, go = blocked
    first = jobs_of(library)
    job = submit(first, voice)
    assert asked.wait(60)
    second = jobs_of(library)
    assert second.board.counts() == (0, 0)  # the first is at it
    first.stop(0)
    go.set()
    second.tidy()
    eventually(lambda: row(library, job).status == JobStatus.DONE)
    second.stop(5)


def test_a_job_that_ended_elsewhere_is_not_done_again(library: Library, voice: Path, monkeypatch):
    first = jobs_of(library)
    job = submit(first, voice)
    eventually(lambda: row(library, job).finished and first.board.live(job.id) is None)
    monkeypatch.setattr(rows, "unfinished_jobs", lambda *_: [job])  # as it was found before
    second = jobs_of(library)
    second.stop(20)
    first.stop(5)
    assert row(library, job).status == JobStatus.DONE


def test_what_may_have_ended_the_process_is_tried_alone(
    library: Library, tmp_path: Path, monkeypatch
):
    import emotion_search.engine.service.work as module

    inside, most = [], []

    def counted(library, file, **how):
        inside.append(file)
        most.append(len(inside))
        time.sleep(0.05)
        inside.remove(file)
        return take_in(library, file, **how)

    gone = jobs_of(library, at_once=3)
    monkeypatch.setattr(gone, "_run", lambda job: job)
    files = [
        write_wav(tmp_path / f"{i}.wav", speak("happiness", speaker=i, seed=i)) for i in range(3)
    ]
    left = [submit(gone, path) for path in files]
    for hold in gone._holds.values():  # as the kernel does when a process dies
        hold.release()
    with library.database.write() as session:
        for job in left:
            set_job(session, job.id, status=JobStatus.RUNNING, attempts=1)
    monkeypatch.setattr(module, "take_in", counted)
    jobs = jobs_of(library, at_once=3)
    eventually(lambda: all(row(library, job).finished for job in left))
    jobs.stop(5)
    assert max(most) == 1


def left_running(library: Library, path: Path, *, attempts: int) -> Job:
    """A job that was begun so often, and ended each time with the process."""
    gone = jobs_of(library)
    gone._run = lambda job: job
    job = submit(gone, path)
    gone.stop(0)
    with library.database.write() as session:
        return set_job(session, job.id, status=JobStatus.RUNNING, attempts=attempts)


def deadly(pipe, settings, work):
    """What the other process does with a file that kills it."""
    pipe.send("begun")
    os.kill(os.getpid(), signal.SIGKILL)


def test_however_often_the_server_was_killed_an_upload_is_taken_in(library: Library, voice: Path):
    job = left_running(library, voice, attempts=40)
    jobs = jobs_of(library)
    eventually(lambda: row(library, job).finished)
    jobs.stop(5)
    done = row(library, job)
    assert (done.status, done.is_new, done.problem) == (JobStatus.DONE, True, None)


@pytest.mark.slow
def test_a_file_that_kills_every_process_of_its_own_is_kept_aside(
    library: Library, voice: Path, monkeypatch
):
    job = left_running(library, voice, attempts=2)
    with monkeypatch.context() as patch:
        patch.setattr(alone, "_work", deadly)
        jobs = jobs_of(library)
        eventually(lambda: row(library, job).finished)
    failed = row(library, job)
    assert (failed.problem["status"], failed.problem["kind"]) == (500, "quarantined")
    assert "3 processes" in failed.problem["detail"]
    upload = library.settings.uploads_folder / "incoming" / job.stored
    with library.database.write() as session:
        set_job(session, job.id, finished_at=datetime.now(UTC) - timedelta(days=80))
    old = time.time() - 2 * 3600
    os.utime(upload, (old, old))
    jobs.tidy()
    assert upload.read_bytes() == voice.read_bytes()
    assert (row(library, job).fields, row(library, job).is_kept) == (job.fields, True)
    assert jobs.retry(job.id).status in (JobStatus.QUEUED, JobStatus.RUNNING)
    with pytest.raises(InvalidInputError, match="only a job whose upload is kept"):
        jobs.retry(job.id)
    eventually(lambda: row(library, job).status == JobStatus.DONE)
    eventually(lambda: not upload.exists())
    jobs.stop(5)


def test_a_process_of_its_own_that_dies_before_it_begins_is_no_fault_of_the_files(
    library: Library, voice: Path, monkeypatch
):
    job = left_running(library, voice, attempts=2)
    monkeypatch.setattr(alone, "_work", os._exit)  # for which the arguments are wrong
    jobs = jobs_of(library)
    eventually(lambda: row(library, job).problem is not None)
    jobs.stop(5)
    waits = row(library, job)
    assert (waits.status, waits.problem["kind"]) == (JobStatus.QUEUED, "model-unavailable")


def test_uploads_are_retried_and_dropped_without_a_server(library: Library, voice: Path, blocked):
    asked, _ = blocked
    jobs = jobs_of(library)
    job = submit(jobs, voice)
    assert asked.wait(60)
    with pytest.raises(BusyError):
        kept.drop(library, job.id)
    jobs.stop(0)
    with library.database.write() as session:
        set_job(session, job.id, status=JobStatus.FAILED, problem=explain(RuntimeError()))
    assert kept.retry(library, None) == [job.id]
    assert [one.id for one in kept.all_jobs(library, [JobStatus.QUEUED])] == [job.id]
    kept.drop(library, job.id)
    assert list(kept.all_jobs(library)) == []
    assert not (library.settings.uploads_folder / "incoming" / job.stored).exists()


def test_jobs_are_forgotten_after_a_week_while_it_serves(library: Library, voice: Path):
    jobs = jobs_of(library)
    job = submit(jobs, voice)
    eventually(lambda: jobs.board.live(job.id) is None)
    with library.database.write() as session:
        set_job(session, job.id, finished_at=datetime.now(UTC) - timedelta(days=8))
    jobs.tidy()
    with pytest.raises(NotFoundError):
        row(library, job)
    jobs.stop(5)


def test_uploads_that_no_job_needs_are_removed(library: Library, tmp_path: Path, monkeypatch):
    incoming = Incoming(HomeUploads(tmp_path), library.database)
    incoming.open()
    folder = tmp_path / "incoming"
    old = time.time() - 2 * 3600
    for name in ("a", "b", "c.lock"):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (old, old))
    real = Path.iterdir

    def vanishing(self):  # another process removes one between the look at the folder and at it
        found = sorted(real(self))
        (folder / "a").unlink(missing_ok=True)
        return iter(found)

    monkeypatch.setattr(Path, "iterdir", vanishing)
    assert incoming.abandoned() == ["b", "c"]
    hold = incoming.take("b")
    incoming.remove("b")
    assert (folder / "b").exists()  # somebody works on it
    hold.release()
    incoming.remove("b")
    assert not (folder / "b").exists()


def test_bytes_of_a_recording_that_another_server_erased_go(settings: Settings, voice, tmp_path):
    other = settings.model_copy(update={"home": tmp_path / "other", "model": "acoustic"})
    url = settings.database
    other = other.model_copy(update={"database_url": url})
    with Library.open(settings, create=True) as here, Library.open(other) as there:
        recording, _ = take_in(here, voice, name="a.wav")
        (kept,) = here.settings.uploads_folder.glob("*.wav")
        there.forget(recording)
        assert kept.exists()
        with upload_lock(settings.uploads_folder, kept.stem):
            assert remove_orphans(here) == 0  # somebody takes the same bytes in again
        assert remove_orphans(here) == 1
        assert not kept.exists()


def test_bytes_that_a_database_put_back_never_knew_stay_and_are_named(
    library: Library, voice: Path
):
    take_in(library, voice, name="a.wav")
    (kept,) = library.settings.uploads_folder.glob("*.wav")
    os.utime(kept, (0, 0))
    with library.database.write() as session:
        session.execute(text("DELETE FROM recordings"))
    assert remove_orphans(library) == 0
    assert kept.exists()
    (named,) = [one for one in check(library) if one.where == str(kept)]
    assert named.what == "no recording has this upload"
    assert library.ingest(Scan([named.where])).recordings == 1
    assert not [one for one in check(library) if one.where == str(kept)]


def test_a_copy_that_was_never_finished_goes_once_nobody_makes_it(library: Library):
    folder = library.settings.uploads_folder
    folder.mkdir(exist_ok=True)
    with upload_lock(folder, "x"):
        (folder / "x.partial").write_bytes(b"x")
        assert remove_orphans(library) == 0
    assert remove_orphans(library) == 1
    assert not (folder / "x.partial").exists()


def test_a_lock_on_bytes_is_on_these_alone(tmp_path: Path):
    mine, near = "0" * 64, "0" * 63 + "1"
    with upload_lock(tmp_path, mine):
        with upload_lock(tmp_path, near, patience=0):
            pass
        with pytest.raises(BusyError), upload_lock(tmp_path, mine, patience=0):
            pass
        stop = threading.Event()
        threading.Timer(0.1, stop.set).start()
        with pytest.raises(BusyError), upload_lock(tmp_path, mine, stop=stop):
            pass
    assert not list((tmp_path / ".locks").iterdir())


def test_upkeep_goes_on_after_a_failure(caplog: pytest.LogCaptureFixture):
    calls = []

    def failing():
        calls.append(1)
        raise EmotionSearchError("no")

    upkeep = Upkeep({failing: 0.01})
    upkeep.start()
    eventually(lambda: len(calls) > 2)
    upkeep.stop()
    assert set(caplog.messages) == {"no"}


def test_the_model_is_asked_for_the_channels_that_the_sender_names(
    settings: Settings, tmp_path: Path
):
    import numpy as np
    import soundfile

    from emotion_search.engine.audio.channels import parse_channels
    from emotion_search.engine.service.uploads import UploadFields

    left, right = (speak(m, speaker=1, seed=2) for m in ("anger", "sadness"))
    n = min(len(left), len(right))
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.stack([left[:n], right[:n]], axis=1), 16_000)
    with Library.open(settings, create=True) as library:
        jobs = jobs_of(library)
        fields = UploadFields(Annotations(), parse_channels("customer=1"))
        with path.open("rb") as content:
            job, _ = jobs.submit(Upload(content, "call.wav", fields))
        eventually(lambda: row(library, job).finished)
        jobs.stop(5)
        (clip,) = library.clips_of(row(library, job).recording_id)
        assert (clip.channel, clip.channel_name) == (1, "customer")
        alone = library.embedder().embed([right[:n]]).vectors[0]
        from emotion_search.index.database.clips import vectors_of

        with library.database.read() as session:
            stored = vectors_of(session, library.model(), [clip.id])[0]
        assert np.dot(alone, stored) / np.linalg.norm(alone) / np.linalg.norm(stored) > 0.999
