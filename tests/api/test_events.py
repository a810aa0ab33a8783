"""The archive's events: one look a second for all who listen."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from emotion_search import Library
from emotion_search.engine.client.client import Client
from emotion_search.engine.service.pulse import Pulse
from emotion_search.engine.settings import Settings
from tests.api.conftest import served
from tests.conftest import awaited
from tests.templates import Template


@pytest.fixture
def service(tmp_path: Path, voices_archive: Template) -> Iterator[tuple[str, Settings]]:
    """A service in a process of its own: its address, and its settings."""
    settings = Settings(home=tmp_path, model="acoustic")
    voices_archive.place(settings)
    with served(tmp_path) as server:
        yield server.address, settings


def test_what_another_process_changes_is_told(service):
    address, settings = service
    with Client(address) as client, Library.open(settings) as library:
        revisions = client.changes()
        first = next(revisions)
        library.label([(1, "emotion", "calm")])
        labelled = next(revisions)
        library.forget(2)
        assert len({first, labelled, next(revisions)}) == 3
        assert client.stats().recordings == 11
        again = {"last-event-id": first}
        with httpx.stream("GET", f"{address}/v1/events", headers=again) as answer:
            lines = answer.iter_lines()
            assert next(lines).startswith("id: ")
            assert answer.headers["content-type"].startswith("text/event-stream")
        assert httpx.head(f"{address}/v1/events").status_code == 200


def test_all_who_listen_share_a_look_and_the_last_one_ends_it():
    looks = 0

    async def read() -> str:
        nonlocal looks
        looks += 1
        return "1-1-0-0"

    async def listen(pulse: Pulse) -> str | None:
        async with pulse:
            assert await pulse.other_than(None, patience=5) == "1-1-0-0"
            return await pulse.other_than("1-1-0-0", patience=0.05)

    async def all_of_them() -> Pulse:
        pulse = Pulse(read)
        assert await asyncio.gather(*(listen(pulse) for _ in range(50))) == ["1-1-0-0"] * 50
        return pulse

    pulse = awaited(all_of_them())
    assert (looks, pulse.listeners, pulse.latest) == (1, 0, None)
