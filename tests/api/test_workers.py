"""Workers of one server: all answer, what they count is added up, dead ones are replaced."""

import os
import re
import signal
from pathlib import Path

import httpx
import pytest

from emotion_search.engine.settings import Settings
from tests.api.serving import Served, served
from tests.conftest import eventually

pytestmark = pytest.mark.slow


def workers(server: Served) -> list[int]:
    """Process ids of a server's workers that serve."""
    started = re.findall(r"Started server process \[(\d+)\]", server.log.read_text())
    return [int(number) for number in started if Path(f"/proc/{number}").exists()]


def searches(server: Served, number: int) -> None:
    """Searches on connections of their own, all answered."""
    for clip in range(1, number + 1):
        found = httpx.post(f"{server.address}/v1/search", json={"clip": clip})
        assert found.status_code == 200, found.text


def test_workers_share_a_port_add_up_and_are_replaced(voices_settings: Settings):
    home = voices_settings.home
    with served(home, "--workers", "2") as server:
        eventually(lambda: server.log.read_text().count("startup complete") == 2)
        first = workers(server)
        assert len(first) == 2
        searches(server, 6)
        text = httpx.get(f"{server.address}/metrics").text
        counted = re.search(r'requests_total{.*"/v1/search",status="200"} (\S+)', text)
        assert counted is not None
        assert float(counted[1]) == 6
        os.kill(first[0], signal.SIGKILL)
        eventually(lambda: len(set(workers(server)) - set(first)) == 1)
        eventually(lambda: server.log.read_text().count("startup complete") == 3)
        searches(server, 6)
        last = workers(server)
        assert server.end() == 0
        eventually(lambda: not any(Path(f"/proc/{number}").exists() for number in last))


def test_workers_end_with_the_process_that_began_them(voices_settings: Settings):
    home = voices_settings.home
    with served(home, "--workers", "2") as server:
        eventually(lambda: server.log.read_text().count("startup complete") == 2)
        both = workers(server)
        server.end(kill=True)
        eventually(lambda: not any(Path(f"/proc/{number}").exists() for number in both))
