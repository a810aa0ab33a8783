"""Pictures of the dashboard for the docs, of a server that runs over an archive worth showing.

python -m tests.api.dashboard.screenshots http://127.0.0.1:8000 clip.wav other.wav
"""

import io
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tests.api.dashboard.conftest import CHROMIUM
from tests.conftest import ROOT

_QUALITY = 72  # of WebP


@dataclass(frozen=True)
class Shot:
    """A page: its picture's name, its address, what is there once it is whole."""

    name: str
    path: str
    ready: str
    width: int = 1180
    height: int = 860
    scheme: str = "light"
    language: str = "en-GB"
    files: int = 0


def shots(address: str) -> list[Shot]:
    """What the docs show."""
    with httpx.Client(base_url=address) as api:
        turned = api.get("/dashboard/turns").json()["data"][0]
        clip = api.get("/v1/clips", params={"label": "anger", "limit": 1}).json()["data"][0]["clip"]
    call = f"/#/recordings/{turned['recording']}?at={turned['turn']['time']:.0f}"
    ready = ".found canvas[data-ready=yes] >> nth=3"
    return [
        Shot("overview", "/#/?by=month", ".plain-list li >> nth=0", height=1560),
        Shot("search", f"/#/search?clip={clip}", ready),
        Shot("recordings", "/#/recordings?order=longest", "tbody tr >> nth=0"),
        Shot("recording", call, "canvas[data-ready=yes] >> nth=1", height=1100),
        Shot("analyse", "/#/analyse", ".cards .card >> nth=2", height=1000, files=1),
        Shot("compare", "/#/analyse", ".versus .big", files=2),
        Shot("map", "/#/map", "iframe[data-drawn]"),
        Shot("label", "/#/label", ".sound canvas[data-ready=yes]", height=720),
        Shot("add", "/#/ingest", "main section h2 >> nth=1"),
        Shot("dark", "/#/?by=month", ".plain-list li >> nth=0", scheme="dark"),
        Shot("chinese", "/#/?by=month", ".plain-list li >> nth=0", language="zh-CN"),
        Shot("360", call, "canvas[data-ready=yes] >> nth=1", width=360),
    ]


def take(page: Page, address: str, shot: Shot, files: list[str]) -> None:
    """Take one picture, into ``docs/images``."""
    page.goto(address + shot.path)
    if shot.files:
        page.locator("input[type=file]").set_input_files(files[: shot.files])
    page.locator(shot.ready).first.wait_for(timeout=60_000)
    page.wait_for_timeout(1500)  # for what is drawn last
    picture = Image.open(io.BytesIO(page.screenshot()))
    target = Path(ROOT, "docs", "images", f"dashboard-{shot.name}.webp")
    picture.convert("RGB").save(target, quality=_QUALITY, method=6)
    print(target, target.stat().st_size)


def main(address: str, *files: str) -> None:
    """Take all of them."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for shot in shots(address):
            context = browser.new_context(
                locale=shot.language,
                color_scheme="dark" if shot.scheme == "dark" else "light",
                viewport={"width": shot.width, "height": shot.height},
            )
            take(context.new_page(), address, shot, list(files))
            context.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
