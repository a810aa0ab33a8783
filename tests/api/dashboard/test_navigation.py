"""Going about in a browser: focus, the way back, nothing left behind."""

import re

import httpx
import pytest

from tests.api.dashboard.conftest import Visit, clip_of, hold, until
from tests.conftest import eventually

pytestmark = pytest.mark.slow

HITS = ".found .card .likeness"


@pytest.fixture(autouse=True)
def expect(browser):
    from playwright.sync_api import expect

    return expect


def test_a_page_that_is_left_leaves_nothing_behind(visit: Visit, api: httpx.Client, expect):
    (call,) = api.get("/v1/recordings", params={"source": "desk"}).json()["data"]
    page = visit.open("/#/search?per_recording=0&clip=1")
    counts = page.context.new_cdp_session(page)

    def there_and_back() -> int:
        page.evaluate(f"location.hash = '#/recordings/{call['recording']}'")
        expect(page.locator(".labels button").nth(2)).to_be_visible()
        page.evaluate("location.hash = '#/search?per_recording=0&clip=1'")
        expect(page.locator(".found canvas[data-ready=yes]").first).to_be_visible()
        counts.send("HeapProfiler.collectGarbage")
        return counts.send("Memory.getDOMCounters")["nodes"]

    there_and_back()
    before = there_and_back()
    for _ in range(4):
        after = there_and_back()
    assert after < 1.3 * before


def test_the_page_that_is_gone_to_has_the_focus(visit: Visit, expect):
    page = visit.open("/#/search?clip=1")
    link = page.locator(".found .card h3 a").first
    link.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".rows li.current")).to_be_visible()
    expect(page.locator("main")).to_be_focused()


def test_back_leads_to_the_hit_that_was_left(visit: Visit, expect):
    page = visit.open("/#/search?clip=1&per_recording=0")
    expect(page.locator(HITS).nth(15)).to_be_attached()
    link = page.locator(".found .card h3 a").nth(15)
    link.scroll_into_view_if_needed()
    page.wait_for_timeout(100)
    place = page.evaluate("scrollY")
    assert place > 600
    link.click()
    expect(page.locator(".rows li.current")).to_be_visible()
    assert page.evaluate("scrollY") == 0
    page.go_back()
    expect(page.locator(HITS).nth(15)).to_be_attached()
    until(page, f"Math.abs(scrollY - {place}) < 3")
    page.go_forward()
    expect(page.locator(".rows li.current")).to_be_visible()
    until(page, "scrollY === 0")


def test_back_leads_to_all_clips_that_were_browsed(visit: Visit, expect):
    page = visit.open()
    cards = page.locator(".found .card")
    expect(cards).to_have_count(24)
    more = page.get_by_role("button", name="Show more")
    more.focus()
    page.keyboard.press("Enter")
    expect(cards.nth(24)).to_be_attached()
    expect(cards.nth(24).locator("h3 a")).to_be_focused()  # the first one that is new
    count = cards.count()
    page.keyboard.press("Enter")
    expect(page.locator(".rows li.current")).to_be_visible()
    page.go_back()
    expect(cards).to_have_count(count)
    until(page, "scrollY > 600")


def test_more_hits_leave_the_keyboard_at_the_first_new_one(visit: Visit, expect):
    page = visit.open("/#/search?clip=1&per_recording=0")
    expect(page.locator(HITS)).to_have_count(20)
    page.get_by_role("button", name="Show more").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".found .card").nth(20)).to_be_attached()
    expect(page.locator(".found .card").nth(20).locator("h3 a")).to_be_focused()


def test_two_clicks_for_more_bring_each_clip_once(visit: Visit, expect):
    page = visit.open()
    expect(page.locator(".found .card")).to_have_count(24)
    lists = hold(page, "**/v1/clips?*cursor=*")
    page.get_by_role("button", name="Show more").dblclick()
    lists.came(1)
    page.wait_for_timeout(200)
    assert len(lists.routes) == 1
    lists.let()
    expect(page.locator(".found .card").nth(24)).to_be_attached()
    clips = [one.get_attribute("data-clip") for one in page.locator(".found .card").all()]
    assert len(clips) == len(set(clips))


def test_a_list_that_is_called_off_is_no_failure(visit: Visit, expect):
    page = visit.open()
    expect(page.locator(".found .card")).to_have_count(24)
    lists = hold(page, "**/v1/clips?*cursor=*")
    page.get_by_role("button", name="Show more").click()
    lists.came(1)
    page.locator("input[name=label][value=anger]").check()
    expect(page.locator(".found .card .label").first).to_have_text("anger")
    expect(page.locator(".found .card")).not_to_have_count(24)
    page.wait_for_timeout(200)
    expect(page.locator(".toast")).to_have_count(0)


def test_choosing_by_keyboard_keeps_the_keyboard_there(visit: Visit, expect):
    page = visit.open("/#/map")
    expect(page.locator("iframe[data-drawn]")).to_be_visible()
    colours = page.get_by_label("Colour by")
    colours.focus()
    colours.select_option("source")
    expect(page.locator("iframe[data-colour=source]")).to_be_visible()
    expect(colours).to_be_focused()
    group = page.locator(".groups button", has_text="studio")
    group.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".selection")).to_be_visible()
    expect(group).to_be_focused()

    page.goto(visit.address + "/#/search?clip=1")
    expect(page.locator(HITS).first).to_be_visible()
    check = page.locator("input[name=label][value=neutral]")
    check.focus()
    page.keyboard.press(" ")
    until(page, "location.hash.includes('label=neutral')")
    expect(page.locator(".found[aria-busy=false] .label").first).to_have_text("neutral")
    expect(check).to_be_focused()
    page.get_by_role("button", name="Clear all").focus()
    page.keyboard.press("Enter")
    until(page, "!location.hash.includes('label')")
    assert page.evaluate("document.activeElement.closest('aside') !== null")


def test_a_file_is_an_example_only_of_the_search_it_was_given_to(
    visit: Visit, api: httpx.Client, voices, expect
):
    page = visit.open()
    page.locator(".zone input[type=file]").set_input_files(voices / "anger-1.wav")
    expect(page.locator(HITS).first).to_be_visible()
    page.locator(".found .card h3 a").first.click()
    expect(page.locator(".rows li.current")).to_be_visible()
    with page.expect_request("**/v1/search") as asked:
        page.locator(".clip-panel").get_by_role("link", name="Find alike").click()
    assert asked.value.headers["content-type"] == "application/json"
    assert asked.value.post_data_json["positive"] != []
    expect(page.locator(HITS).first).to_be_visible()
    expect(page.locator(".chip")).to_have_count(1)

    page.go_back()
    page.go_back()  # the search with the file is still what it was
    expect(page.locator(".chip")).to_contain_text("anger-1.wav")
    expect(page.locator(HITS).first).to_be_visible()
    page.reload()  # which a browser cannot carry over
    expect(page.locator(".chip")).to_contain_text("choose it again")


def test_a_link_to_another_clip_of_the_recording_that_is_shown_selects_it(visit, api, expect):
    (call,) = api.get("/v1/recordings", params={"source": "desk"}).json()["data"]
    clips = api.get(f"/v1/recordings/{call['recording']}/clips").json()["data"]
    page = visit.open(f"/#/recordings/{call['recording']}")
    expect(page.locator(".rows li.current")).to_be_visible()
    page.evaluate(f"location.hash = '#/recordings/{call['recording']}?clip={clips[3]['clip']}'")
    expect(page.locator(".rows li.current")).to_have_attribute("data-clip", str(clips[3]["clip"]))
    expect(page.locator(".clip-panel h2")).to_have_text(f"Clip {clips[3]['clip']}")


def test_the_clip_before_is_not_hidden_by_the_head_of_the_page(visit: Visit, expect):
    page = visit.open("/#/search?clip=1&per_recording=0")
    expect(page.locator(HITS).nth(15)).to_be_attached()
    for _ in range(14):
        page.keyboard.press("j")
    for _ in range(11):
        page.keyboard.press("k")
    page.wait_for_timeout(800)
    head = page.locator(".top").bounding_box()["height"]
    eventually(lambda: page.locator(".card.current").bounding_box()["y"] >= head, seconds=10)


def test_how_many_were_found_is_said_and_no_more(visit: Visit, api: httpx.Client, expect):
    page = visit.open(f"/#/search?clip={clip_of(api, label='anger')['clip']}")
    expect(page.locator("[role=status]", has_text=re.compile(r"^\d+ hits"))).to_have_count(1)
    assert page.locator(".found").get_attribute("aria-live") is None


def test_a_page_comes_back_by_itself_when_its_server_does(visit: Visit, expect):
    visit.expect("/v1/")
    visit.page.route("**/v1/**", lambda route: route.abort())
    page = visit.open("/#/recordings")
    expect(page.get_by_role("alert")).to_contain_text("the server cannot be reached")
    page.unroute("**/v1/**")
    expect(page.locator("tbody tr").first).to_be_visible()


def test_pages_that_were_not_opened_yet_can_be_without_the_server(visit: Visit, expect):
    page = visit.open()
    expect(page.locator(".found .card").first).to_be_visible()
    until(page, "performance.getEntriesByName(new URL('assets/js/ingest.js', location)).length")
    visit.expect("/assets/")
    page.route("**/assets/**", lambda route: route.abort())
    page.get_by_role("link", name="Recordings").click()
    expect(page.locator("tbody tr").first).to_be_visible()
