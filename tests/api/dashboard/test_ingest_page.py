"""Adding recordings in a browser: dropped, watched, found; failures with their reasons."""

import re
from pathlib import Path

import httpx
import numpy as np
import pytest

from emotion_search.engine.audio.synthetic_voices import speak
from tests.api.dashboard.conftest import Visit
from tests.api.dashboard.test_search_page import drop
from tests.conftest import write_wav

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def expect(browser):
    from playwright.sync_api import expect

    return expect


def voice(folder: Path, name: str, seed: int) -> Path:
    return write_wav(folder / name, speak("anger", speaker=seed, seed=seed))


def test_dropped_files_are_in_the_archive_once_they_are_done(
    visit: Visit, api: httpx.Client, tmp_path: Path, expect
):
    page = visit.open("/#/ingest")
    page.get_by_label("Source").fill("dropped")
    page.get_by_label("Label", exact=True).fill("anger")
    page.get_by_label("Metadata").fill("queue=billing, team=north")
    drop(page, ".zone", [voice(tmp_path, f"drop{n}.wav", 20 + n) for n in range(3)])
    expect(page.locator(".job.done")).to_have_count(3)
    kept = api.get("/v1/recordings", params={"source": "dropped"}).json()["data"]
    assert sorted(one["file"] for one in kept) == ["drop0.wav", "drop1.wav", "drop2.wav"]
    assert kept[0]["metadata"] == {"queue": "billing", "team": "north"}
    assert kept[0]["labels"] == {"emotion": {"anger": 1}}
    page.locator(".job a").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(r"drop\d.wav"))


def test_calls_are_mixed_with_a_notice_unless_a_channel_is_chosen(
    visit: Visit, api: httpx.Client, tmp_path: Path, expect
):
    sides = np.stack([speak("anger", speaker=n, seed=40) for n in (41, 42)], axis=1)
    page = visit.open("/#/ingest")
    drop(page, ".zone", [write_wav(tmp_path / "both.wav", sides)])
    expect(page.locator(".job.done")).to_contain_text("channels were mixed, since nobody said")
    page.get_by_role("radio", name="By name").check()
    page.get_by_label("Second channel").fill("customer")
    page.get_by_label("Source").fill("second side")
    drop(page, ".zone", [write_wav(tmp_path / "one.wav", sides * 0.9)])
    expect(page.locator(".job.done")).to_have_count(2)
    (clip,) = api.get("/v1/clips", params={"source": "second side"}).json()["data"]
    assert (clip["channel"], clip["channel_name"]) == (1, "customer")
    expect(page.get_by_text("channels were mixed")).to_have_count(1)


def test_a_file_that_fails_says_why_and_can_be_tried_again(visit: Visit, tmp_path: Path, expect):
    bad = tmp_path / "letter.mp3"
    bad.write_bytes(b"dear all" * 100)
    page = visit.open("/#/ingest")
    drop(page, ".zone", [bad, voice(tmp_path, "good.wav", 31)])
    expect(page.locator(".job.failed .why")).to_contain_text("decoded")
    expect(page.locator(".job.done")).to_have_count(1)
    with page.expect_response("**/v1/recordings") as again:
        page.get_by_role("button", name="Try again letter.mp3").click()
    assert again.value.status == 202
    expect(page.locator(".job.failed .why")).to_contain_text("decoded")
    page.reload()
    expect(page.get_by_role("region", name="Uploads of the last days")).to_contain_text(
        "letter.mp3"
    )


def test_bytes_that_are_known_are_said_to_be(visit: Visit, voices: Path, expect):
    page = visit.open("/#/ingest")
    drop(page, ".zone", [voices / "anger-0.wav"])
    expect(page.locator(".job.done")).to_contain_text("was in the archive already")


def test_the_customers_channel_alone_is_taken_in_once_it_is_named(
    visit: Visit, api: httpx.Client, tmp_path: Path, expect
):
    sides = [speak("neutral", speaker=speaker, seed=41)[:16_000] for speaker in (41, 42)]
    pair = write_wav(tmp_path / "pair.wav", np.stack(sides, axis=1))
    page = visit.open("/#/ingest")
    page.get_by_label("Source").fill("pairs")
    page.get_by_label("By name").check()
    drop(page, ".zone", [pair])
    expect(page.locator(".channels .why").first).to_have_text("Name a channel at least.")
    page.get_by_label("Second channel").fill("customer")
    expect(page.get_by_label("Source")).to_have_value("pairs")
    drop(page, ".zone", [pair])
    expect(page.locator(".job.done")).to_have_count(1)
    clips = api.get("/v1/clips", params={"source": "pairs"}).json()["data"]
    assert {(one["channel"], one["channel_name"]) for one in clips} == {(1, "customer")}
