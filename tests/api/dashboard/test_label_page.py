"""Labelling clip after clip in a browser, by keyboard."""

import re

import httpx
import pytest

from tests.api.dashboard.conftest import Visit, hold

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def expect(browser):
    from playwright.sync_api import expect

    return expect


def test_a_key_labels_the_clip_and_leads_to_the_next(visit: Visit, api: httpx.Client, expect):
    page = visit.open("/#/label")
    expect(page.locator(".labels button").nth(1)).to_be_visible()
    shown = page.locator(".sound button.play")
    first = shown.get_attribute("aria-label")
    clip = int(page.locator("h2 a").first.get_attribute("href").rsplit("=", 1)[1])
    name = page.locator(".labels button").first.get_attribute("data-name")
    page.keyboard.press("1")
    expect(page.get_by_text("Labelled here: 1")).to_be_visible()
    assert api.get(f"/v1/clips/{clip}").json()["labels"] == {"emotion": name}
    assert shown.get_attribute("aria-label").removeprefix("Stop") != first.removeprefix("Play")
    page.keyboard.press("b")
    expect(page.locator("h2 a").first).to_have_attribute(
        "href", f"#/recordings/{clips_of(api, clip)}"
    )
    page.keyboard.press("0")
    expect(page.locator(".facts .unlabelled")).to_be_visible()
    assert api.get(f"/v1/clips/{clip}").json()["labels"] == {}
    api.put(f"/v1/clips/{clip}/labels/emotion", json={"value": "boredom"})  # as somebody else does
    expect(page.locator(".facts .label")).to_have_text("boredom")
    api.delete(f"/v1/clips/{clip}/labels/emotion")


def clips_of(api: httpx.Client, clip: int) -> str:
    return f"{api.get(f'/v1/clips/{clip}').json()['recording']}?clip={clip}"


def test_a_classifier_is_trained_or_the_page_says_why_not(visit: Visit, api: httpx.Client, expect):
    clips = [one["clip"] for one in api.get("/v1/clips", params={"limit": 24}).json()["data"]]
    values = ["rare", *["even", "odd"] * 12]
    labels = [{"clip": c, "task": "turn", "value": v} for c, v in zip(clips, values, strict=False)]
    api.post("/v1/labels", json={"labels": labels[:2]})
    page = visit.open("/#/label")
    panel = page.get_by_role("region", name="Classifier")
    page.get_by_label("Task", exact=True).select_option("turn")
    expect(panel).to_contain_text("Classifier2 labels under this task. No classifier")
    panel.get_by_role("button", name="Train a classifier").click()
    expect(panel.get_by_role("status")).to_contain_text("needs two classes")

    visit.expect("/v1/jobs")
    refused = {"type": "urn:x:forbidden", "status": 403, "detail": "scope write is needed"}
    page.route("**/v1/jobs", lambda route: route.fulfill(status=403, json=refused))
    panel.get_by_role("button", name="Train a classifier").click()
    expect(panel.get_by_role("status")).to_contain_text("scope write is needed")
    expect(panel.get_by_role("button", name="Use another key")).to_be_visible()
    page.unroute("**/v1/jobs")

    api.post("/v1/labels", json={"labels": labels})
    panel.get_by_role("button", name="Train a classifier").click()
    expect(panel).to_contain_text("Version 1 knows even, odd and")
    expect(panel).to_contain_text(re.compile(r"UAR \d+ % \(95 % interval \d+ % to \d+ %\)"))
    expect(panel).to_contain_text("Left out, of too few clips or one voice alone: rare (1 clip)")
    training = {"kind": "train", "task": "turn"}
    api.post("/v1/jobs", json=training)  # as another tab does
    expect(panel).to_contain_text("Version 2 knows")
    api.post("/v1/labels", json={"labels": [{**one, "value": None} for one in labels]})
    earlier = visit.open("/#/ingest").get_by_role("region", name="Uploads of the last days")
    with page.expect_response("**/v1/jobs?limit=*"):
        page.reload()
    page.wait_for_timeout(300)
    expect(earlier.get_by_text("train", exact=True)).to_have_count(0)  # that is no upload


def test_no_key_labels_the_clip_before_while_others_are_chosen(visit: Visit, api, expect):
    one = api.get("/v1/suggestions", params={"limit": 1}).json()
    sent: list[str] = []
    visit.page.on("request", lambda asked: asked.method == "PUT" and sent.append(asked.url))
    visit.page.route("**/v1/suggestions?*", lambda route: route.fulfill(json=one))
    page = visit.open("/#/label")
    expect(page.locator(".labels button").nth(1)).to_be_visible()
    more = hold(page, "**/v1/suggestions?*")
    page.keyboard.press("n")
    more.came(1)
    page.keyboard.press("1")
    page.get_by_label("Another label").fill("weary")
    page.get_by_label("Another label").press("Enter")
    page.wait_for_timeout(300)
    assert sent == []
    more.let()


def test_another_task_can_be_taken_up_where_nothing_is_left_to_label(visit: Visit, expect):
    nothing = {"data": []}
    visit.page.route("**/v1/suggestions?task=emotion&*", lambda route: route.fulfill(json=nothing))
    page = visit.open("/#/label")
    expect(page.get_by_text("Nothing is left to label")).to_be_visible()
    page.get_by_label("Another task").fill("tone")
    page.get_by_label("Another task").press("Enter")
    expect(page.locator(".sound button.play")).to_be_visible()


def test_the_agreement_of_two_people_who_label_under_a_task_each_is_shown(
    visit: Visit, api: httpx.Client, expect
):
    clips = [one["clip"] for one in api.get("/v1/clips", params={"limit": 4}).json()["data"]]
    given = {"mood": ["up", "up", "down", "down"], "mood, Ann": ["up", "down", "down", "down"]}
    labels = [
        {"clip": clip, "task": task, "value": value}
        for task, values in given.items()
        for clip, value in zip(clips, values, strict=True)
    ]
    api.post("/v1/labels", json={"labels": labels})
    page = visit.open("/#/label")
    page.get_by_label("Task", exact=True).select_option("mood")
    panel = page.get_by_role("region", name="Agreement")
    panel.get_by_label("mood with").select_option("mood, Ann")
    expect(panel).to_contain_text("4 clips have a label under both; 75 % agree.")
    expect(panel).to_contain_text("Cohen's kappa 0.50")
    fifth = api.get("/v1/clips", params={"limit": 5}).json()["data"][4]["clip"]
    labels.append({"clip": fifth, "task": "mood", "value": "up"})
    api.post("/v1/labels", json={"labels": labels[-1:]})  # while it is looked at
    expect(page.get_by_role("region", name="Classifier")).to_contain_text("5 labels")
    expect(panel.get_by_label("mood with")).to_have_value("mood, Ann")
    api.post("/v1/labels", json={"labels": [{**one, "value": None} for one in labels]})
