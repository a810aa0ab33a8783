"""Connections of the server: what they may cost, and how they end with it."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn

import emotion_search.engine.api.http.connections as module
from emotion_search.engine.api.app import create_app
from emotion_search.engine.api.http.connections import Connection
from emotion_search.engine.api.server import Server
from emotion_search.engine.settings import Settings
from tests.conftest import awaited

HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
FLOOD = b"X-Filler: " + b"x" * 8000 + b"\r\n"


@asynccontextmanager
async def serving(home: Path) -> AsyncIterator[tuple[Server, int]]:
    """A server in this process, and its port."""
    app = create_app(Settings(home=home, model="acoustic"))
    server = Server(uvicorn.Config(app, port=0, log_config=None, http=Connection, ws="none"), app)
    running = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.02)
    try:
        yield server, server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await running


async def response(reader: asyncio.StreamReader, seconds: float = 10.0) -> bytes:
    """All that comes until the server closes."""
    answer = b""
    with contextlib.suppress(ConnectionError):
        while more := await asyncio.wait_for(reader.read(65536), seconds):
            answer += more
    return answer


async def flooded(port: int, *parts: bytes, times: int = 1) -> bytes:
    """What is said to somebody who sends these again and again."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionError):
        for part in parts:
            for _ in range(times if part is FLOOD else 1):
                writer.write(part)
                await writer.drain()
    answer = await response(reader)
    writer.close()
    return answer


def test_those_that_say_nothing_are_let_go(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(module, "_HEAD_S", 0.5)

    async def silent() -> tuple[bytes, float]:
        async with serving(tmp_path / "home") as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost:")
            began = time.monotonic()
            answer = await response(reader)
            writer.close()
            return answer, time.monotonic() - began

    answer, took = awaited(silent())
    assert answer == b""
    assert took < 12


def test_heads_without_end_are_refused(tmp_path: Path):
    async def all_of_them() -> list[bytes]:
        async with serving(tmp_path / "home") as (server, port):
            body = b"POST /v1/search HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
            answers = [
                await flooded(port, HEAD, FLOOD, times=300),
                await flooded(port, b"GET /", b"x" * 2_000_000),
                await flooded(port, body, FLOOD, times=300),
                await flooded(port, HEAD + b"Connection: close\r\n\r\n"),
            ]
            assert not server.server_state.connections
            return answers

    heads, url, trailers, usual = awaited(all_of_them())
    assert heads[:12] in (b"HTTP/1.1 431", b"")  # a reset may overtake the answer
    assert url[:12] in (b"HTTP/1.1 431", b"HTTP/1.1 400", b"")
    assert b" 200 " not in trailers[:20]
    assert usual.startswith(b"HTTP/1.1 200")


def test_bodies_may_be_long_and_come_in_small_chunks(tmp_path: Path):
    async def chunked() -> bytes:
        async with serving(tmp_path / "home") as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            for _ in range(60_000):
                writer.write(b"1\r\n \r\n")
            writer.write(b'b\r\n{"clip": 1}\r\n0\r\n\r\n')
            answer = await response(reader)
            writer.close()
            return answer

    assert b"the archive is empty" in awaited(chunked())


@pytest.mark.slow
@pytest.mark.parametrize("ending", [False, True])
def test_those_that_do_not_read_are_let_go(tmp_path: Path, monkeypatch, ending: bool):
    monkeypatch.setattr(module, "_READ_S", 60.0 if ending else 1.0)

    async def unread() -> float:
        async with serving(tmp_path / "home") as (server, port):
            with socket.socket() as deaf:
                deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                deaf.connect(("127.0.0.1", port))
                deaf.sendall(b"GET /assets/plotly.min.js HTTP/1.1\r\nHost: localhost\r\n\r\n")
                until = time.monotonic() + 30
                while not any(
                    one.transport.get_write_buffer_size() for one in server.server_state.connections
                ):
                    assert time.monotonic() < until
                    await asyncio.sleep(0.05)
                began = time.monotonic()
                server.should_exit = ending
                while server.server_state.connections:
                    assert time.monotonic() < until
                    await asyncio.sleep(0.05)
                return time.monotonic() - began

    assert awaited(unread()) < 25


def test_those_who_go_away_before_the_answer_are_no_fault_of_the_servers(tmp_path: Path, caplog):
    async def gone() -> str:
        async with serving(tmp_path / "home") as (server, port):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
                b"Content-Type: application/json\r\n\r\n{"
            )
            await asyncio.sleep(0.3)
            writer.close()
            until = time.monotonic() + 10
            while 'status="499"' not in (shown := server._app.state.metrics.text().decode()):
                assert time.monotonic() < until
                await asyncio.sleep(0.05)
            return shown

    assert 'status="500"' not in awaited(gone())
    assert "Traceback" not in caplog.text
