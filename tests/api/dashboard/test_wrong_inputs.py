"""What is wrong in a form stands beside the field, and what was typed is kept."""

import pytest

from tests.api.dashboard.conftest import Visit, clip_of

pytestmark = pytest.mark.slow

FIELDS = [
    # page, what is opened first, field, what is typed, the message
    ("/", ["New alert"], "Per cent", "101", "It must be 100 or less."),
    ("/", ["Webhooks", "New webhook"], "URL", "example.com", "Write a whole address"),
    ("/#/search", [], "or clip", "0", "It must be 1 or more."),
    ("/#/search", [], "Metadata", "queue", "Write it as key=value."),
    ("/#/search", [], "Least", "-1", "It must be 0 or more."),
    ("/#/recordings/{recording}", [], "From", "soon", "Write seconds, or minutes and seconds"),
]


@pytest.fixture(autouse=True)
def expect(browser):
    from playwright.sync_api import expect

    return expect


def test_what_cannot_be_is_said_below_the_field_which_keeps_it(visit: Visit, api, expect):
    recording = clip_of(api, source="desk")["recording"]
    sent = []
    visit.page.on("request", lambda one: one.method == "POST" and sent.append(one.url))
    for path, opened, name, typed, message in FIELDS:
        visit.page.goto("about:blank")  # or a field of the page before would do
        page = visit.open(path.format(recording=recording))
        for summary in opened:
            page.locator("summary", has_text=summary).click()
        page.get_by_label(name, exact=True).evaluate("(one) => { one.dataset.field = 'yes'; }")
        field = page.locator("[data-field]")
        before = page.url
        field.fill(typed)
        field.press("Enter")
        field.blur()
        wrong = page.locator(f"#{field.get_attribute('aria-describedby')}")
        expect(wrong).to_contain_text(message)
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(field).to_have_value(typed)
        assert wrong.bounding_box()["y"] >= field.bounding_box()["y"], name
        assert page.url == before, name
        field.press("End")
        field.press("Backspace")
        expect(wrong).to_have_count(0)
    assert sent == []


def test_it_is_said_in_the_language_of_the_page_and_not_of_the_browser(visit: Visit, expect):
    page = visit.open()
    page.get_by_role("button", name="中文").click()
    page.get_by_label("或片段").fill("0")
    page.get_by_label("或片段").press("Enter")
    expect(page.locator("small.why")).to_have_text("不能小于 1。")


def test_a_label_that_is_not_taken_is_kept_and_why_stands_beside_it(visit: Visit, api, expect):
    clip = clip_of(api, source="desk")
    page = visit.open(f"/#/recordings/{clip['recording']}?clip={clip['clip']}")
    visit.expect("/labels/")
    down = {"type": "urn:x:database-busy", "status": 409, "detail": "another writer"}
    page.route("**/labels/*", lambda route: route.fulfill(status=409, json=down))
    field = page.get_by_label("Another label")
    field.fill("weary")
    field.press("Enter")
    expect(page.locator(".desk .why")).to_have_text("Not labelled: another writer")
    expect(field).to_have_value("weary")
    page.unroute("**/labels/*")
    field.press("Enter")
    expect(field).to_have_value("")
    expect(page.locator(".desk .why")).to_have_count(0)
    api.delete(f"/v1/clips/{clip['clip']}/labels/emotion")


def test_a_key_that_is_refused_is_still_there_to_be_mended(visit: Visit, expect):
    refused = {"type": "urn:x:unauthorized", "status": 401, "detail": "send a key"}
    visit.expect("/v1/")
    visit.page.route("**/v1/stats", lambda route: route.fulfill(status=401, json=refused))
    page = visit.open()
    field = page.get_by_role("textbox", name="Key")
    field.fill("es_wrong")
    page.get_by_role("button", name="Use key").click()
    expect(page.get_by_role("heading", name="That key is not in force")).to_be_visible()
    expect(field).to_have_value("es_wrong")
    page.evaluate("sessionStorage.clear()")
