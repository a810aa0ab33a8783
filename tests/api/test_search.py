"""Searching by several examples over HTTP."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.client.client import Client
from emotion_search.engine.library.library import Library
from emotion_search.engine.quality import tune
from emotion_search.engine.settings import Settings
from emotion_search.index.vectors.space import Method
from tests.api.conftest import assert_problem, upload
from tests.conftest import write_wav


def ids(answer) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [hit["clip"] for hit in answer.json()["hits"]]


def search(client: TestClient, **asked: object) -> list[int]:
    return ids(client.post("/v1/search", json={"limit": 100, **asked}))


def test_every_kind_of_example_finds_alike(reading: TestClient):
    by_clip = search(reading, clip=3)
    content = reading.get("/v1/clips/3/embedding").content
    vector = np.load(io.BytesIO(content)).tolist()
    assert len(vector) == 256
    recording = reading.get("/v1/clips/3").json()["recording"]
    assert search(reading, positive=[{"clip": 3}]) == by_clip
    assert search(reading, positive=[{"vector": vector}]) == [3, *by_clip]
    assert search(reading, positive=[{"recording": recording, "start": 0.2}]) == by_clip


def test_positive_and_negative_examples_over_every_way_agree(reading: TestClient, voices: Path):
    name = {clip["clip"]: clip["file"] for clip in reading.get("/v1/clips").json()["data"]}
    by_json = search(reading, positive=[{"clip": 1}, {"clip": 2}], negative=[{"clip": 3}])
    files = [
        ("file", (name[1], (voices / name[1]).read_bytes())),
        ("file", (name[2], (voices / name[2]).read_bytes())),
        ("negative_file", (name[3], (voices / name[3]).read_bytes())),
    ]
    by_files = ids(reading.post("/v1/search", files=files, data={"limit": "100"}))
    query = json.dumps({"positive": [{"clip": 2}], "negative": [{"clip": 3}], "limit": 100})
    mixed = ids(reading.post("/v1/search", files=files[:1], data={"query": query}))
    only_query = ids(
        reading.post(
            "/v1/search",
            files={"query": (None, json.dumps({"positive": [{"clip": 1}], "limit": 100}))},
        )
    )
    assert by_json == by_files == mixed
    assert len(by_json) == 9
    assert only_query == search(reading, clip=1)


def test_the_answer_says_whose_baselines_the_examples_take(
    client: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch, voices: Path
):
    monkeypatch.setattr(tune, "FEWEST", 12)
    service = Client(http=client)
    assert service.search(1, limit=1)[0].baselines == []
    with Library.open(settings) as library:
        library.tune(method=Method.BASELINE)
    studio = {
        "level": "source",
        "source": "studio",
        "speaker": None,
        "recording": None,
        "channel": None,
    }
    assert [one.model_dump() for one in service.search(1, limit=1)[0].baselines] == [studio]
    file = upload(
        write_wav(voices.parent / "new.wav", speak("anger", speaker=0, seed=9, seconds=1.0))
    )
    named = client.post("/v1/search", files=file, data={"example_source": "studio"}).json()
    assert {json.dumps(hit["baselines"]) for hit in named["hits"]} == {json.dumps([studio])}
    (unknown,) = client.post("/v1/search", files=file).json()["hits"][0]["baselines"]
    assert unknown["level"] == "nearest source"


def test_per_recording_and_exact_are_taken(fixed_windows, client: TestClient, tmp_path: Path):
    long = np.concatenate([speak("anger", speaker=7, seed=i, seconds=4.0) for i in range(8)])
    path = write_wav(tmp_path / "long.wav", long)
    wait = "/v1/recordings?wait=true"
    recording = client.post(wait, files=upload(path)).json()["recording"]

    def of_it(**asked: object) -> int:
        answer = client.post("/v1/search", json={"clip": 1, "limit": 100, **asked})
        return [hit["recording"] for hit in answer.json()["hits"]].count(recording)

    assert of_it() == of_it(per_recording=1) == 1
    assert of_it(per_recording=2) == 2
    assert of_it(per_recording=0) > 2
    assert of_it(exact=True) == 1


def test_a_batch_answers_each_query_for_itself(reading: TestClient):
    queries = [
        {"clip": 1, "limit": 3},
        {"clip": 999},
        {"positive": [{"clip": 2}], "limit": 2},
        {"positive": [{"vector": [1, 2]}]},
        {},
    ]
    answer = reading.post("/v1/search/batch", json={"queries": queries})
    assert answer.status_code == 200
    first, second, third, *misfits = answer.json()["results"]
    for one, where in zip(misfits, ("256", "positive example"), strict=True):
        assert one["problem"]["type"] == "urn:emotion-search:problem:invalid-input"
        assert where in one["problem"]["detail"]
    assert first["answer"] == reading.post("/v1/search", json=queries[0]).json()
    assert first["problem"] is None
    assert second["answer"] is None
    assert second["problem"]["type"] == "urn:emotion-search:problem:not-found"
    assert len(third["answer"]["hits"]) == 2


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        ({"positive": []}, "invalid-input"),
        ({"negative": [{"clip": 1}]}, "invalid-input"),
        ({"clip": 1, "exact": 0}, "invalid-request"),
        ({"positive": [{}]}, "invalid-request"),
        ({"positive": [{"clip": 1, "recording": 1}]}, "invalid-request"),
        ({"positive": [{"clip": "1"}]}, "invalid-request"),
        ({"positive": [{"clip": True}]}, "invalid-request"),
        ({"positive": [{"clip": 1}] * 101}, "invalid-request"),
        ({"positive": [{"recording": 1, "start": -1}]}, "invalid-request"),
        ({"positive": [{"recording": 1, "start": 5, "end": 1}]}, "invalid-input"),
        ({"positive": [{"recording": 1, "start": 500}]}, "invalid-input"),
        ({"positive": [{"vector": []}]}, "invalid-request"),
        ({"positive": [{"vector": [1, 2]}]}, "invalid-input"),
        ({"positive": [{"vector": [0] * 256}]}, "invalid-input"),
        ({"positive": [{"vector": ["x"] * 256}]}, "invalid-request"),
        ({"clip": 1, "per_recording": -1}, "invalid-request"),
        ({"clip": 1, "distinct": 2}, "invalid-request"),
        ({"clip": 1, "exact": "maybe"}, "invalid-request"),
        ({"clip": 1, "min_score": 2}, "invalid-request"),
    ],
)
def test_examples_that_make_no_sense_are_problems(reading: TestClient, asked: dict, kind: str):
    assert_problem(reading.post("/v1/search", json=asked), 422, kind)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_problems(reading: TestClient, number: str):
    body = '{"positive": [{"vector": [' + ",".join([number] * 256) + "]}]}"
    answer = reading.post("/v1/search", content=body, headers={"content-type": "application/json"})
    assert_problem(answer, 422)


def test_forms_that_make_no_sense_are_problems(reading: TestClient, voices: Path):
    file = upload(voices / "anger-0.wav")
    for data in ({"query": "{"}, {"query": "{}", "limit": "3"}, {"query": '{"colour": 1}'}):
        assert_problem(reading.post("/v1/search", files=file, data=data), 422)
    text = {"file": (None, "no file"), "other": (None, "x")}
    assert_problem(reading.post("/v1/search", files=text), 422)
    many = [("file", ("x.wav", b"x"))] * 17
    assert_problem(reading.post("/v1/search", files=many), 400, "bad-request")
    assert_problem(reading.post("/v1/search/batch", files=file), 415)
    assert_problem(reading.post("/v1/search/batch", json={"queries": []}), 422)
    assert_problem(reading.post("/v1/search/batch", json={"queries": [{"clip": 1}] * 51}), 422)


def test_a_query_may_be_sent_as_browsers_send_a_blob(reading: TestClient):
    query = ("blob", json.dumps({"clip": 1, "limit": 3}).encode(), "application/json")
    answer = reading.post("/v1/search", files={"query": query})
    assert ids(answer) == search(reading, clip=1)[:3]


def test_a_field_that_is_sent_twice_is_refused(reading: TestClient, voices: Path):
    file = upload(voices / "anger-1.wav")
    body = assert_problem(
        reading.post("/v1/search", files=file, data={"limit": ["1", "2"]}), 422, "invalid-input"
    )
    assert "several parts 'limit'" in body["detail"]
    several = {"label": ["anger", "sadness"], "limit": "50"}
    assert len(ids(reading.post("/v1/search", files=file, data=several))) == 5
