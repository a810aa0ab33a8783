"""Labelling clip after clip in a browser, by keyboard."""

import httpx
import pytest

from tests.api.dashboard.conftest import Visit

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def expect(browser):
    from playwright.sync_api import expect

    return expect


def test_a_key_labels_the_clip_and_leads_to_the_next(visit: Visit, api: httpx.Client, expect):
    page = visit.open("/#/label")
    expect(page.locator(".labels button").nth(1)).to_be_visible(timeout=15_000)
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


def clips_of(api: httpx.Client, clip: int) -> str:
    return f"{api.get(f'/v1/clips/{clip}').json()['recording']}?clip={clip}"
