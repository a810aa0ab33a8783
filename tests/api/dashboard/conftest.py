"""A real browser over a real server: one of each for all tests of the dashboard."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest

from emotion_search.engine.audio.channels import parse_channels
from emotion_search.engine.audio.synthetic_voices import MANNERS, speak
from emotion_search.engine.files.scan import find_audio
from emotion_search.engine.ingest.options import IngestOptions
from emotion_search.engine.library.library import Library
from emotion_search.engine.settings import Settings
from emotion_search.index.database.recordings import Annotations
from tests.api.serving import Served, served
from tests.conftest import RATE, eventually, ingest_voices, write_wav

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]

# Milliseconds for which a page is waited for: beside other tests a minute of speech takes several
# times as long to analyse, and what never comes fails all the same.
PATIENCE = 60_000

# Remembers what is played, for the tests to look at.
_RECORD_PLAYED = """
window.played = [];
const play = HTMLMediaElement.prototype.play;
HTMLMediaElement.prototype.play = function () { window.played.push(this); return play.call(this); };
"""


class Visit:
    """A page of the dashboard in a tab of its own, and everything that went wrong in it."""

    def __init__(self, context, address: str, *, width: int = 1200, scheme: str = "light"):
        self.address = address
        self.errors: list[str] = []
        self.hosts: set[str] = set()
        self.expected: list[str] = []
        self.page = context.new_page()
        self.page.set_viewport_size({"width": width, "height": 800})
        self.page.emulate_media(color_scheme=scheme)
        self.page.add_init_script(_RECORD_PLAYED)
        self.page.set_default_timeout(PATIENCE)
        self.page.on("console", self._logged)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(_host(request.url)))

    def open(self, path: str = "/#/search"):
        """Go there; the page."""
        self.page.goto(self.address + path)
        return self.page

    def expect(self, *addresses: str) -> None:
        """Say that requests of these addresses will fail, which a browser tells as errors."""
        self.expected += addresses

    def close(self) -> None:
        """End it; nothing may have gone wrong, and nothing may have left this machine."""
        if self.page.url.startswith(self.address):
            self.page.evaluate("localStorage.clear()")
        self.page.close()
        assert self.errors == []
        assert self.hosts <= {_host(self.address), ""}, "a request left the server"

    def _logged(self, message) -> None:
        failed = "Failed to load resource" in message.text
        url = urlsplit(message.location.get("url", "")).path
        known = failed and any(one in url for one in self.expected)
        if message.type == "error" and not known:
            self.errors.append(f"{message.text} ({url})")


def _host(url: str) -> str:
    return urlsplit(url).netloc  # none of blob: and data:


@pytest.fixture(scope="package")  # beyond, its event loop would be in the way
def browser():
    """Debian's chromium, driven by playwright."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine (apt-get install chromium)")
    api.expect.set_options(timeout=PATIENCE)
    with api.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        yield opened.new_context(accept_downloads=True)  # one: what it loaded once it keeps
        opened.close()


@pytest.fixture(scope="package")
def call(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A call of half a minute: one speaker, four manners, pauses between."""
    parts = []
    for emotion in (*MANNERS, *MANNERS):
        spoken = speak(emotion, speaker=5, seed=len(parts), seconds=2.5)
        parts += [spoken, np.zeros(round(1.2 * RATE), np.float32)]
    return write_wav(tmp_path_factory.mktemp("call") / "call.wav", np.concatenate(parts))


@pytest.fixture(scope="package")
def duet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people on a channel each, twelve seconds."""
    sides = [speak("neutral", speaker=speaker, seed=1, seconds=11.9) for speaker in (6, 8)]
    both = np.stack([side[: min(map(len, sides))] for side in sides], axis=1)
    return write_wav(tmp_path_factory.mktemp("duet") / "duet.wav", both)


@pytest.fixture(scope="package")
def server(
    tmp_path_factory: pytest.TempPathFactory, voices: Path, call: Path, duet: Path
) -> Iterator[Served]:
    """A server over an archive of the voices, the call and the duet, with a clustering."""
    home = tmp_path_factory.mktemp("dashboard")
    cut = Settings(home=home, model="acoustic", segments="fixed", window=4)
    with Library.open(cut, create=True) as library:
        ingest_voices(library, voices)
        desk = {str(call): Annotations(source="desk", speaker="caller")}
        library.ingest(find_audio([str(call)], desk).files)
        library.ingest(
            find_audio([str(duet)], {str(duet): Annotations(source="crm/2026")}).files,
            IngestOptions(channels=parse_channels("agent=0,customer=1")),
        )
        library.cluster("voices", k=3)
    with served(home) as process:
        yield process


@pytest.fixture(scope="package")
def api(server: Served) -> Iterator[httpx.Client]:
    """The same archive as programs see it."""
    with httpx.Client(base_url=server.address, timeout=30) as client:
        yield client


@pytest.fixture
def visit(browser, server: Served) -> Iterator[Visit]:
    """A visit to the dashboard, at the width of a desk's screen."""
    made = Visit(browser, server.address)
    yield made
    made.close()


@pytest.fixture
def visits(browser, server: Served) -> Iterator[Callable[..., Visit]]:
    """Makes visits of other widths and themes."""
    made: list[Visit] = []

    def make(**how: object) -> Visit:
        made.append(Visit(browser, server.address, **how))
        return made[-1]

    yield make
    for one in made:
        one.close()


class Held:
    """Requests of a page that wait for the test to let them on: ``routes``, in their order."""

    def __init__(self, page, url: str, method: str):
        self.routes: list = []
        self._page, self._method, self._open = page, method, False
        page.route(url, self._came)

    def _came(self, route) -> None:
        if self._open or route.request.method != self._method:
            route.fallback()
        else:
            self.routes.append(route)

    def came(self, count: int) -> None:
        """Wait for so many of them."""
        eventually(lambda: self._page.wait_for_timeout(20) or len(self.routes) >= count)

    def let(self, count: int | None = None) -> None:
        """Let the first ones on, or all of them and those that are to come."""
        self._open = count is None
        for route in self.routes[:count]:
            route.continue_()
        del self.routes[:count]


def hold(page, url: str, method: str = "GET") -> Held:
    """Hold the page's requests that match."""
    return Held(page, url, method)


def clip_of(api: httpx.Client, **filters: str) -> dict:
    """The first clip that passes the filters."""
    return api.get("/v1/clips", params={**filters, "limit": 1}).json()["data"][0]


def until(page, holds: str) -> None:
    """Wait until an expression holds in the page, whose policy forbids playwright's own way."""
    eventually(lambda: page.evaluate(f"Boolean({holds})"))
