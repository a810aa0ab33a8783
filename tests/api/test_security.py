"""What a stranger may try, and what comes of it."""

import asyncio
import contextlib
import json
import socket
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient
from starlette.exceptions import HTTPException

from emotion_search.engine.api.app import create_app
from emotion_search.engine.api.http.limits import BodyLimit
from emotion_search.engine.audio.workers import Decoders
from emotion_search.engine.settings import Settings
from tests.api.conftest import assert_problem, served, upload
from tests.conftest import command_with

WAIT = "/v1/recordings?wait=true"


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory):
    """A client of a new service that takes recordings of six seconds and examples of three."""
    settings = Settings(
        home=tmp_path_factory.mktemp("limited"),
        model="acoustic",
        max_upload_minutes=0.1,
        max_example_minutes=0.05,
    )
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize(
    "name",
    [
        "../../../../tmp/emotion-search-was-here.wav",
        "/etc/passwd",
        "..\\..\\x.wav",
        "C:\\x.wav",
        "con.wav",
        "a\0b.wav",
        ".locks/x.wav",
        "x" * 1000 + ".wav",
        "x.wav/../../y.wav",
        "-rf.wav",
        "a\r\nSet-Cookie: x=1.wav",
        "\u202egnp.wav",
    ],
)
def test_the_name_of_an_upload_is_never_a_path(limited: TestClient, tmp_path: Path, name: str):
    path = tmp_path / "x.wav"
    soundfile.write(path, np.random.default_rng(len(name)).uniform(-0.1, 0.1, 7000), 16_000)
    answer = limited.post(WAIT, files=upload(path, name))
    assert answer.status_code in (200, 201), answer.text
    shown = answer.json()["clips"][0]["file"]
    assert not set(shown) & set("/\\\0\r\n\u202e")
    assert len(shown) <= 200
    home = limited.app.state.library.settings.home
    kept = {file.parent for file in home.rglob("*") if file.is_file()}
    allowed = {home, home / "uploads", home / "uploads/.locks", home / "uploads/incoming"}
    assert kept <= allowed | {home / "index"} | {
        one for one in kept if home / "index" in one.parents
    }
    assert not Path("/tmp/emotion-search-was-here.wav").exists()


@pytest.mark.parametrize(
    "path",
    [
        "/v1/clips/../../etc/passwd",
        "/v1/clips/..%2f..%2fetc%2fpasswd/audio",
        "/v1/clips/1%00/audio",
        "/v1/recordings/%2e%2e/audio",
        "/v1/clips/1/labels/..%2f..",
        "//etc/passwd",
        "/v1/clips/1;ls/audio",
    ],
)
def test_no_path_leads_out(reading: TestClient, path: str):
    answer = reading.get(path)
    assert answer.status_code in (404, 405, 422)
    assert "root:" not in answer.text


@pytest.mark.slow
@pytest.mark.parametrize("form", ["flac", "opus"])
def test_long_silence_in_a_small_file_is_refused_early(
    limited: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
):
    read, parts = Decoders.read, []

    def counting(*arguments, **options):
        for part in read(*arguments, **options):
            parts.append(part)
            yield part

    monkeypatch.setattr(Decoders, "read", counting)
    path = tmp_path / f"x.{form}"
    options = {"format": "OGG", "subtype": "OPUS"} if form == "opus" else {}
    with soundfile.SoundFile(path, "w", 16_000, 1, **options) as file:
        for _ in range(120):  # twenty minutes
            file.write(np.zeros(160_000, np.float32))
    assert path.stat().st_size < 3e6
    body = assert_problem(limited.post(WAIT, files=upload(path)), 422, "unusable-audio")
    assert "longer than 6 s" in body["detail"]
    body = assert_problem(limited.post("/v1/search", files=upload(path)), 422, "unusable-audio")
    assert "longer than 3 s" in body["detail"]
    assert 0 < len(parts) < 10  # of 120 blocks


def test_filters_are_values_and_no_sql(client: TestClient):
    for text in (
        "' OR 1=1 --",
        "'; DROP TABLE clips; --",
        "%",
        "\\",
        '"',
        "a' UNION SELECT 1",
        ":x",
    ):
        for name in ("source", "label", "speaker", "channel", "emotion"):
            asked = {"clip": 1, "limit": 100, name: [text]}
            assert client.post("/v1/search", json=asked).json()["hits"] == []
            assert client.get("/v1/clips", params={name: text}).json()["data"] == []
            assert client.get("/v1/recordings", params={name: text}).json()["data"] == []
        assert client.get("/v1/clips", params={"metadata": f"{text}={text}"}).json()["data"] == []
        assert client.get("/v1/labels", params={"task": text}).json()["data"] == []
    assert client.get("/v1/stats").json()["clips"] == 12


def test_huge_and_deep_json_is_refused_quickly(reading: TestClient):
    kind = {"content-type": "application/json"}
    deep = '{"positive":' * 20_000 + "1" + "}" * 20_000
    wide = json.dumps({"positive": [{"vector": [1] * 8193}] * 40})
    strange = json.dumps({f"key{i}": i for i in range(50_000)})
    number = '{"clip": ' + "9" * 100_000 + "}"
    nested = '{"clip": 1, "source": ' + "[" * 900 + "]" * 900 + "}"
    began = time.monotonic()
    for body in (deep, wide, strange, number, nested, '{"clip": 1' + " " * 3_000_000 + ","):
        answer = reading.post("/v1/search", content=body, headers=kind)
        assert answer.status_code in (400, 422)
        assert len(answer.content) < 30_000
    assert time.monotonic() - began < 60
    for path in ("/v1/search/batch", "/v1/search"):
        assert_problem(reading.post(path, content=deep, headers=kind), 400, "bad-request")


def test_what_comes_in_headers_does_not_go_out_as_headers(reading: TestClient):
    for name in ("X-Request-ID", "Origin", "If-None-Match", "Range", "Prefer"):
        for ends in (b"\r\n", b"\n", b"\r", "\u010d\u010a".encode()):
            answer = reading.get("/v1/clips/1", headers={name: b"x" + ends + b"Set-Cookie: a=b"})
            assert "set-cookie" not in answer.headers
            assert not {"\r", "\n"} & set("".join(answer.headers.values()))


def exchange(port: int, *parts: bytes, pause: float = 0.0, seconds: float = 20.0) -> bytes:
    """What a server says to these bytes, until it closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        answer = b""
        with contextlib.suppress(ConnectionError):
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
        with contextlib.suppress(ConnectionError):
            while more := connection.recv(65536):
                answer += more
        return answer


@pytest.mark.parametrize(("size", "arrives"), [(40_000, True), (10, False)])
def test_a_body_may_take_longer_that_arrives_at_a_fair_rate(size: int, arrives: bool):
    async def receive() -> dict[str, object]:
        await asyncio.sleep(0.04)
        left.pop()
        return {"type": "http.request", "body": bytes(size), "more_body": bool(left)}

    async def app(_scope, receive, _send) -> None:
        while (await receive())["more_body"]:
            pass

    left = list(range(20))  # 0.8 s in all, where 0.6 s are given
    limit = BodyLimit(app, most=10**9, seconds=0.6)
    refused = contextlib.nullcontext() if arrives else pytest.raises(HTTPException, match="50 kB")
    with refused:
        asyncio.run(limit({"type": "http", "headers": []}, receive, None))
    assert bool(left) is not arrives


@pytest.mark.slow
def test_slow_senders_and_raw_bytes_on_a_real_socket(tmp_path: Path):
    program = command_with("engine.api.http.limits.BODY_S", 2.0)
    with served(tmp_path / "home", program=program) as server:
        head = (
            b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
            b"Content-Type: application/json\r\n\r\n"
        )
        began = time.monotonic()
        answer = exchange(server.port, head + b"{")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"problem:timeout" in answer
        assert time.monotonic() - began < 20
        form = head.replace(b"application/json", b"multipart/form-data; boundary=b").replace(
            b"/v1/search", b"/v1/recordings"
        )
        part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
        began = time.monotonic()
        dripped = exchange(server.port, form + part, *[b"-"] * 20, pause=0.4)
        assert dripped[:13] in (b"HTTP/1.1 408 ", b"")  # a reset may overtake the answer
        assert time.monotonic() - began < 8  # and not after all of them
        smuggled = exchange(
            server.port,
            b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Request-ID: a\r\n b: c\r\n\r\n",
            seconds=7,
        )
        assert smuggled.startswith(b"HTTP/1.1 400")
        assert exchange(server.port, b"\x16\x03\x01nonsense\r\n\r\n").startswith(b"HTTP/1.1 400")
        assert server.process.poll() is None
