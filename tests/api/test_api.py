"""The HTTP service, through its ASGI interface on both databases, and once through a socket."""

import os
import re
import subprocess
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient

from emotion_search.engine.api.app import create_app
from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.settings import Settings
from tests.api.conftest import assert_problem, served, upload
from tests.conftest import tone, write_wav

WAIT = "/v1/recordings?wait=true"


def test_search_by_clip(client: TestClient):
    answer = client.post("/v1/search", json={"clip": 1, "limit": 5})
    assert answer.status_code == 200
    body = answer.json()
    assert body["model"] == "acoustic"
    assert len(body["hits"]) == 5
    assert 1 not in {hit["clip"] for hit in body["hits"]}
    first = body["hits"][0]
    assert first["audio"] == f"/v1/clips/{first['clip']}/audio"
    assert first["file"].endswith(".wav")


def test_search_by_upload(client: TestClient, tmp_path: Path, voices: Path):
    known = client.post("/v1/search", files=upload(voices / "anger-0.wav"), data={"limit": "50"})
    assert len(known.json()["hits"]) == 11
    fresh = write_wav(tmp_path / "q.wav", speak("anger", speaker=9, seed=9, rate=44_100), 44_100)
    new = client.post("/v1/search", files=upload(fresh), data={"label": ["anger", "neutral"]})
    assert len(new.json()["hits"]) == 6
    assert client.get("/v1/stats").json()["clips"] == 12


def test_the_same_search_by_both_ways_agrees(client: TestClient, voices: Path):
    by_clip = client.post("/v1/search", json={"clip": 1, "exclude_same": "speaker"}).json()
    name = client.get("/v1/clips/1").json()["file"]
    by_file = client.post(
        "/v1/search", files=upload(voices / name), data={"exclude_same": "speaker"}
    ).json()
    assert by_clip == by_file
    assert {hit["speaker"] for hit in by_clip["hits"]} == {"voice1", "voice2"}


def test_filters(client: TestClient):
    def files(**filters: object) -> set[str]:
        asked = {"clip": 1, "limit": 100, **filters}
        return {hit["file"] for hit in client.post("/v1/search", json=asked).json()["hits"]}

    assert files(source=["field"], speaker=["voice0"]) == {"happiness-0.wav", "sadness-0.wav"}
    assert files(label=["sadness"], after="2026-03-01") == {"sadness-2.wav"}
    assert files(label=["sadness"], before="2026-03-01T00:00:00+01:00") == {
        "sadness-0.wav",
        "sadness-1.wav",
    }
    assert files(metadata=["take=2"], label=["anger"]) == {"anger-2.wav"}
    assert files(source=["elsewhere"]) == set()


def test_clips_are_paged(client: TestClient):
    seen, cursor = [], 0
    while cursor is not None:
        page = client.get("/v1/clips", params={"limit": 5, "cursor": cursor}).json()
        seen += [clip["clip"] for clip in page["data"]]
        cursor = page["next"]
    assert seen == sorted(seen)
    assert len(seen) == 12
    filtered = client.get("/v1/clips", params=[("label", "anger"), ("label", "fear")]).json()
    assert len(filtered["data"]) == 3
    assert filtered["next"] is None
    joy = client.get("/v1/clips", params={"label": "joy"}).json()["data"]
    assert [clip["labels"]["emotion"] for clip in joy] == ["happiness"] * 3


def test_a_clip_is_heard_whole_and_in_ranges(client: TestClient, voices: Path):
    details = client.get("/v1/clips/2").json()
    whole = client.get(details["audio"])
    assert whole.headers["content-type"] == "audio/wav"
    assert whole.headers["accept-ranges"] == "bytes"
    samples, _rate = soundfile.read(voices / details["file"], dtype="int16")
    assert whole.content[-len(samples) * 2 :] == samples.tobytes()
    part = client.get(details["audio"], headers={"Range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.content == whole.content[100:200]
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole.content)}"
    again = {"Range": "bytes=0-9", "If-Range": whole.headers["etag"]}
    assert client.get(details["audio"], headers=again).status_code == 206
    beyond = client.get(details["audio"], headers={"Range": "bytes=99999999-"})
    assert_problem(beyond, 416)
    assert beyond.headers["content-range"] == f"bytes */{len(whole.content)}"
    last = client.get(details["audio"], headers={"Range": "bytes=-10"})
    assert (last.status_code, last.content) == (206, whole.content[-10:])
    for odd in ("bytes=5-1", "bytes=-", "junk", "bytes=0-1,5-6", "bytes=" + "9" * 5000 + "-"):
        assert client.get(details["audio"], headers={"Range": odd}).content == whole.content
    stale = {"Range": "bytes=0-9", "If-Range": '"another"'}
    assert client.get(details["audio"], headers=stale).status_code == 200


def test_a_clip_of_a_long_recording_is_exactly_its_span(
    fixed_windows, client: TestClient, tmp_path: Path
):
    swell = np.sin(np.arange(8_000 * 40) / 3000)  # even noise would be no speech
    samples = swell * np.random.default_rng(0).uniform(-0.5, 0.5, 8_000 * 40)
    path = write_wav(tmp_path / "long.wav", samples.astype(np.float32), 8_000)
    clips = client.post(WAIT, files=upload(path)).json()["clips"]
    assert [(c["start"], c["end"]) for c in clips] == [(0, 15), (15, 30), (30, 40)]
    played = client.get(clips[1]["audio"]).content
    written = soundfile.read(path, dtype="int16")[0]
    assert played[-15 * 8_000 * 2 :] == written[15 * 8_000 : 30 * 8_000].tobytes()


def test_audio_that_is_gone_or_changed_is_not_found(settings, tmp_path: Path):
    path = write_wav(tmp_path / "x.wav", tone(1.0))
    seen = path.stat()
    with TestClient(create_app(settings)) as client:
        library = client.app.state.library
        from emotion_search.engine.files.scan import find_audio

        library.ingest(find_audio([str(path)]).files)
        os.utime(path, ns=(5, 5))  # touched, but the same
        assert client.get("/v1/clips/1/audio").status_code == 200
        write_wav(path, tone(1.0, 333))
        assert_problem(client.get("/v1/clips/1/audio"), 404, "not-found")
        path.unlink()
        assert_problem(client.get("/v1/clips/1/audio"), 404, "not-found")
        path.write_bytes(b"x" * seen.st_size)  # unnoticed, and it cannot be decoded
        os.utime(path, ns=(seen.st_mtime_ns, seen.st_mtime_ns))
        assert_problem(client.get("/v1/clips/1/audio"), 404, "not-found")


def test_an_uploaded_recording_is_found_from_then_on(client: TestClient, tmp_path: Path, settings):
    path = write_wav(tmp_path / "new.wav", speak("anger", speaker=7, seed=3))
    fields = {"source": "desk", "label": "anger", "speaker": "jo", "metadata": ["a=b", "c=d"]}
    name = "../../../etc/weird\\name.wav"
    made = client.post(WAIT, files=upload(path, name), data=fields)
    assert made.status_code == 201
    body = made.json()
    (clip,) = body["clips"]
    assert (body["new"], clip["file"], clip["metadata"]) == (True, "name.wav", {"a": "b", "c": "d"})
    hits = client.post("/v1/search", json={"clip": 1, "limit": 100}).json()["hits"]
    assert clip["clip"] in {hit["clip"] for hit in hits}
    kept = [file for file in settings.uploads_folder.iterdir() if file.is_file()]
    assert [re.fullmatch(r"[0-9a-f]{64}\.wav", file.name) is not None for file in kept] == [True]
    again = client.post(WAIT, files=upload(path), data={"label": "joy"})
    assert (again.status_code, again.json()["new"]) == (200, False)
    assert again.json()["clips"][0]["label"] == "joy"
    assert client.get("/v1/stats").json()["recordings"] == 13


def test_an_upload_that_is_no_audio_leaves_nothing(client: TestClient, tmp_path: Path, settings):
    path = tmp_path / "x.wav"
    for content in (b"", b"text " * 100):
        path.write_bytes(content)
        body = assert_problem(client.post(WAIT, files=upload(path)), 422, "unusable-audio")
        assert body["detail"].startswith("x.wav cannot be decoded")
        assert_problem(client.post("/v1/search", files=upload(path)), 422, "unusable-audio")
    assert [file for file in settings.uploads_folder.iterdir() if file.is_file()] == []
    assert client.get("/v1/stats").json()["failures"] == 0
    short = write_wav(tmp_path / "short.wav", tone(0.01))
    assert (
        "too short" in assert_problem(client.post("/v1/search", files=upload(short)), 422)["detail"]
    )


def test_no_path_of_the_server_is_told(client: TestClient, tmp_path: Path, voices: Path):
    for answer in (
        client.get("/v1/clips"),
        client.get("/v1/stats"),
        client.post("/v1/search", json={"clip": 1}),
        client.post("/v1/search", json={"clip": 99}),
    ):
        assert str(tmp_path) not in answer.text
        assert str(voices) not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "kind"),
    [
        ("GET", "/v1/clips/999", {}, 404, "not-found"),
        ("GET", "/v1/clips/999/audio", {}, 404, "not-found"),
        ("GET", "/v1/clips/0", {}, 422, "invalid-request"),
        ("GET", "/v1/clips/99999999999999999999999", {}, 422, "invalid-request"),
        ("GET", "/v1/clips/one", {}, 422, "invalid-request"),
        ("GET", "/v1/clips?limit=501", {}, 422, "invalid-request"),
        ("GET", "/v1/clips?cursor=-1", {}, 422, "invalid-request"),
        ("GET", "/v1/clips?mood=bad", {}, 422, "invalid-request"),
        ("GET", "/v1/clips?metadata=novalue", {}, 422, "invalid-request"),
        ("GET", "/v1/clips?after=tomorrow", {}, 422, "invalid-request"),
        ("GET", "/v1/clips?after=0001-01-01T00:00:00%2B14:00", {}, 422, "invalid-request"),
        ("GET", "/v1/clips?" + "source=x&" * 101, {}, 422, "invalid-request"),
        ("GET", "/nowhere", {}, 404, "no-such-route"),
        ("DELETE", "/v1/stats", {}, 405, "method-not-allowed"),
        ("POST", "/v1/search", {"json": {"clip": 999}}, 404, "not-found"),
        ("POST", "/v1/search", {"json": {}}, 422, "invalid-input"),
        ("POST", "/v1/search", {"json": [1]}, 422, "invalid-request"),
        ("POST", "/v1/search", {"json": {"clip": 1, "limit": 0}}, 422, "invalid-request"),
        ("POST", "/v1/search", {"json": {"clip": 1, "limit": 10**30}}, 422, "invalid-request"),
        ("POST", "/v1/search", {"json": {"clip": 1, "colour": 2}}, 422, "invalid-request"),
        ("POST", "/v1/search", {"json": {"clip": 1, "label": ["\0"]}}, 422, "invalid-request"),
        ("POST", "/v1/search", {"json": {"clip": 1, "label": ["\ud800"]}}, 422, "invalid-request"),
        ("POST", "/v1/search", {"json": {"clip": 1, "\ud800": 1}}, 422, "invalid-request"),
        ("POST", "/v1/search", {"content": b"{"}, 415, None),
        (
            "POST",
            "/v1/search",
            {"content": b"{", "headers": {"content-type": "application/json"}},
            400,
            None,
        ),
        (
            "POST",
            "/v1/search",
            {"content": b"[" * 90_000, "headers": {"content-type": "application/json"}},
            400,
            None,
        ),
        (
            "POST",
            "/v1/search",
            {"content": b" " * 4_000_001, "headers": {"content-type": "application/json"}},
            413,
            "too-large",
        ),
        (
            "POST",
            "/v1/search",
            {"content": b"junk", "headers": {"content-type": "multipart/form-data"}},
            400,
            None,
        ),
        ("POST", "/v1/search", {"files": {"other": b"x"}}, 422, "invalid-request"),
        ("POST", "/v1/recordings", {"json": {}}, 415, None),
        (
            "POST",
            "/v1/recordings",
            {"files": {"file": b"x"}, "data": {"recorded_at": "never"}},
            422,
            "invalid-request",
        ),
    ],
)
def test_wrong_requests_are_problems(either, method, path, options, status, kind):
    if "json" in options:  # httpx refuses half a surrogate pair; a hostile client does not
        import json

        content = json.dumps(options["json"]).encode()
        options = {"content": content, "headers": {"content-type": "application/json"}}
    assert_problem(either.request(method, path, **options), status, kind)


def test_uploads_over_the_limit_are_refused(settings: Settings, tmp_path: Path):
    small = settings.model_copy(update={"max_upload_mb": 0.05})
    path = write_wav(tmp_path / "big.wav", tone(5.0))
    with TestClient(create_app(small)) as client:
        body = assert_problem(client.post(WAIT, files=upload(path)), 413, "too-large")
        assert "0.05 MB" in body["detail"]

        def chunks():
            yield b"--b\r\ncontent-disposition: form-data; name=file; filename=x\r\n\r\n"
            for _ in range(100):
                yield b"x" * 1000

        untold = client.post(
            "/v1/search",
            content=chunks(),
            headers={"content-type": "multipart/form-data; boundary=b"},
        )
        assert_problem(untold, 413, "too-large")


def test_an_empty_archive_answers(settings: Settings, tmp_path: Path):
    with TestClient(create_app(settings)) as client:
        assert client.get("/readyz").json() == {"status": "ok"}
        assert client.get("/v1/stats").json()["clips"] == 0
        assert client.get("/v1/clips").json() == {"data": [], "next": None}
        assert_problem(client.post("/v1/search", json={"clip": 1}), 404)
        path = write_wav(tmp_path / "x.wav", tone(1.0))
        assert client.post(WAIT, files=upload(path)).status_code == 201
        assert client.post("/v1/search", json={"clip": 1}).json()["hits"] == []


def test_a_missing_model_keeps_uploads_waiting_and_names_the_cures(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "cache"))
    path = write_wav(tmp_path / "x.wav", tone(1.0))
    with TestClient(create_app(Settings(home=tmp_path / "home"))) as client:
        answer = client.post(WAIT, files=upload(path))
        assert answer.status_code == 202
        assert "--model voice" in answer.json()["problem"]["detail"]
        ready = assert_problem(client.get("/readyz"), 503, "model-unavailable")
        assert "--model voice" in ready["detail"]


def test_the_openapi_document_tells_both_ways_to_search(client: TestClient):
    document = client.get("/openapi.json").json()
    body = document["paths"]["/v1/search"]["post"]["requestBody"]["content"]
    assert set(body) == {"application/json", "multipart/form-data"}
    form = body["multipart/form-data"]["schema"]["$ref"].removeprefix("#/components/schemas/")
    assert {"file", "negative_file", "limit"} <= set(
        document["components"]["schemas"][form]["properties"]
    )


def test_the_pages_of_the_document_need_no_network(reading: TestClient):
    for page in ("/docs", "/redoc"):
        text = reading.get(page).text
        assert "/openapi.json" in text
        assert not re.findall(r'(?:src|href)="(?!/)[^"]*"', text)
        for asset in re.findall(r'(?:src|href)="(/[^"]*)"', text):
            assert reading.get(asset).status_code == 200, asset


@pytest.mark.slow
def test_a_running_server_sees_what_the_command_line_ingests(tmp_path: Path, voices: Path):
    with served(tmp_path / "home") as server, httpx.Client(base_url=server.address) as http:
        run = partial(subprocess.run, env=server.environment, check=True)
        assert http.get("/readyz").status_code == 200
        assert http.get("/v1/stats").json()["clips"] == 0
        run([*server.base, "ingest", str(voices)])
        assert len(http.post("/v1/search", json={"clip": 1}).json()["hits"]) == 10
        query = http.post("/v1/search", files=upload(voices / "anger-1.wav"), timeout=60)
        assert len(query.json()["hits"]) == 10
        run([*server.base, "forget", "2"])
        hits = http.post("/v1/search", json={"clip": 1, "limit": 50}).json()["hits"]
        assert len(hits) == 10
        assert 2 not in {hit["clip"] for hit in hits}
        assert server.end() in (0, -15)
