"""The start page in a browser: what the archive holds, its trend by source, an empty one."""

import re
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


def test_the_archive_is_told_and_its_emotions_over_time_by_source(
    visit: Visit, api: httpx.Client, expect
):
    page = visit.open("/")
    stats = api.get("/v1/stats").json()
    expect(page.locator(".figures")).to_contain_text(str(stats["clips"]))
    expect(page.locator(".chart")).to_have_count(len(stats["classes"]) + 1)
    expect(page.get_by_text(re.compile("Of the latest|No recording turned"))).to_be_visible()
    with page.expect_response("**/v1/trends?*source=*") as asked:
        over = page.get_by_role("region", name="Emotions over time")
        over.get_by_label("Source").select_option(next(iter(stats["sources"])))
    assert asked.value.status == 200
    assert "#/?source=" in page.url
    page.get_by_role("list", name="Labels").get_by_role("button").first.click()
    expect(page.locator(".found .card .label").first).to_be_visible()
    assert "#/search?label=" in page.url


def test_an_empty_archive_leads_to_the_first_recordings(visit: Visit, api: httpx.Client, expect):
    empty = {**api.get("/v1/stats").json(), "recordings": 0, "clips": 0}
    visit.page.route("**/v1/stats", lambda route: route.fulfill(json=empty))
    page = visit.open("/")
    page.get_by_role("link", name="Add the first recordings").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Add recordings")


def test_of_a_model_without_scores_it_is_not_told_that_no_emotion_turned(
    visit: Visit, api: httpx.Client, expect
):
    plain = {**api.get("/v1/stats").json(), "classes": []}
    visit.page.route("**/v1/stats", lambda route: route.fulfill(json=plain))
    turned = visit.open("/").get_by_role("region", name="Turned most")
    expect(turned).to_contain_text("The model gives no emotion scores.")


def test_an_alert_is_kept_set_off_while_the_page_is_open_and_deleted(
    visit: Visit, api: httpx.Client, tmp_path: Path, expect
):
    page = visit.open("/")
    alerts = page.get_by_role("region", name="Alerts")
    alerts.get_by_text("New alert").click()
    alerts.get_by_label("Name").fill("cross")
    alerts.get_by_label("Measure").select_option("level")
    alerts.get_by_label("Per cent").fill("0")
    alerts.get_by_role("button", name="Keep alert").click()
    line = alerts.get_by_role("listitem")
    expect(line).to_contain_text("waits for recordings")
    visit.expect("/v1/alerts")
    alerts.get_by_label("Name").fill("cross")
    alerts.get_by_label("Per cent").fill("5")
    alerts.get_by_role("button", name="Keep alert").click()
    expect(alerts.get_by_text("there is another alert named cross")).to_be_visible()
    expect(alerts.get_by_label("Name")).to_have_value("cross")
    file = write_wav(tmp_path / "cross.wav", speak("anger", speaker=76, seed=76))
    sent = {"file": (file.name, file.read_bytes())}
    number = api.post("/v1/recordings?wait=true", files=sent).json()["recording"]
    expect(line).to_contain_text("raised", timeout=20_000)  # without a reload
    expect(alerts.get_by_label("Name")).to_have_value("cross")
    line.get_by_role("link", name=f"Recording {number}").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("cross.wav")
    page.go_back()
    alerts.get_by_role("button", name="Delete alert cross").click()
    expect(alerts).to_contain_text("No alert is kept")
    api.delete(f"/v1/recordings/{number}")
