"""The dashboard's files over HTTP, without a browser."""

import ast
import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from pydantic_core._pydantic_core import list_all_errors

from emotion_search.engine.api.dashboard import assets as assets_module
from emotion_search.engine.api.dashboard.assets import assets
from emotion_search.engine.api.dashboard.peaks import MOST, outline
from emotion_search.engine.api.http.problems import answered
from emotion_search.engine.audio.file import AudioFile
from emotion_search.engine.library.library import Library
from emotion_search.engine.trends.curve import Stretch
from emotion_search.index.errors import NotFoundError
from tests.api.conftest import assert_problem
from tests.conftest import ROOT, tone, write_wav


def directives(answer: httpx.Response) -> dict[str, str]:
    policy = answer.headers["content-security-policy"]
    return dict(one.split(" ", 1) for one in policy.split("; "))


def test_the_page_may_run_and_call_nothing_but_its_own_server(reading: TestClient):
    answer = reading.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    rules = directives(answer)
    assert rules["default-src"] == "'none'"
    assert {rules[name] for name in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert rules["frame-ancestors"] == rules["form-action"] == rules["base-uri"] == "'none'"
    assert "unsafe" not in str(rules)
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_only_the_sandboxed_frame_may_compile_and_it_may_call_nobody(reading: TestClient):
    loose = {
        name
        for name in assets()
        if "unsafe" in reading.get(f"/assets/{name}").headers["content-security-policy"]
    }
    assert loose == {"map/frame.html", "map/frame.css", "map/frame.js"}
    rules = directives(reading.get("/assets/map/frame.html"))
    assert rules["connect-src"] == "'none'"
    assert rules["sandbox"] == "allow-scripts"


def test_every_file_is_served_once_and_then_known(reading: TestClient):
    assert {"index.html", "js/app.js", "css/base.css", "icon.svg"} <= assets().keys()
    for name in assets():
        answer = reading.get(f"/assets/{name}")
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-cache"
        known = {"if-none-match": answer.headers["etag"]}
        assert reading.get(f"/assets/{name}", headers=known).status_code == 304


def test_no_file_names_another_server():
    no_requests = {"http://www.w3.org/2000/svg", "https://example.com/hook"}
    for name, asset in assets().items():
        found = re.findall(r"https?://[\w./]+", asset.content.decode())
        assert {*found} <= no_requests, name


def test_plotly_comes_compressed_and_may_be_kept(reading: TestClient):
    answer = reading.get("/assets/plotly.min.js", headers={"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert "max-age=86400" in answer.headers["cache-control"]
    assert "plotly.js" in answer.text[:200]
    plain = reading.get("/assets/plotly.min.js", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.text == answer.text
    with reading.stream("GET", "/assets/plotly.min.js") as packed:
        raw = b"".join(packed.iter_raw())
    assert gzip.decompress(raw).decode() == plain.text


@pytest.mark.parametrize("name", ["../router.py", "%2e%2e/router.py", "js/nothing.js", ""])
def test_nothing_else_is_served(reading: TestClient, name: str):
    assert_problem(reading.get(f"/assets/{name}"), 404)


def blocks(path: Path) -> Iterator[np.ndarray]:
    with AudioFile(path) as file:
        yield from file.blocks()


def test_the_outline_of_a_recording_is_its_loudness(tmp_path: Path):
    sound = np.concatenate([tone(1.0), np.zeros(16_000, np.float32), 2 * tone(1.0)])
    path = write_wav(tmp_path / "x.wav", sound)
    found = np.array(outline(blocks(path), 3.0)) / 255
    thirds = np.array_split(found, 3)
    loudest = np.abs(sound).max()
    assert [part.max() for part in thirds] == pytest.approx([loudest / 2, 0, loudest], abs=0.01)
    assert len(found) == 1500


def test_the_outline_of_a_long_recording_is_bounded_and_whole(tmp_path: Path):
    sound = np.zeros(60 * 8000, np.float32)
    sound[-10] = 0.5
    path = write_wav(tmp_path / "x.wav", sound, rate=8000)
    found = outline(blocks(path), 60.0)
    assert len(found) == MOST
    assert max(found[-10:]) > 60
    with pytest.raises(NotFoundError, match="cannot be drawn"):
        outline(blocks(write_wav(tmp_path / "y.wav", np.zeros(0, np.float32))), 1.0)


def test_an_outline_is_asked_for_by_recording(reading: TestClient):
    answer = reading.get("/dashboard/recordings/1/peaks")
    assert 100 < len(answer.json()["peaks"]) <= MOST
    assert reading.get("/dashboard/recordings/1/peaks").json() == answer.json()
    assert_problem(reading.get("/dashboard/recordings/999999/peaks"), 404, "not-found")
    assert_problem(reading.get("/dashboard/recordings/0/peaks"), 422)


def test_what_only_the_dashboard_needs_is_not_in_the_document(reading: TestClient):
    paths = reading.get("/openapi.json").json()["paths"]
    assert all(path.startswith(("/v1/", "/healthz", "/readyz", "/metrics")) for path in paths)


def test_a_file_is_analysed_as_it_is_predicted_with_its_rank_and_its_windows(
    reading: TestClient, call: Path
):
    file = {"file": ("a.wav", call.read_bytes())}
    answer = reading.post("/dashboard/analyse", files=file, data={"window": "1"}).json()
    predicted = reading.post("/v1/predict", files=file).json()
    assert {name: answer[name] for name in ("emotion", "confidence", "scores")} == {
        name: predicted[name] for name in ("emotion", "confidence", "scores")
    }
    clips = reading.get("/v1/clips", params={"limit": 500}).json()["data"]
    lower = [one["scores"][answer["emotion"]] < answer["confidence"] - 1e-6 for one in clips]
    assert answer["rank"] == pytest.approx(100 * np.mean(lower), abs=100 / len(clips))
    starts = np.array([part["start"] for part in answer["parts"]])
    assert len(starts) > 20
    assert starts % 0.5 == pytest.approx(0)
    assert (answer["duration"], answer["parts"][-1]["end"]) == pytest.approx((29.6, 29.6), abs=3)
    assert answer["frames"] is False
    assert_problem(reading.post("/dashboard/analyse", files=file, data={"window": "0.1"}), 422)


def test_every_text_of_the_pages_has_a_chinese_one_and_no_other_does():
    static = Path(assets_module.__file__).parent / "static" / "js"
    text = '"((?:[^"\\\\]|\\\\.)*)"'
    used = set()
    for file in static.glob("*.js"):
        code = file.read_text()
        used |= set(re.findall(rf"\bt\({text}", code))
        for one, many in re.findall(rf"\bplural\([^\"]*?, {text}(?:, {text})?\)", code):
            used.add(f"{{n}} {many or one + 's'}")
    nouns = re.search(r"const NOUNS = \{(.*)\};", (static / "emotions.js").read_text())
    assert nouns
    emotions = set(re.findall(rf": {text}", nouns[1])) | {"contempt", "neutral", "other"}
    known = re.findall(rf"(?:^  |, ){text}: \"", (static / "words" / "zh.js").read_text(), re.M)
    assert len(known) == len(set(known))
    assert set(known) == used | emotions


def texts_of(folder: Path) -> Iterator[str]:
    """All texts in the code, with ``{}`` for what is put into them."""
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                parts = (
                    one.value if isinstance(one, ast.Constant) else "{}" for one in node.values
                )
                yield "".join(parts)


def test_every_answer_of_the_server_that_is_in_chinese_is_one():
    static = Path(assets_module.__file__).parent / "static" / "js"
    text = '"((?:[^"\\\\]|\\\\.)*)"'
    table = (static / "words" / "zh-server.js").read_text()
    pairs = re.findall(rf"^  {text}: {text},$", table, re.M)
    assert len(pairs) == len(re.findall('^  "', table, re.M)) > 50
    messages = {one["message_template_python"] for one in list_all_errors()}
    for folder in ("engine", "index"):
        messages |= {*texts_of(ROOT / folder)}
    messages |= {answered(one) for one in messages}
    plain = {re.sub(r"(\{\w*\})+|'\{\}'", "{}", one) for one in messages}
    strange = []
    for english, chinese in pairs:
        wanted = re.sub(r"\{\w+\}", "{}", english.removeprefix("{file} "))
        strange += [] if {wanted, f"{{}} {wanted}"} & plain else [english]
        names = re.findall(r"\{\w+\}", english)
        assert len({*names}) == len(names), english
        assert {*re.findall(r"\{\w+\}", chinese)} <= {*names}, english
    assert strange == []


def test_recordings_with_the_angriest_stretch_come_first(
    reading: TestClient, monkeypatch: pytest.MonkeyPatch
):
    def channel(name: str, *heard: tuple[str, float]) -> SimpleNamespace:
        spans = [Stretch(n, n + 1, emotion, {emotion: x}) for n, (emotion, x) in enumerate(heard)]
        return SimpleNamespace(channel_name=name, stretches=spans, turns=())

    trends = {
        1: [channel("agent", ("angry", 0.4)), channel("customer", ("sad", 0.9), ("angry", 0.5))],
        2: [channel("customer", ("Anger", 0.8))],
        3: [channel("customer", ("happy", 0.9))],
    }
    monkeypatch.setattr(
        Library, "trend", lambda _, number: SimpleNamespace(channels=trends.get(number, []))
    )
    found = reading.get("/dashboard/turns").json()["angriest"]
    assert [(one["recording"], one["stretch"]["start"]) for one in found] == [(2, 0), (1, 1)]
    assert found[1]["channel_name"] == "customer"
