"""Recordings, labels, lists, and what goes for every answer."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import sqlalchemy
from fastapi.testclient import TestClient

from emotion_search.engine.api.app import create_app
from emotion_search.engine.api.http.problems import answered, without_paths
from emotion_search.engine.settings import Settings
from emotion_search.index.database import slices
from emotion_search.index.database.clips import vectors_of
from emotion_search.index.database.files import FileFacts, Silence, add_failure, add_silence
from tests.api.conftest import assert_problem, upload
from tests.conftest import files_with, tone, write_wav
from tests.templates import Template

WAIT = "/v1/recordings?wait=true"


def pages(client: TestClient, path: str, **params: object) -> list[dict]:
    rows, cursor = [], None
    while True:
        more = {"cursor": cursor} if cursor is not None else {}
        page = client.get(path, params={**params, **more}).json()
        assert len(page["data"]) <= params.get("limit", 100)
        rows += page["data"]
        cursor = page["next"]
        if cursor is None:
            return rows


def test_recordings_are_listed_read_and_filtered(client: TestClient):
    rows = pages(client, "/v1/recordings", limit=5)
    assert [row["recording"] for row in rows] == list(range(1, 13))
    assert client.get("/v1/recordings/3").json() == rows[2]
    assert rows[2]["clips"] == 1
    assert rows[2]["duration"] == 1.0
    assert rows[2]["metadata"]["take"] in "012"
    some = pages(client, "/v1/recordings", label="anger", speaker="voice1")
    assert [row["labels"] for row in some] == [{"emotion": {"anger": 1}}]
    assert pages(client, "/v1/recordings/3/clips")[0]["recording"] == 3
    for path in ("/v1/recordings/99", "/v1/recordings/99/clips", "/v1/recordings/99/audio"):
        assert_problem(client.get(path), 404, "not-found")


def test_clips_are_listed_by_the_score_of_an_emotion(either: TestClient):
    rows = pages(either, "/v1/clips", limit=5, sort="sad")
    scores = [row["scores"]["sad"] for row in rows]
    assert len({row["clip"] for row in rows}) == 12
    assert scores == sorted(scores, reverse=True)
    assert len({row["emotion"] for row in rows}) > 1
    least = pages(either, "/v1/clips", limit=5, sort="sad", order="asc")
    assert [row["clip"] for row in least] == [row["clip"] for row in rows[::-1]]
    oldest = pages(either, "/v1/clips", limit=2, sort="recorded_at", order="asc", label="anger")
    assert [row["speaker"] for row in oldest] == ["voice0", "voice1", "voice2"]
    aroused = pages(either, "/v1/clips", limit=5, sort="arousal", min_arousal=0.0)
    arousal = [row["affect"]["arousal"] for row in aroused]
    assert arousal == sorted(arousal, reverse=True)
    assert aroused
    assert all(row["affect"]["derived"] for row in aroused)
    for unknown in ("sort=zorn", "sort=score&cursor=7", "cursor=01234567,0.5,7"):
        assert_problem(either.get(f"/v1/clips?{unknown}"), 404, "not-found")
    assert_problem(either.get("/v1/clips?order=up"), 422)


def test_a_recording_is_erased_for_real(client: TestClient, tmp_path: Path, settings: Settings):
    path = write_wav(tmp_path / "x.wav", tone(1.0, 333))
    made = client.post(WAIT, files=upload(path), data={"label": "unheard"}).json()
    (clip,) = made["clips"]
    vector = np.load(io.BytesIO(client.get(f"/v1/clips/{clip['clip']}/embedding").content))
    client.app.state.library.save_index()
    assert files_with(settings.home, vector)
    assert client.delete(f"/v1/recordings/{made['recording']}").json() == {
        "recording": made["recording"],
        "clips": 1,
    }
    assert_problem(client.delete(f"/v1/recordings/{made['recording']}"), 404, "not-found")
    assert_problem(client.get(f"/v1/clips/{clip['clip']}"), 404)
    assert_problem(client.get(f"/v1/clips/{clip['clip']}/embedding"), 404)
    assert_problem(client.post("/v1/search", json={"clip": clip["clip"]}), 404)
    hits = client.post("/v1/search", json={"clip": 1, "limit": 100}).json()["hits"]
    assert clip["clip"] not in {hit["clip"] for hit in hits}
    assert {one["name"] for one in client.get("/v1/labels").json()["data"]} == {
        "anger",
        "happiness",
        "neutral",
        "sadness",
    }
    kept = [file.name for file in settings.uploads_folder.rglob("*") if file.is_file()]
    assert not [name for name in kept if name.endswith(".wav")]
    for folder in (settings.home, tmp_path):  # the database lies beside the home
        assert files_with(folder, vector) == []


def test_a_stretch_of_a_recording_is_exactly_that(client: TestClient, voices: Path):
    row = client.get("/v1/recordings/2").json()
    written = soundfile.read(voices / row["file"], dtype="int16")[0]
    audio = client.get(row["audio"], params={"start": 0.25, "end": 0.5})
    assert audio.content[-4000 * 2 :] == written[4000:8000].tobytes()
    assert soundfile.info(io.BytesIO(audio.content)).frames == 4000
    part = client.get(row["audio"], headers={"Range": "bytes=44-143"})
    assert (part.status_code, len(part.content)) == (206, 100)
    for params in ({"start": 5}, {"start": 0.5, "end": 0.5}, {"channel": 3}):
        assert_problem(client.get(row["audio"], params=params), 404)
    assert_problem(client.get(row["audio"], params={"start": "nan"}), 422)


def test_an_embedding_is_the_stored_one(client: TestClient):
    vector = np.load(io.BytesIO(client.get("/v1/clips/4/embedding").content))
    library = client.app.state.library
    with library.database.read() as session:
        stored = vectors_of(session, library.model(), [4])[0]
    assert vector.dtype == np.float32
    assert np.array_equal(vector, stored)
    assert_problem(client.get("/v1/clips/99/embedding"), 404, "not-found")


def test_labels_are_set_corrected_and_taken_away(client: TestClient):
    labelled = client.put("/v1/clips/1/labels/satisfaction", json={"value": " low "}).json()
    assert labelled["labels"]["satisfaction"] == "low"
    client.put("/v1/clips/2/labels/satisfaction", json={"value": "high"})
    client.put("/v1/clips/1/labels/satisfaction", json={"value": "high"})
    assert client.get("/v1/tasks").json()["data"] == [
        {"name": "emotion", "count": 12},
        {"name": "satisfaction", "count": 2},
    ]
    high = {"data": [{"name": "high", "count": 2}]}
    assert client.get("/v1/labels", params={"task": "satisfaction"}).json() == high
    assert client.delete("/v1/clips/1/labels/satisfaction").json()["labels"].keys() == {"emotion"}
    assert client.delete("/v1/clips/1/labels/satisfaction").status_code == 200
    assert_problem(client.put("/v1/clips/99/labels/emotion", json={"value": "x"}), 404)
    for value in ("", " ", "x" * 201, "\0", 5, None):
        answer = client.put("/v1/clips/1/labels/emotion", json={"value": value})
        assert_problem(answer, 422)
    odd = client.put("/v1/clips/1/labels/a%20b%2Bc", json={"value": "x"})
    assert odd.json()["labels"]["a b+c"] == "x"


def test_an_etag_saves_the_answer_until_the_clip_changes(client: TestClient):
    first = client.get("/v1/clips/1")
    etag = {"If-None-Match": f'"other", {first.headers["etag"]}'}
    again = client.get("/v1/clips/1", headers=etag)
    assert (again.status_code, again.content) == (304, b"")
    client.put("/v1/clips/1/labels/emotion", json={"value": "surprise"})
    changed = client.get("/v1/clips/1", headers=etag)
    assert changed.json()["label"] == "surprise"
    for path in ("/v1/clips/1/audio", "/v1/clips/1/embedding"):
        known = {"If-None-Match": client.get(path).headers["etag"]}
        assert client.get(path, headers=known).status_code == 304


def test_failures_are_told_by_name_and_paged(client: TestClient, tmp_path: Path):
    library = client.app.state.library
    with library.database.write() as session:
        for i in range(7):
            path = f"/srv/secret (old), 1/{i}.wav"
            add_failure(session, path, f"{path}: is no audio")
        silence = Silence(FileFacts("/srv/quiet.wav", 1, 1), "0" * 64, "speech")
        add_silence(session, silence)
    (silent,) = pages(client, "/v1/failures", kind="silent")
    assert (silent["kind"], silent["file"]) == ("silent", "quiet.wav")
    assert len(pages(client, "/v1/failures", limit=3)) == 8
    rows = pages(client, "/v1/failures", limit=2, kind="failed")
    assert len(rows) == client.get("/v1/stats").json()["failures"]
    assert sorted(row["file"] for row in rows) == [f"{i}.wav" for i in range(7)]
    assert rows[0]["reason"].endswith(".wav: is no audio")
    assert "secret" not in client.get("/v1/failures").text
    assert_problem(client.get("/v1/failures?cursor=x"), 422)
    assert client.get("/v1/failures?cursor=9999999999999999-1").status_code == 200


def test_ingests_that_processes_share_are_told_without_paths_and_machines(client: TestClient):
    with client.app.state.library.database.write_beside() as session:
        run = slices.open_run(session, "key", "/srv/secret/2026", {})
        worker = "machine:7:abc"
        slices.claim_listing(session, run, worker)
        slices.add_slice(session, run, worker, [{}, {}, {}], 4, "/srv/secret/2026/c.wav")
        slices.claim_slice(session, worker)
        slices.renew(session, 1, worker, slices.Progress(2, 1, 1, 3, 36.0))
    answer = client.get("/v1/shared-work")
    (work,) = answer.json()["data"]
    assert (work["work"], work["kind"], work["named"]) == (run, "ingest", "2026")
    assert (work["files"], work["known"], work["done"], work["failed"]) == (3, 4, 2, 1)
    assert (work["clips"], work["seconds"], work["workers"]) == (3, 36.0, 1)
    assert (work["listed"], work["finished"]) == (False, False)
    assert work["clips_per_second"] > 0
    assert "machine" not in answer.text


def test_a_checkpoints_path_is_not_told(tmp_path: Path, checkpoint: Path):
    settings = Settings(home=tmp_path / "home", model=str(checkpoint))
    path = write_wav(tmp_path / "x.wav", tone(1.0))
    with TestClient(create_app(settings)) as client:
        assert client.post(WAIT, files=upload(path)).status_code == 201
        models = client.get("/v1/models").json()["data"]
        (active,) = [one for one in models if one["active"]]
        assert active["name"] == checkpoint.name == client.get("/v1/stats").json()["model"]
        assert active["available"]
        bodies = client.get("/v1/models").text + client.get("/v1/stats").text
        bodies += client.post("/v1/search", json={"clip": 1}).text
        bodies += client.get("/v1/recordings/1/trend").text
        bodies += client.post("/v1/predict", files=upload(path)).text
        for more in ("/v1/trends", "/v1/map", "/v1/clusterings", "/v1/classifiers"):
            bodies += client.get(more).text
        assert str(checkpoint.parent) not in bodies


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/srv/a b is gone", "a b is gone"),
        ("cannot read /home/x/y.pt: denied", "cannot read y.pt: denied"),
        ("at C:\\data\\x.db; retry", "at x.db; retry"),
        ("see https://host/a/b and --model acoustic", "see https://host/a/b and --model acoustic"),
        ("1/2 of it and/or more", "1/2 of it and/or more"),
        ("~/calls/x.wav", "x.wav"),
        ("('/a/b/c')", "('c')"),
        ("/srv/My Calls/secret folder/z.wav: boom", "z.wav: boom"),
        (
            "clip 1 has no embedding of /srv/secret models/tuned/m.pt; fill",
            "clip 1 has no embedding of m.pt; fill",
        ),
    ],
)
def test_paths_are_cut_from_details(text: str, expected: str):
    assert without_paths(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("choose another, or replace it (--replace)", "choose another, or replace it (replace)"),
        ("choose --exclude-same recording", "choose exclude_same recording"),
        (
            "none; label by: emotion-search label --task x y",
            "none; label by: PUT /v1/clips/CLIP/labels/TASK",
        ),
        (
            "no clustering x; list them with: emotion-search cluster --list",
            "no clustering x; list them with: GET /v1/clusterings",
        ),
        (
            "no speech; emotion-search ingest --segments fixed takes it anyway",
            "no speech; emotion-search ingest --segments fixed takes it anyway",
        ),
        (
            "it knows no texts (emotion-search reembed moves an archive); see --text",
            "it knows no texts (POST /v1/jobs with kind reembed moves an archive); see text",
        ),
        ("a--b stays, as does -- alone", "a--b stays, as does -- alone"),
    ],
)
def test_details_name_fields_and_routes_where_messages_name_options_and_commands(
    text: str, expected: str
):
    assert answered(text) == expected


def test_every_answer_has_a_request_id(reading: TestClient):
    own = reading.get("/healthz", headers={"X-Request-ID": "call-17.a_b:c"})
    assert own.headers["x-request-id"] == "call-17.a_b:c"
    for odd in ("", "a b", "x" * 65, "a\tb", b"\xff", "<script>"):
        made = reading.get("/nowhere", headers={"X-Request-ID": odd})
        assert re.fullmatch("[0-9a-f]{32}", made.headers["x-request-id"])


def test_an_unexpected_error_is_a_problem_with_an_id(client: TestClient, monkeypatch):
    def broken(*_: object):
        raise RuntimeError("secret")

    monkeypatch.setattr("emotion_search.engine.library.library.Library.tasks", broken)
    answer = client.get("/v1/tasks", headers={"X-Request-ID": "mine"})
    assert_problem(answer, 500, "unexpected")
    assert answer.headers["x-request-id"] == "mine"
    assert "secret" not in answer.text


def test_large_answers_are_compressed_and_audio_is_not(reading: TestClient):
    zipped = {"Accept-Encoding": "gzip"}
    clips = reading.get("/v1/clips", headers=zipped)
    assert clips.headers["content-encoding"] == "gzip"
    assert len(clips.json()["data"]) == 12
    assert "content-encoding" not in reading.get("/v1/clips/1/audio", headers=zipped).headers
    assert "content-encoding" not in reading.get("/v1/clips/1/embedding", headers=zipped).headers
    assert "content-encoding" not in reading.get("/healthz", headers=zipped).headers


def test_pages_of_other_origins_only_where_told(voices_settings: Settings):
    asked = {"Origin": "https://desk.example", "Access-Control-Request-Method": "POST"}
    with TestClient(create_app(voices_settings)) as client:
        refused = client.options("/v1/search", headers=asked)
        assert_problem(refused, 403, "forbidden")
        assert "access-control-allow-origin" not in refused.headers
    settings = voices_settings.model_copy(update={"cors_origins": "https://desk.example, http://b"})
    with TestClient(create_app(settings)) as client:
        allowed = client.options("/v1/search", headers=asked)
        assert allowed.headers["access-control-allow-origin"] == "https://desk.example"
        answer = client.get("/v1/stats", headers={"Origin": "https://desk.example"})
        assert answer.status_code == 200
        assert "x-request-id" in answer.headers["access-control-expose-headers"].lower()
        evil = {"Origin": "https://evil.example"}
        assert_problem(client.get("/v1/stats", headers=evil), 403, "forbidden")
        preflight = client.options("/v1/search", headers={**asked, **evil})
        assert_problem(preflight, 403, "forbidden")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),  # a picture or a form: no Origin is sent with it
        ({"Sec-Fetch-Site": "same-site"}, 403),  # of another port
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://testserver"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://desk.example"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, 403),
    ],
)
def test_what_pages_of_other_sites_send_is_refused(
    voices_settings: Settings, headers: dict[str, str], status: int
):
    settings = voices_settings.model_copy(update={"cors_origins": "https://desk.example"})
    with TestClient(create_app(settings)) as client:
        assert client.post("/v1/search", json={"clip": 1}, headers=headers).status_code == status
        assert client.get("/v1/clips/1/audio", headers=headers).status_code == status
        assert client.get("/healthz", headers=headers).status_code == 200


def test_other_origins_may_load_what_the_maps_frame_is_made_of_and_nothing_else(
    reading: TestClient,
):
    policy = "cross-origin-resource-policy"
    for path in ("/v1/stats", "/v1/clips/1/audio", "/", "/assets/js/search.js", "/healthz", "/no"):
        assert reading.get(path).headers[policy] == "same-origin"
    for path in ("/assets/plotly.min.js", "/assets/map/frame.js"):
        assert reading.get(path).headers[policy] == "cross-origin"


def test_metrics_count_answers_by_route(client: TestClient):
    for clip in (1, 2, 99):
        client.get(f"/v1/clips/{clip}")
    client.get("/v1/nothing/here")
    client.request("BREW", "/v1/stats")
    client.post("/v1/search", json={"clip": 1})
    text = client.get("/metrics").text
    ok = 'emotion_search_requests_total{method="GET",route="/v1/clips/{clip}",status="200"} 2.0'
    assert ok in text
    assert 'route="/v1/clips/{clip}",status="404"} 1.0' in text
    assert 'method="GET",route="(none)",status="404"} 1.0' in text
    assert 'method="other"' in text
    assert "nothing" not in text
    assert "emotion_search_index_clips 12.0" in text
    assert 'request_seconds_bucket{le="0.001",method="POST",route="/v1/search"}' in text
    age = re.search(r"^emotion_search_index_age_seconds (\S+)$", text, re.MULTILINE)
    assert 0 <= float(age[1]) < 60


def test_ready_means_ready(tmp_path: Path, voices: Path, impatient: None):
    settings = Settings(home=tmp_path / "home", model="acoustic")
    with TestClient(create_app(settings)) as client:
        assert client.get("/readyz").status_code == 200
        client.app.state.library.database.migrate("base")
        body = assert_problem(client.get("/readyz"), 503, "database-unavailable")
        assert str(tmp_path) not in str(body)
        assert client.get("/healthz").status_code == 200
        client.app.state.library.database.migrate()
        assert client.get("/readyz").status_code == 200
        client.app.state.jobs.end_soon()
        assert_problem(client.get("/readyz"), 503, "ending")
        assert_problem(client.post(WAIT, files=upload(voices / "anger-0.wav")), 503, "ending")


def test_what_a_sender_has_already_is_not_sent_again(reading: TestClient):
    files = ("/v1/recordings/1/audio?start=0.2", "/v1/clips/1/audio", "/v1/clips/1/embedding")
    for path in (*files, "/v1/clips", "/v1/recordings", "/v1/stats", "/v1/trends", "/v1/jobs"):
        first = reading.get(path)
        assert first.headers["cache-control"] == "private, no-cache"  # it may be erased
        again = reading.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert again.headers["vary"] == "Accept-Encoding"  # RFC 9110, section 15.4.5


def test_a_detail_is_in_the_words_of_the_api(reading: TestClient):
    wrong = assert_problem(reading.get("/v1/clips", params={"after": "7"}), 422)
    assert wrong["detail"].startswith("query.after: give a moment as ISO 8601")
    unknown = assert_problem(reading.get("/v1/clusterings/none"), 404)
    assert unknown["detail"].endswith("list them with: GET /v1/clusterings")


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"after": "2026-02-01", "before": "2026-02-01"}, "after and before"),
        ({"min_duration": 5, "max_duration": 4.9}, "min_duration and max_duration"),
        ({"min_arousal": 0.5, "max_arousal": 0.1}, "min_arousal and max_arousal"),
        ({"min_valence": 0.5, "max_valence": 0.1}, "min_valence and max_valence"),
        ({"source": ["a", " "]}, "source has a blank value"),
        ({"speaker": [""]}, "speaker has a blank value"),
    ],
)
def test_filters_that_no_clip_could_pass_are_refused(reading: TestClient, asked: dict, named: str):
    for answer in (
        reading.get("/v1/clips", params=asked),
        reading.post("/v1/search", json={"clip": 1, **asked}),
        reading.post("/v1/alerts", json={"name": "x", "rule": "angry>0.3", **asked}),
    ):
        assert named in assert_problem(answer, 422, "invalid-input")["detail"]
    ends = {"min_duration": 1, "max_duration": 1, "after": "2026-02-01", "before": "2026-02-02"}
    assert reading.get("/v1/clips", params=ends).status_code == 200


def test_a_parameter_that_is_not_known_is_refused(reading: TestClient, tmp_path: Path):
    for path in ("/v1/stats", "/v1/labels", "/v1/clips/1", "/v1/recordings/1/audio", "/v1/map"):
        body = assert_problem(reading.get(path, params={"strat": 1}), 422, "invalid-request")
        assert body["errors"][0]["where"] == "query.strat"
    path = write_wav(tmp_path / "x.wav", tone(1.0))
    assert_problem(reading.post("/v1/recordings?wiat=true", files=upload(path)), 422)
    assert reading.get("/v1/jobs").json()["data"] == []
    assert reading.get("/healthz?x=1").status_code == 200
    assert reading.get("/?x=1").status_code == 200  # a page's links may carry anything


def test_head_is_answered_as_get_without_content(reading: TestClient):
    for path in ("/v1/clips/1", "/v1/clips/1/audio", "/v1/stats", "/healthz", "/", "/v1/clips/99"):
        got, head = reading.get(path), reading.head(path)
        assert head.status_code == got.status_code
        assert head.content == b""
        assert head.headers["content-length"] == got.headers["content-length"]


def test_methods_that_are_there_are_told(reading: TestClient):
    for path, methods in (
        ("/v1/clips/1/labels/a/b", "DELETE, PUT"),
        ("/v1/recordings/1", "DELETE, GET, HEAD"),
        ("/v1/recordings", "GET, HEAD, POST"),
    ):
        answer = reading.patch(path)
        assert_problem(answer, 405, "method-not-allowed")
        assert answer.headers["allow"] == methods


def test_a_number_is_no_moment(reading: TestClient):
    for text in ("0", "1793000000000", "1.5", " 7 "):
        assert_problem(reading.get("/v1/clips", params={"after": text}), 422, "invalid-request")
        asked = {"clip": 1, "after": float(text)}
        assert_problem(reading.post("/v1/search", json=asked), 422, "invalid-request")
    for text in ("2026-11-21", "2026-11-21T10:00:00", "2026-11-21T10:00:00+02:00"):
        assert reading.get("/v1/clips", params={"after": text}).status_code == 200


def test_what_is_missing_is_named(reading: TestClient):
    for path in ("/v1/clips/999/embedding", "/v1/clips/999/audio", "/v1/clips/999"):
        assert assert_problem(reading.get(path), 404)["detail"] == "no clip 999 in this archive"
    body = assert_problem(reading.get("/v1/recordings/1/audio?start=1&end=0.5"), 404)
    assert "start must come before end" in body["detail"]
    asked = {"positive": [{"recording": 1, "channel": 3}]}
    body = assert_problem(reading.post("/v1/search", json=asked), 422)
    assert "no clip of channel 3 between 0 s and its end" in body["detail"]


def test_tasks_may_have_slashes_in_their_names(client: TestClient):
    for path in ("/v1/clips/1/labels/voice/quality", "/v1/clips/1/labels/voice%2Fquality"):
        answer = client.put(path, json={"value": "clear"})
        assert answer.json()["labels"]["voice/quality"] == "clear"
        assert "voice/quality" not in client.delete(path).json()["labels"]


def test_a_server_that_is_older_than_the_database_is_not_ready_and_serves_what_it_can(
    voices_archive: Template, tmp_path: Path, caplog
):
    settings = Settings(home=tmp_path / "home", model="acoustic")
    voices_archive.place(settings)
    with TestClient(create_app(settings)) as client:
        with client.app.state.library.database.write() as session:
            session.execute(sqlalchemy.text("UPDATE alembic_version SET version_num = '9999'"))
        assert_problem(client.get("/readyz"), 503, "database-unavailable")
        assert "was written by a newer emotion-search (9999" in caplog.text
        assert client.post("/v1/search", json={"clip": 1}).status_code == 200
