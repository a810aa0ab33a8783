"""Trends over HTTP: the same as those of the library."""

import pytest
from fastapi.testclient import TestClient

from emotion_search.engine.api.app import create_app
from emotion_search.engine.library.library import Library
from emotion_search.engine.settings import Settings
from tests.api.test_api import assert_problem


def test_a_recordings_trend(client: TestClient, settings: Settings):
    body = client.get("/v1/recordings/1/trend?smooth=5").json()
    assert (body["recording"], body["file"]) == (1, "anger-0.wav")
    (channel,) = body["channels"]
    with Library.open(settings) as library:
        ours = library.trend(1).channels[0]
    assert channel["share"] == pytest.approx(ours.share)
    assert channel["uncertain"] == pytest.approx(1 - sum(ours.share.values()))
    assert body["min_confidence"] == 0.4
    assert len(channel["points"]["time"]) == len(ours.times)
    assert sum(channel["mean"].values()) == pytest.approx(1, abs=1e-4)


def test_the_archives_trend(client: TestClient):
    body = client.get("/v1/trends?by=month&source=field&alert=angry%3E0").json()
    assert [one["period"] for one in body["data"]] == ["2026-01", "2026-02", "2026-03"]
    assert [one["recordings"] for one in body["data"]] == [2, 2, 2]
    assert body["alarmed"] == any(one["emotions"]["angry"]["share"] > 0 for one in body["data"])
    for one in body["data"]:
        shares = [*one["emotions"].values(), one["uncertain"]]
        assert sum(s["share"] for s in shares) == pytest.approx(1, abs=1e-4)
        assert all(s["low"] <= s["share"] <= s["high"] for s in shares)


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/v1/recordings/99/trend", 404, "not-found"),
        ("/v1/recordings/0/trend", 422, "invalid-request"),
        ("/v1/recordings/1/trend?smooth=0", 422, "invalid-request"),
        ("/v1/recordings/1/trend?smoth=1", 422, "invalid-request"),
        ("/v1/trends?by=year", 422, "invalid-request"),
        ("/v1/trends?alert=bored%3E0.1", 404, "not-found"),
        ("/v1/trends?alert=%00", 422, "invalid-request"),
        ("/v1/trends?alert=" + "+" * 251, 422, "invalid-request"),
    ],
)
def test_wrong_requests_are_problems(either: TestClient, path, status, kind):
    assert_problem(either.get(path), status, kind)


def test_an_empty_archive_has_no_trend(settings: Settings):
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        assert_problem(client.get("/v1/trends"), 404, "not-found")
