"""The start page in a browser: what the archive holds, its trend by source, an empty one."""

import re

import httpx
import pytest

from tests.api.dashboard.conftest import Visit

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
        page.get_by_label("Source").select_option(next(iter(stats["sources"])))
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
