"""Analysing a clip in a browser: seen, heard, saved, kept; two side by side."""

import json
import re
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.api.dashboard.conftest import Visit, until

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def expect(browser):
    from playwright.sync_api import expect

    return expect


def test_a_clip_is_analysed_and_compared_with_another(
    visit: Visit, api: httpx.Client, call: Path, voices: Path, tmp_path: Path, expect
):
    page = visit.open("/#/analyse")
    page.get_by_label("Audio files").set_input_files(call)
    predicted = api.post("/v1/predict", files={"file": ("call.wav", call.read_bytes())}).json()
    panel = page.get_by_role("region", name="call.wav")
    expect(panel.get_by_role("list", name="All scores").get_by_role("listitem")).to_have_count(
        len(predicted["scores"])
    )
    expect(panel.locator(".verdict")).to_contain_text(f"{round(100 * predicted['confidence'])} %")
    expect(panel.locator("canvas[data-ready=yes]").first).to_be_visible()
    expect(panel.locator(".cards .card")).to_have_count(6)
    with page.expect_download() as saved:
        panel.get_by_role("button", name="Download embedding.npy").click()
    saved.value.save_as(tmp_path / "embedding.npy")
    embedding = np.load(tmp_path / "embedding.npy")
    assert embedding.dtype == np.float32
    dimension = api.get("/v1/stats").json()["dimension"]
    assert embedding.shape == (dimension,)
    with page.expect_download() as saved:
        panel.get_by_role("button", name="Download result.json").click()
    assert json.loads(saved.value.path().read_text())["scores"] == predicted["scores"]
    panel.get_by_role("button", name="Play", exact=True).click()
    until(page, "window.played.at(-1)?.currentTime > 0.1")
    panel.get_by_label("Scores over time in").select_option("5")
    expect(panel.get_by_label("Scores over time in")).to_be_focused()

    page.get_by_label("Audio files").set_input_files(voices / "anger-0.wav")
    versus = page.get_by_role("region", name="Similarity")
    expect(versus.locator(".big")).to_have_text(re.compile(r"-?\d\.\d{3}"))
    page.get_by_role("link", name="Overview").click()
    page.get_by_role("link", name="Analyse", exact=True).click()
    expect(panel.locator(".verdict")).to_be_visible()  # it is kept while the tab is open
    other = page.get_by_role("region", name="anger-0.wav")
    other.get_by_role("button", name="Keep in archive").click()
    expect(other.get_by_text("was in the archive already")).to_be_visible()
    other.get_by_role("button", name="Remove anger-0.wav").click()
    expect(versus).to_have_count(0)


def test_frames_are_drawn_and_downloaded_of_a_model_that_has_them(
    visit: Visit, api: httpx.Client, voices: Path, expect
):
    file = voices / "anger-0.wav"
    sent = {"file": (file.name, file.read_bytes())}
    analysed = {**api.post("/dashboard/analyse", files=sent).json(), "frames": True}
    frames = [{**analysed["parts"][0], "start": n / 50, "end": (n + 1) / 50} for n in range(40)]
    visit.page.route("**/dashboard/analyse", lambda route: route.fulfill(json=analysed))
    visit.page.route("**/v1/predict", lambda route: route.fulfill(json={"parts": frames}))
    page = visit.open("/#/analyse")
    page.get_by_label("Audio files").set_input_files(file)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download frames.json").click()
    assert json.loads(saved.value.path().read_text()) == frames
    page.get_by_label("Scores over time in").select_option("frame")
    expect(page.get_by_label("Scores over time in")).to_have_value("frame")


def test_a_file_that_is_no_audio_says_so_beside_it(visit: Visit, tmp_path: Path, expect):
    (tmp_path / "letter.mp3").write_bytes(b"dear all" * 100)
    visit.expect("/dashboard/analyse")
    page = visit.open("/#/analyse")
    page.get_by_label("Audio files").set_input_files(tmp_path / "letter.mp3")
    expect(page.get_by_role("region", name="letter.mp3").get_by_role("alert")).to_contain_text(
        "decoded"
    )
