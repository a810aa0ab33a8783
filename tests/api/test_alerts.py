"""Alerts and webhooks over HTTP: made, listed, deleted, set off by an upload."""

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from emotion_search.engine.api.app import create_app
from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.service.keys import Scope, create
from emotion_search.engine.settings import Settings
from tests.api.conftest import assert_problem, upload
from tests.conftest import eventually, write_wav
from tests.templates import Template

RULE = {"name": "cross", "rule": "anger > 0%", "measure": "level", "source": ["desk"]}


def test_an_alert_is_set_off_by_an_upload_and_sent_to_a_webhook(client: TestClient, tmp_path: Path):
    made = client.post("/v1/alerts", json=RULE)
    assert made.status_code == 201
    assert (made.json()["rule"], made.json()["state"]) == ("angry>0", "waiting")
    assert made.json()["filters"] == {"source": ["desk"]}
    again = client.post("/v1/alerts", json=RULE)
    assert (again.status_code, again.json()) == (200, made.json())
    assert_problem(client.post("/v1/alerts", json=RULE | {"rule": "sad>0.5"}), 409, "conflict")
    hook = client.post("/v1/webhooks", json={"url": "https://hooks.invalid/x"})
    assert hook.status_code == 201
    assert hook.json()["secret"].startswith("whsec_")
    listed = client.get("/v1/webhooks")
    assert "secret" not in listed.text
    assert_problem(client.post("/v1/webhooks", json={"url": "https://hooks.invalid/x"}), 409)
    assert_problem(client.post("/v1/webhooks", json={"url": "https://10.0.0.1"}), 409, "conflict")
    assert_problem(client.post("/v1/webhooks", json={"url": "ftp://x"}), 422, "invalid-input")

    path = write_wav(tmp_path / "new.wav", speak("anger", speaker=7, seed=3))
    sent = client.post("/v1/recordings?wait=1", files=upload(path), data={"source": "desk"})
    eventually(lambda: client.get("/v1/alerts").json()["data"][0]["state"] != "waiting", 20)
    (alert,) = client.get("/v1/alerts").json()["data"]
    assert [one["recording"] for one in alert["firings"]] == [sent.json()["recording"]]
    assert alert["fired_at"] == alert["checked_at"]
    deliveries = f"/v1/webhooks/{hook.json()['webhook']}/deliveries"
    latest, first = client.get(deliveries).json()["data"]
    fired, ended = sorted((latest, first), key=lambda one: one["event"])  # whichever was first
    assert (fired["event"], ended["event"]) == ("alert.fired", "job.ended")
    assert json.loads(fired["body"])["data"]["firings"] == alert["firings"]
    (one,) = alert["firings"]
    assert (one["low"], one["high"]) == (None, None)
    assert one["uncertain"] in (0, 1)  # a single clip
    page = client.get(deliveries, params={"limit": 1}).json()  # it may have been tried meanwhile
    number = latest["delivery"]
    assert (page["next"], [one["delivery"] for one in page["data"]]) == (number, [number])
    replayed = client.post(f"{deliveries}/{fired['delivery']}/replay")
    assert (replayed.status_code, replayed.json()["message"]) == (202, fired["message"])
    assert_problem(client.post(f"{deliveries}/99/replay"), 404, "not-found")

    for name, kept in (("alerts", alert["alert"]), ("webhooks", hook.json()["webhook"])):
        singular = name.removesuffix("s")
        assert client.delete(f"/v1/{name}/{kept}").json() == {singular: kept}
        assert_problem(client.delete(f"/v1/{name}/{kept}"), 404, "not-found")
        assert client.get(f"/v1/{name}").json() == {"data": []}
    assert_problem(client.get(deliveries), 404, "not-found")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"rule": "angry"}, 422),
        ({"rule": "angry>101%"}, 422),
        ({"rule": "angry<-1%"}, 422),
        ({"rule": "angry>0.\N{FULLWIDTH DIGIT FIVE}"}, 422),
        ({"rule": "bored>0.5"}, 404),
        ({"rule": "uncertain>0.5"}, 422),
        ({"window": "year"}, 422),
        ({"name": " "}, 422),
        ({"sourc": ["x"]}, 422),
    ],
)
def test_rules_that_are_none_are_problems(reading: TestClient, changes: dict, status: int):
    assert_problem(reading.post("/v1/alerts", json=RULE | changes), status)
    assert reading.get("/v1/alerts").json() == {"data": []}


def test_webhooks_are_for_keys_of_admins_and_alerts_for_those_that_write(
    sqlite_settings: Settings, voices_archive: Template
):
    voices_archive.place(sqlite_settings)
    with TestClient(create_app(sqlite_settings)) as client:
        tokens = {
            scope: create(client.app.state.library.database, name=scope, scope=scope)[0]
            for scope in (Scope.READ, Scope.WRITE)
        }
        read, write = ({"authorization": f"Bearer {one}"} for one in tokens.values())
        eventually(lambda: client.get("/v1/alerts").status_code == 401)
        assert client.get("/v1/alerts", headers=read).status_code == 200
        assert_problem(client.post("/v1/alerts", json=RULE, headers=read), 403)
        assert client.post("/v1/alerts", json=RULE, headers=write).status_code == 201
        assert_problem(client.get("/v1/webhooks", headers=write), 403)
        body = {"url": "https://hooks.invalid/x"}
        assert_problem(client.post("/v1/webhooks", json=body, headers=write), 403)
