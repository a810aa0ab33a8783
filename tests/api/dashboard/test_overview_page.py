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
    turned = page.get_by_role("region", name="Turned most")
    expect(turned).to_contain_text(re.compile("Of the latest|No recording turned"))
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
    expect(line).to_contain_text("raised")  # without a reload
    expect(alerts.get_by_label("Name")).to_have_value("cross")
    line.get_by_role("link", name=f"Recording {number}").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("cross.wav")
    page.go_back()
    alerts.get_by_role("button", name="Delete alert cross").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(line).to_be_visible()
    alerts.get_by_role("button", name="Delete alert cross").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(alerts).to_contain_text("No alert is kept")
    api.delete(f"/v1/recordings/{number}")


def test_a_webhook_is_added_with_its_secret_shown_once_tested_and_deleted(
    visit: Visit, api: httpx.Client, expect
):
    page = visit.open("/")
    page.locator("summary", has_text="Webhooks").click()
    alerts = page.get_by_role("region", name="Alerts")
    alerts.get_by_text("New webhook").click()
    url = alerts.get_by_label("URL")
    visit.expect("/v1/webhooks")
    url.fill("https://10.0.0.1/hook")
    url.press("Enter")
    expect(alerts.get_by_text("10.0.0.1 is no public address")).to_be_visible()
    expect(url).to_have_value("https://10.0.0.1/hook")
    url.fill("https://hooks.invalid/x")
    alerts.get_by_label("a job has ended").uncheck()
    url.press("Enter")
    secret = alerts.get_by_label("Secret", exact=True).locator("input")
    expect(secret).to_have_value(re.compile("^whsec_"))
    alerts.get_by_role("button", name="I have it").click()
    expect(secret).to_have_count(0)
    line = alerts.get_by_role("listitem").filter(has_text="https://hooks.invalid/x")
    expect(line.locator("> small")).to_have_text("an alert is raised")

    line.get_by_role("button", name="Send a test").click()
    sent = line.locator("[data-delivery]")
    expect(sent).to_contain_text("tried again on")  # without a reload
    expect(sent).to_contain_text("it was not sent")
    sent.get_by_role("button", name="Send again").click()
    expect(sent).to_contain_text("on its way")
    line.get_by_role("button", name="Delete webhook").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(alerts).to_contain_text("Nothing is sent anywhere.")
    assert api.get("/v1/webhooks").json() == {"data": []}


def test_an_alert_tells_its_filters_in_the_words_of_the_pages(
    visit: Visit, api: httpx.Client, expect
):
    filters = {"source": ["desk"], "emotion": ["angry"], "after": "2026-05-01", "min_score": 0.5}
    rule = api.post("/v1/alerts", json={"name": "desk", "rule": "sad>30%", **filters}).json()
    try:
        line = visit.open("/").locator("[data-alert] > small").first
        expect(line).to_contain_text("Source: desk · From")
        expect(line).to_contain_text("Heard by the model: anger")
        expect(line).to_contain_text("From: 1 May 2026")
        visit.page.get_by_role("button", name="中文").click()
        expect(line).to_contain_text("来源：desk")
        expect(line).to_contain_text("最低得分：50%")
        visit.page.get_by_text("新建警报").click()
        visit.page.get_by_label("名称").fill("desk")
        visit.expect("/v1/alerts")
        visit.page.get_by_role("button", name="保存警报").click()
        expect(visit.page.get_by_text("已有名为 desk 的另一个警报")).to_be_visible()
    finally:
        api.delete(f"/v1/alerts/{rule['alert']}")
