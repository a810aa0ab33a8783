"""Comparison of clips and files over HTTP."""

from pathlib import Path

from fastapi.testclient import TestClient

from tests.api.conftest import assert_problem


def test_clips_are_compared_as_a_search_does(reading: TestClient):
    found = reading.get("/v1/compare?clip=1&clip=2&clip=5").json()
    assert [one["clip"] for one in found["things"]] == [1, 2, 5]
    asked = {"clip": 1, "limit": 100, "per_recording": 0}
    hits = reading.post("/v1/search", json=asked).json()["hits"]
    by_clip = {hit["clip"]: hit["similarity"] for hit in hits}
    assert found["similarity"][0][0] == 1
    for i, clip in ((1, 2), (2, 5)):
        assert abs(found["similarity"][0][i] - by_clip[clip]) < 1e-4
        assert found["similarity"][i][0] == found["similarity"][0][i]


def test_a_file_is_compared_with_its_own_clip_and_what_is_no_audio_is_named(
    reading: TestClient, voices: Path
):
    clip = reading.get("/v1/clips?limit=1").json()["data"][0]
    content = (voices / clip["file"]).read_bytes()
    files = [("file", ("mine.wav", content)), ("file", ("bad.wav", b"no audio"))]
    found = reading.post("/v1/compare", data={"clip": [clip["clip"]]}, files=files).json()
    assert [(one["clip"], one["file"]) for one in found["things"]] == [
        (clip["clip"], f"clip {clip['clip']}"),
        (None, "mine.wav"),
    ]
    assert found["similarity"][0][1] > 0.999
    assert found["things"][1]["scores"]
    assert [one["file"] for one in found["unusable"]] == ["bad.wav"]
    assert found["unusable"][0]["reason"].startswith("cannot be decoded")


def test_what_cannot_be_compared_is_a_problem(reading: TestClient):
    assert_problem(reading.get("/v1/compare?clip=1"), 422, "invalid-request")
    assert_problem(reading.get("/v1/compare?clip=1&clip=999"), 404, "not-found")
    files = [("file", ("bad.wav", b"no audio"))]
    assert_problem(reading.post("/v1/compare", files=files), 422, "unusable-audio")
