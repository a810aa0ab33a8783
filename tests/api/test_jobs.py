"""Uploads as jobs: in the background, once, over restarts, told as they go."""

import errno
import json
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from benchmarks.kills_of_uploads import run
from emotion_search.engine.api.app import create_app
from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.embedders.acoustic.model import Acoustic
from emotion_search.engine.library.library import Library
from emotion_search.engine.settings import Settings
from emotion_search.index.database.jobs import set_job
from emotion_search.index.errors import ModelUnavailableError
from tests.api.conftest import assert_problem, upload
from tests.conftest import eventually, tone, write_wav

WAIT = "/v1/recordings?wait=true"


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "new.wav", speak("anger", speaker=7, seed=3))


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch):
    """The model waits until told; it tells when it was asked."""
    asked, go = threading.Event(), threading.Event()
    real = Acoustic.embed

    def embed(self, clips):
        asked.set()
        assert go.wait(20)
        return real(self, clips)

    monkeypatch.setattr(Acoustic, "embed", embed)
    yield asked, go
    go.set()


def finished(client: TestClient, job: int) -> dict:
    eventually(lambda: client.get(f"/v1/jobs/{job}").json()["finished_at"] is not None)
    return client.get(f"/v1/jobs/{job}").json()


def events(text: str) -> list[tuple[str, dict]]:
    received = []
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n")
        received.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return received


def test_who_sends_several_channels_and_names_none_is_told_that_they_are_mixed(
    client: TestClient, voice: Path, tmp_path: Path
):
    sound = speak("anger", speaker=3, seed=5)
    for factor, form, notices in ((1.0, {}, 1), (0.8, {"channels": "mix"}, 0)):
        write_wav(tmp_path / "call.wav", np.stack([sound, sound * 0.5], axis=1) * factor)
        with (tmp_path / "call.wav").open("rb") as content:
            answer = client.post(WAIT, files={"file": ("call.wav", content)}, data=form)
        assert answer.status_code == 201
        assert len(answer.json()["notices"]) == notices
        assert (
            client.get(f"/v1/jobs/{answer.json()['job']}").json()["notices"]
            == (answer.json()["notices"])
        )
        if notices:
            assert "inferring emotions of people at work" in answer.json()["notices"][0]


def test_who_sends_a_known_recording_for_another_channel_is_told_that_its_clips_stay(
    client: TestClient, tmp_path: Path
):
    sound = speak("anger", speaker=3, seed=6)
    call = write_wav(tmp_path / "call.wav", np.stack([sound, sound * 0.5], axis=1)).read_bytes()
    told = []
    for channels in ("mix", "mix", "customer=1"):
        files = {"file": ("call.wav", call)}
        answer = client.post(WAIT, files=files, data={"channels": channels}).json()
        told.append((answer["new"], len(answer["notices"])))
    assert told == [(True, 0), (False, 0), (False, 1)]
    assert "its clips stay as they were cut then" in answer["notices"][0]


def test_an_upload_is_a_job_that_is_done_in_the_background(client: TestClient, voice: Path):
    answer = client.post("/v1/recordings", files=upload(voice), data={"label": "anger"})
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['job']}"
    assert job["file"] == "new.wav"
    done = finished(client, job["job"])
    assert (done["status"], done["new"], done["problem"]) == ("done", True, None)
    assert done["progress"]["fraction"] == 1
    recording = client.get(f"/v1/recordings/{done['recording']}").json()
    assert (recording["file"], recording["labels"]) == ("new.wav", {"emotion": {"anger": 1}})


def test_progress_is_told_as_events_until_the_end(client: TestClient, voice: Path):
    job = client.post("/v1/recordings", files=upload(voice)).json()["job"]
    answer = client.get(f"/v1/jobs/{job}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    received = events(answer.text)
    assert {name for name, _ in received} == {"job"}
    assert received[-1][1]["status"] == "done"
    again = events(client.get(f"/v1/jobs/{job}/events").text)
    assert again == received[-1:]
    assert_problem(client.get("/v1/jobs/999/events"), 404, "not-found")


def test_a_file_that_is_no_audio_fails_with_its_problem(client: TestClient, tmp_path: Path):
    path = tmp_path / "x.wav"
    path.write_bytes(b"text " * 100)
    job = client.post("/v1/recordings", files=upload(path)).json()["job"]
    failed = finished(client, job)
    assert (failed["status"], failed["recording"]) == ("failed", None)
    assert failed["problem"]["type"] == "urn:emotion-search:problem:unusable-audio"
    assert failed["problem"]["detail"].startswith("x.wav cannot be decoded")
    same = assert_problem(client.post(WAIT, files=upload(path)), 422, "unusable-audio")
    assert same["detail"] == failed["problem"]["detail"]
    listed = client.get("/v1/jobs", params={"status": "failed", "limit": 1}).json()
    assert len(listed["data"]) == 1
    rest = client.get("/v1/jobs", params={"status": "failed", "cursor": listed["next"]}).json()
    assert [one["job"] for one in rest["data"]] == [job]


def test_waiting_has_an_end(client: TestClient, voice: Path, stuck):
    asked, go = stuck
    answer = client.post("/v1/recordings", files=upload(voice), headers={"Prefer": "wait=0"})
    assert answer.status_code == 202
    assert asked.wait(10)
    path = f"/v1/jobs/{answer.json()['job']}"
    assert client.get(path).json()["status"] == "running"
    head = client.head(f"{path}/events")  # does not follow the job
    assert (head.status_code, head.content) == (200, b"")
    assert client.get(path).json()["status"] == "running"
    assert client.app.state.jobs.followers == 0
    go.set()
    done = client.post("/v1/recordings", files=upload(voice), headers={"Prefer": "wait"})
    assert done.status_code == 200
    assert done.json()["new"] is False


def test_the_same_idempotency_key_does_it_once(client: TestClient, voice: Path, tmp_path: Path):
    key = {"Idempotency-Key": "call-17"}
    data = {"label": "anger"}

    def send(_: int):
        return client.post(WAIT, files=upload(voice), data=data, headers=key)

    with ThreadPoolExecutor(4) as several:
        answers = list(several.map(send, range(4)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    replayed = [answer.headers.get("idempotent-replayed") for answer in answers]
    assert sorted(replayed, key=str) == [None, "true", "true", "true"]
    later = client.post("/v1/recordings", files=upload(voice), data=data, headers=key)
    assert later.json()["job"] == answers[0].json()["job"]
    assert (later.status_code, later.headers["idempotent-replayed"]) == (202, "true")
    assert (later.json()["status"], later.json()["recording"]) == ("queued", None)
    other = write_wav(tmp_path / "other.wav", tone(1.0))
    for files, fields in (
        (upload(other, "new.wav"), data),
        (upload(voice), {"label": "joy"}),
        (upload(voice, "renamed.wav"), data),
    ):
        answer = client.post(WAIT, files=files, data=fields, headers=key)
        assert_problem(answer, 422, "idempotency-key-reused")
    for bad in ("", "x" * 201, "two words", "ü".encode()):
        answer = client.post(WAIT, files=upload(voice), headers={"Idempotency-Key": bad})
        assert_problem(answer, 422, "invalid-request")


def test_a_failure_of_the_servers_does_not_use_up_the_key_and_can_be_retried(
    client: TestClient, voice: Path, monkeypatch
):
    def broken(self, clips):
        raise RuntimeError("boom")

    key = {"Idempotency-Key": "a"}
    with monkeypatch.context() as patch:
        patch.setattr(Acoustic, "embed", broken)
        for _ in range(2):
            answer = client.post(WAIT, files=upload(voice), headers=key)
            assert_problem(answer, 500, "unexpected")
    last, first = (job["job"] for job in client.get("/v1/jobs").json()["data"])
    assert client.post(f"/v1/jobs/{last}/retry").status_code == 202
    assert finished(client, last)["new"] is True
    assert_problem(client.post(f"/v1/jobs/{last}/retry"), 409, "not-retryable")
    assert client.post(WAIT, files=upload(voice), headers=key).json()["job"] == last
    assert client.post(f"/v1/jobs/{first}/retry").status_code == 202
    assert finished(client, first)["new"] is False


@pytest.mark.parametrize("error", [ModelUnavailableError("/srv/x is gone"), OSError("torn")])
def test_uploads_wait_for_a_model_that_cannot_be_loaded(
    settings: Settings, voice: Path, monkeypatch, error
):
    import emotion_search.engine.archive.archive as module

    def broken(*_):
        raise error

    with TestClient(create_app(settings)) as client:
        with monkeypatch.context() as patch:
            patch.setattr(module, "load_embedder", broken)
            answer = client.post(WAIT, files=upload(voice))
            assert answer.status_code == 202
            job = answer.json()
            assert (job["status"], job["problem"]["status"]) == ("queued", 503)
            assert str(error).split("/")[-1] in job["problem"]["detail"]
            assert_problem(client.get("/readyz"), 503, "model-unavailable")
            client.app.state.jobs.tidy()
            assert client.get(f"/v1/jobs/{job['job']}").json()["status"] == "queued"
        client.app.state.jobs.tidy()
        done = finished(client, job["job"])
        assert (done["status"], done["problem"]) == ("done", None)
        assert client.get("/readyz").status_code == 200


def test_more_than_may_wait_are_refused(settings: Settings, voice: Path, stuck, monkeypatch):
    asked, go = stuck
    monkeypatch.setattr("emotion_search.engine.api.app._MOST_QUEUED", 2)
    few = settings.model_copy(update={"jobs": 1})
    with TestClient(create_app(few)) as client:
        for i in range(2):
            answer = client.post("/v1/recordings", files=upload(voice), data={"source": str(i)})
            assert answer.status_code == 202
        assert asked.wait(10)
        refused = client.post("/v1/recordings", files=upload(voice))
        assert_problem(refused, 429, "too-busy")
        assert int(refused.headers["retry-after"]) >= 1
        assert client.get("/metrics").text.count("emotion_search_jobs{") == 2
        go.set()
        eventually(lambda: client.post("/v1/recordings", files=upload(voice)).status_code == 202)


def test_an_upload_goes_on_after_a_restart(settings: Settings, voice: Path, monkeypatch):
    """What was queued or running when the process ended is done by the next one."""
    with Library.open(settings, create=True) as library:
        from emotion_search.engine.api.http.problems import explain
        from emotion_search.engine.api.learn import learn
        from emotion_search.engine.service.jobs import Jobs, Upload
        from emotion_search.engine.service.uploads import UploadFields
        from emotion_search.index.database.recordings import Annotations

        gone = Jobs(library, explain=explain, learn=learn, at_once=1, most=9, longest=60)
        monkeypatch.setattr(gone, "_run", lambda job: None)  # the process dies before its work
        gone.start()
        with voice.open("rb") as content:
            annotations = Annotations(source="desk", recorded_at=datetime(2026, 1, 2, tzinfo=UTC))
            job, _ = gone.submit(Upload(content, "her.wav", UploadFields(annotations)))
        for hold in gone._holds.values():  # as the kernel does when a process dies
            hold.release()
        with library.database.write() as session:
            set_job(session, job.id, status="running", attempts=1)
    with TestClient(create_app(settings)) as client:
        done = finished(client, job.id)
        assert done["status"] == "done"
        recording = client.get(f"/v1/recordings/{done['recording']}").json()
        assert (recording["file"], recording["source"]) == ("her.wav", "desk")
        assert recording["recorded_at"] == "2026-01-02T00:00:00Z"
        incoming = settings.uploads_folder / "incoming"
        assert {path.name for path in incoming.iterdir()} <= {"place", "place.lock"}


def test_an_upload_whose_bytes_are_gone_fails(settings: Settings, voice: Path):
    with TestClient(create_app(settings)) as client:
        job = client.post(WAIT, files=upload(voice)).json()["job"]
        library = client.app.state.library
        with library.database.write() as session:
            set_job(session, job, status="queued", finished_at=None)
    with TestClient(create_app(settings)) as client:
        assert "send it again" in finished(client, job)["problem"]["detail"]


def test_jobs_are_forgotten_after_a_week_and_with_their_recording(
    settings: Settings, voice: Path, tmp_path: Path
):
    other = write_wav(tmp_path / "other.wav", tone(1.0))
    with TestClient(create_app(settings)) as client:
        old = client.post(WAIT, files=upload(voice)).json()
        new = client.post(WAIT, files=upload(other)).json()
        with client.app.state.library.database.write() as session:
            past = datetime.now(UTC) - timedelta(days=8)
            set_job(session, old["job"], finished_at=past)
    with TestClient(create_app(settings)) as client:
        assert_problem(client.get(f"/v1/jobs/{old['job']}"), 404)
        assert client.get(f"/v1/jobs/{new['job']}").status_code == 200
        assert client.delete(f"/v1/recordings/{new['recording']}").json()["clips"] == 1
        assert_problem(client.get(f"/v1/jobs/{new['job']}"), 404)


def test_uploads_together_are_embedded_together(settings: Settings, tmp_path: Path, monkeypatch):
    groups = []
    real = Acoustic.embed

    def embed(self, clips):
        groups.append(len(clips))
        time.sleep(0.5)  # as a large model would
        return real(self, clips)

    monkeypatch.setattr(Acoustic, "embed", embed)
    monkeypatch.setattr("emotion_search.engine.embedders.shared.cores", lambda: 1)
    paths = [write_wav(tmp_path / f"{i}.wav", tone(0.5, 200 + i)) for i in range(8)]
    with TestClient(create_app(settings)) as client, ThreadPoolExecutor(8) as several:
        client.post(WAIT, files=upload(paths[0]))  # makes the archive, loads the model
        groups.clear()
        answers = several.map(lambda path: client.post(WAIT, files=upload(path)), paths)
        assert [answer.status_code for answer in answers] == [200] + [201] * 7
    assert sum(groups) == 7
    assert max(groups) >= 2


@pytest.mark.slow
def test_kills_lose_no_upload_that_was_answered(tmp_path: Path, database_url: str):
    accepted, _ = run(tmp_path, database_url, kills=8, uploads=10, seed=1, longest=2.0)
    assert accepted == 10


def test_the_log_of_a_job_tells_which_request_it_came_with(
    client: TestClient, voice: Path, monkeypatch
):
    import emotion_search.engine.service.work as work
    from emotion_search.engine.api.http.requests import request_id

    seen = []

    class Seen(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append((record.getMessage(), request_id.get()))

    def broken(*_, **__):
        raise RuntimeError("boom")

    monkeypatch.setattr(work, "take_in", broken)
    handler = Seen()
    work.log.addHandler(handler)
    try:
        answer = client.post(WAIT, files=upload(voice), headers={"X-Request-ID": "my-id"})
    finally:
        work.log.removeHandler(handler)
    assert_problem(answer, 500, "unexpected")
    assert ("job 1 failed", "my-id") in seen


def test_a_full_disk_is_told_as_such_wherever_it_is_noticed(
    client: TestClient, voice: Path, monkeypatch
):
    async def full(self):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("starlette.formparsers.MultiPartParser.parse", full)
    for path in ("/v1/recordings", "/v1/search", "/v1/predict"):
        assert_problem(client.post(path, files=upload(voice)), 507, "storage-full")


def test_an_upload_of_what_was_erased_is_refused_until_it_is_asked_for(
    client: TestClient, voices: Path
):
    client.delete("/v1/recordings/1")
    voice = voices / "anger-0.wav"
    assert_problem(client.post(WAIT, files=upload(voice)), 409, "forgotten")
    again = client.post(WAIT, files=upload(voice), data={"again": "true"})
    assert (again.status_code, again.json()["recording"]) == (201, 13)
