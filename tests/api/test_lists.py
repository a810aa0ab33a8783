"""Recordings by file name and in order; many labelled and erased at once; counts."""

import pytest
from fastapi.testclient import TestClient

from emotion_search.engine.api.wire.clips import model_name
from tests.api.conftest import assert_problem


def ids(client: TestClient, **query: object) -> list[int]:
    return [one["recording"] for one in client.get("/v1/recordings", params=query).json()["data"]]


def test_recordings_are_found_by_file_name_and_counted(either: TestClient):
    page = either.get("/v1/recordings", params={"file": "ANGER", "limit": 2}).json()
    assert [one["file"][:5] for one in page["data"]] == ["anger", "anger"]
    assert page["total"] == 3
    rest = either.get("/v1/recordings", params={"file": "anger", "cursor": page["next"]}).json()
    assert (len(rest["data"]), rest["next"], rest["total"]) == (1, None, 3)
    assert ids(either, file="%") == []


def test_recordings_come_in_the_order_asked_for_a_page_at_a_time(either: TestClient):
    rows = either.get("/v1/recordings").json()["data"]
    latest = sorted(rows, key=lambda one: (one["recorded_at"], -one["recording"]), reverse=True)
    assert ids(either, sort="newest") == [one["recording"] for one in latest]
    first = either.get("/v1/recordings", params={"sort": "newest", "limit": 5}).json()
    assert ids(either, sort="newest", cursor=first["next"]) == ids(either, sort="newest")[5:]
    shares = either.get("/v1/recordings", params={"sort": "share", "emotion": "angry"}).json()[
        "data"
    ]
    assert {one["share"] for one in shares} == {1.0}
    assert {one["share"] for one in rows} == {None}
    longest = sorted(rows, key=lambda one: (-one["duration"], one["recording"]))
    assert ids(either, sort="longest") == [one["recording"] for one in longest]


def test_an_order_without_anything_to_sort_by_is_refused(client: TestClient):
    answer = client.get("/v1/clips", params={"order": "desc"})
    assert_problem(answer, 422, "invalid-request")
    assert "order goes with sort" in answer.json()["detail"]


def test_many_clips_are_labelled_at_once_or_none(client: TestClient):
    asked = [{"clip": 1, "value": "calm"}, {"clip": 2, "value": None}, {"clip": 999, "value": "x"}]
    answer = client.post("/v1/labels", json={"labels": asked})
    assert answer.json() == {"labelled": 2, "unknown": [999]}
    assert client.get("/v1/clips/1").json()["label"] == "calm"
    assert client.get("/v1/clips/2").json()["label"] is None
    wrong = [{"clip": 1, "value": "sad"}, {"clip": 2, "value": " "}]
    assert_problem(client.post("/v1/labels", json={"labels": wrong}), 422)
    assert client.get("/v1/clips/1").json()["label"] == "calm"


def test_many_recordings_are_erased_at_once(client: TestClient):
    answer = client.post("/v1/erasures", json={"recordings": [2, 3, 3, 99]})
    assert answer.json() == {"erased": [2, 3], "unknown": [99]}
    assert_problem(client.get("/v1/recordings/2"), 404)
    assert client.get("/v1/recordings").json()["total"] == 10


def test_statistics_count_what_the_model_scores_highest(either: TestClient):
    stats = either.get("/v1/stats").json()
    clips = either.get("/v1/clips?limit=500").json()["data"]
    names = {clip["emotion"] for clip in clips}
    assert stats["emotions"] == {n: sum(c["emotion"] == n for c in clips) for n in names}
    assert stats["undated"] == 0


@pytest.mark.parametrize(
    ("name", "public"),
    [
        ("/data/tuned", "tuned"),
        ("hf:/data/wavlm@12", "hf:wavlm@12"),
        ("onnx:/data/mine.onnx", "onnx:mine.onnx"),
        ("hf:microsoft/wavlm-large", "hf:microsoft/wavlm-large"),
        ("bands:/data", "bands:/data"),
        ("iic/emotion2vec_base", "iic/emotion2vec_base"),
    ],
)
def test_folders_of_models_are_not_told(name, public):
    assert model_name(name) == public
