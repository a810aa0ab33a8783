"""Metrics: what a server tells Prometheus, also without its database; rules that name metrics."""

import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from emotion_search.engine.service import watch
from emotion_search.engine.service.keys import Scope, create
from tests.api.conftest import assert_problem, upload
from tests.conftest import ROOT, tone, write_wav

MONITORING = ROOT / "docs" / "monitoring"
NAME = re.compile(r"emotion_search_\w+")


def metrics(client: TestClient, **headers: str) -> dict[str, float]:
    """Values by name and labels, as Prometheus has them."""
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    return {
        one.name + "".join(f" {value}" for _, value in sorted(one.labels.items())): one.value
        for family in text_string_to_metric_families(answer.text)
        for one in family.samples
    }


def broken(client: TestClient) -> None:
    client.app.state.library.database.migrate("base")


def look(client: TestClient) -> None:
    client.app.state.metrics._watched[2].check()


def test_they_are_told_while_the_database_is_down(client: TestClient, tmp_path: Path):
    before = metrics(client)
    assert before["emotion_search_database_up"] == 1
    assert 0 <= before["emotion_search_database_seconds"] < 30
    broken(client)
    look(client)
    client.app.state.keys._read_at = float("-inf")
    assert_problem(client.get("/v1/stats"), 503, "database-unavailable")
    after = metrics(client)
    assert after["emotion_search_database_up"] == 0
    assert after["emotion_search_index_clips"] == before["emotion_search_index_clips"] == 12
    client.app.state.library.database.migrate()
    look(client)
    assert metrics(client)["emotion_search_database_up"] == 1


def test_a_database_that_does_not_answer_at_all_is_down(client: TestClient, monkeypatch):
    soon = time.monotonic() + watch._SILENT_S + 1
    monkeypatch.setattr(watch.time, "monotonic", lambda: soon)
    assert metrics(client)["emotion_search_database_up"] == 0


def test_keys_are_asked_for_while_the_database_is_down(client: TestClient):
    token, _ = create(client.app.state.library.database, name="a", scope=Scope.READ)
    client.app.state.keys._read_at = float("-inf")
    assert_problem(client.get("/metrics"), 401)
    broken(client)
    client.app.state.keys._read_at = float("-inf")
    assert_problem(client.get("/metrics"), 401)
    assert metrics(client, Authorization=f"Bearer {token}")


def test_jobs_disk_and_decoders(client: TestClient, tmp_path: Path, monkeypatch):
    before = metrics(client)
    assert before["emotion_search_jobs_failed"] == 0
    assert before["emotion_search_jobs_oldest_seconds"] == 0
    assert before["emotion_search_webhook_oldest_seconds"] == 0
    assert before["emotion_search_webhook_deliveries waiting"] == 0
    assert before["emotion_search_archive_bytes database"] > 50_000
    free, total = (before[f"emotion_search_disk_bytes {state}"] for state in ("free", "total"))
    assert 0 < free < total
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"no audio")
    client.post("/v1/recordings?wait=true", files=upload(bad))
    good = write_wav(tmp_path / "good.wav", tone(1.0))
    client.post("/v1/recordings?wait=true", files=upload(good))
    look(client)
    client.post("/v1/webhooks", json={"url": "https://hooks.invalid/x", "events": ["alert.fired"]})
    client.post("/v1/webhooks/1/test")
    look(client)
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    monkeypatch.setattr(client.app.state.jobs.board, "oldest", lambda: an_hour_ago)
    after = metrics(client)
    assert after["emotion_search_jobs_failed"] == 1
    assert after["emotion_search_jobs_oldest_seconds"] == pytest.approx(3600, abs=60)
    assert after["emotion_search_webhook_deliveries waiting"] == 1
    assert 0 < after["emotion_search_webhook_oldest_seconds"] < 60
    assert after["emotion_search_decoders idle"] >= 1
    assert after["emotion_search_decoders busy"] == 0


def test_alert_rules_and_the_dashboard_name_metrics_that_there_are(client: TestClient):
    client.post("/v1/search", json={"clip": 1})
    there = {name.split(" ")[0] for name in metrics(client)}
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"]
    panels = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
    expressions = [rule["expr"] for rule in rules]
    expressions += [target["expr"] for panel in panels for target in panel["targets"]]
    named = {name for expression in expressions for name in NAME.findall(expression)}
    assert all(NAME.search(expression) for expression in expressions)
    assert named <= there
    shown = {name for panel in panels for t in panel["targets"] for name in NAME.findall(t["expr"])}
    plain = {name for name in there if not name.endswith(("_created", "_sum", "_count"))}
    assert shown == plain  # the dashboard leaves none out
    labels = {word for name in metrics(client) for word in name.split(" ")[1:]}
    assert {"searches", "waiting", "free", "total", "/v1/search"} <= labels
    assert len({rule["alert"] for rule in rules}) == len(rules)


def test_head_is_counted_under_its_route(client: TestClient):
    client.head("/v1/clips/1")
    client.head("/v1/clips/99")
    client.head("/v1/nothing")
    there = metrics(client)
    name = "emotion_search_requests_total HEAD"
    assert there[f"{name} /v1/clips/{{clip}} 200"] == 1
    assert there[f"{name} /v1/clips/{{clip}} 404"] == 1
    assert there[f"{name} (none) 404"] == 1


def test_files_that_every_page_asks_for_are_not_logged(client: TestClient, caplog):
    caplog.set_level("INFO", "emotion_search")
    style = client.get("/").text.split('href="', 2)[1].split('"')[0]
    assert client.get("/docs").status_code == 200
    for path in ("/", "/assets/js/search.js", "/assets/plotly.min.js", style):
        assert client.get(path).status_code == 200, path
    client.get("/assets/no.js")
    client.get("/v1/stats")
    client.get("/static-offline-docs/swagger-ui.css")
    logged = [(one.route, one.status) for one in caplog.records if hasattr(one, "route")]
    assert logged == [("/docs", 200), ("/assets/{name:path}", 404), ("/v1/stats", 200)]
