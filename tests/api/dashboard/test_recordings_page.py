"""All recordings in a browser: as they come, by name, in order, exported, erased."""

import csv
import io
from pathlib import Path

import httpx
import pytest

from emotion_search.engine.audio.synthetic_voices import speak
from tests.api.dashboard.conftest import Visit
from tests.conftest import write_wav

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def expect(browser):
    from playwright.sync_api import expect

    return expect


def test_recordings_are_found_ordered_exported_and_erased(
    visit: Visit, api: httpx.Client, tmp_path: Path, expect
):
    with visit.page.expect_response("**/v1/events"):
        page = visit.open("/#/recordings?text=SOON")
    expect(page.get_by_text("No recording is like that")).to_be_visible()
    file = write_wav(tmp_path / "gone soon.wav", speak("anger", speaker=77, seed=77))
    sent = {"file": (file.name, file.read_bytes())}
    number = api.post("/v1/recordings?wait=true", files=sent).json()["recording"]
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(1)  # without a reload
    page.get_by_label("File name").fill("")
    page.get_by_label("Order").select_option("longest")
    expect(rows.first).to_contain_text("call.wav")
    page.get_by_label("Select gone soon.wav").check()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Export CSV").click()
    (row,) = csv.DictReader(io.StringIO(saved.value.path().read_text()))
    assert (row["recording"], row["file"]) == (str(number), file.name)
    page.get_by_role("button", name="Erase…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("erases them for good")
    dialog.get_by_role("button", name="Cancel").click()
    assert api.get(f"/v1/recordings/{number}").status_code == 200
    page.get_by_role("button", name="Erase…").click()
    dialog.get_by_role("button", name="Erase", exact=True).click()
    expect(page.get_by_label("Select gone soon.wav")).to_have_count(0)
    assert api.get(f"/v1/recordings/{number}").status_code == 404


def test_all_clips_of_chosen_recordings_get_one_label(visit: Visit, api: httpx.Client, expect):
    page = visit.open("/#/recordings?text=anger")
    page.get_by_label("Select all that are shown").check()
    page.get_by_role("button", name="Label…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Label 3 clips of 3 recordings")
    dialog.get_by_label("Task", exact=True).fill("heat")
    dialog.get_by_label("Label for all").fill("hot")
    dialog.get_by_role("button", name="Label all").click()
    expect(page.locator("#toasts")).to_contain_text("3 clips labelled hot")
    expect(dialog).to_have_count(0)
    labels = api.get("/v1/labels", params={"task": "heat"}).json()["data"]
    for clip in api.get("/v1/clips", params={"limit": 500}).json()["data"]:
        api.delete(f"/v1/clips/{clip['clip']}/labels/heat")  # the archive is other tests', too
    assert labels == [{"name": "hot", "count": 3}]


def test_a_name_cannot_look_like_another_one_nor_push_the_columns_away(
    visit: Visit, api: httpx.Client, expect
):
    found = api.get("/v1/recordings").json()
    found["data"][0]["file"] = "call \u202egnp.wav"
    found["data"][1]["file"] = "x" * 240
    visit.page.route("**/v1/recordings?*", lambda route: route.fulfill(json=found))
    page = visit.open("/#/recordings")
    expect(page.locator("tbody a").first).to_have_text("call \ufffdgnp.wav")
    table = page.get_by_role("region", name="Recordings")
    assert table.evaluate("(one) => one.scrollWidth <= one.clientWidth")
