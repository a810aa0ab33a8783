"""Filters in a browser: typed, stepped, told; what cannot be read or is meant otherwise is said."""

import httpx
import pytest

from tests.api.dashboard.conftest import Visit, clip_of, until

pytestmark = pytest.mark.slow

HITS = ".found .card .likeness"


@pytest.fixture(autouse=True)
def expect(browser):
    from playwright.sync_api import expect

    return expect


def address(page) -> str:
    return page.evaluate("location.hash")


def test_a_date_counts_once_it_is_typed(visit: Visit, expect):
    page = visit.open("/#/search?clip=1")
    expect(page.locator(HITS).first).to_be_visible()
    after = page.locator("input[name=after]")
    after.focus()
    page.keyboard.type("03152026", delay=40)
    expect(after).to_have_value("2026-03-15")
    page.wait_for_timeout(300)
    assert "after" not in address(page)
    page.keyboard.press("Enter")
    until(page, "location.hash.includes('after=2026-03-15')")
    expect(after).to_be_focused()
    before = page.locator("input[name=before]")
    before.focus()
    page.keyboard.type("05012026", delay=40)
    page.locator("h1").click()  # leaving the field will do as well
    until(page, "location.hash.includes('before=2026-05-01')")
    page.go_back()
    expect(before).to_have_value("")
    expect(after).to_have_value("2026-03-15")


def test_no_step_of_a_number_or_of_the_slider_is_lost(visit: Visit, api: httpx.Client, expect):
    emotion = max((scores := clip_of(api)["scores"]), key=scores.get)
    page = visit.open(f"/#/search?emotion={emotion}")
    expect(page.locator(".found .card").first).to_be_visible()
    page.locator("input[name=min_score]").focus()
    for key in ("ArrowUp", "ArrowUp", "ArrowUp", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    until(page, "location.hash.includes('min_score=0.15')")
    expect(page.locator("input[name=min_score]")).to_be_focused()
    page.locator("input[name=max_duration]").focus()
    for _ in range(7):
        page.keyboard.press("ArrowUp")
    until(page, "location.hash.includes('max_duration=7')")
    assert "min_score=0.15" in address(page)


def test_0_per_recording_gives_all_of_each(visit: Visit, api: httpx.Client, expect):
    clip = clip_of(api, source="desk")["clip"]
    page = visit.open(f"/#/search?clip={clip}&source=desk")
    field = page.locator("input[name=per_recording]")
    expect(page.locator(".found .card")).to_have_count(1)  # which is what happens without
    expect(field).to_have_attribute("placeholder", "1")
    field.fill("0")
    field.press("Enter")
    until(page, "location.hash.includes('per_recording=0')")
    asked = {"clip": clip, "source": "desk", "per_recording": 0, "limit": 20}
    hits = api.post("/v1/search", json={**asked, "source": ["desk"]}).json()["hits"]
    assert len(hits) > 4
    expect(page.locator(".found .card")).to_have_count(len(hits))


def test_how_near_hits_are_among_random_pairs_is_told(visit: Visit, api: httpx.Client, expect):
    page = visit.open("/#/search?clip=1")
    (best, *_) = api.post("/v1/search", json={"clip": 1}).json()["hits"]
    expect(page.locator(".percentile").first).to_have_text(
        f"closer than {min(best['percentile'], 99.9):.1f} % of pairs"
    )


def test_filters_that_could_not_be_read_are_not_shown_as_none(visit: Visit, expect):
    visit.expect("/v1/labels")
    problem = {"type": "urn:emotion-search:problem:unexpected", "detail": "an unexpected error"}
    visit.page.route("**/v1/labels?*", lambda route: route.fulfill(status=500, json=problem))
    page = visit.open()
    group = page.get_by_role("group", name="Label")
    expect(group).to_contain_text("Not read: an unexpected error")
    expect(page.get_by_role("group", name="Source")).to_contain_text("studio")


def test_what_was_not_understood_is_said_once(visit: Visit, expect):
    visit.expect("/v1/clips")
    page = visit.open("/#/search?after=yesterday")
    expect(page.get_by_role("alert")).to_contain_text("after")
    alert = page.get_by_role("alert").inner_text()
    assert alert.count("after") == 1


def test_a_number_that_is_none_is_no_filter(visit: Visit, expect):
    page = visit.open("/#/search?clip=1&min_duration=abc")
    expect(page.locator(HITS).first).to_be_visible()
    expect(page.locator(".filters .count")).to_be_hidden()


def test_examples_against_alone_are_said_to_be_too_little(visit: Visit, expect):
    page = visit.open("/#/search?not=5")
    expect(page.locator(".chip.against")).to_have_count(1)
    expect(page.locator(".found")).to_contain_text("Give an example of what clips should sound")


def test_a_source_is_called_what_it_is(visit: Visit, expect):
    page = visit.open()
    expect(page.get_by_role("group", name="Source")).to_contain_text("crm/2026")
    page.goto(visit.address + "/#/map?colour=source")
    expect(page.locator(".groups")).to_contain_text("crm/2026")


def test_all_of_many_values_can_be_reached(visit: Visit, expect):
    many = [{"name": f"label{n}", "count": 100 - n} for n in range(90)]
    visit.page.route("**/v1/labels?*", lambda route: route.fulfill(json={"data": many}))
    page = visit.open()
    group = page.get_by_role("group", name="Label")
    expect(group.get_by_role("checkbox")).to_have_count(60)
    group.get_by_role("button", name="All 90").click()
    expect(group.get_by_role("checkbox")).to_have_count(90)
    expect(group.get_by_label("label60")).to_be_focused()


def test_two_clicks_while_the_browser_asks_open_one_microphone(visit: Visit, expect):
    visit.page.add_init_script(
        """
        window.streams = [];
        const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = async (wanted) => {
          await new Promise((done) => setTimeout(done, 600));  // while somebody thinks
          const stream = await ask(wanted);
          window.streams.push(stream);
          return stream;
        };
        """
    )
    page = visit.open()
    record = page.get_by_role("button", name="Record")
    record.click()
    record.dispatch_event("click")
    stop = page.get_by_role("button", name="Stop")
    expect(stop).to_have_text("Stop 0:01")
    page.wait_for_timeout(300)
    stop.click()
    expect(page.locator(".chip")).to_contain_text("recorded")
    assert page.evaluate("window.streams.length") == 1
    live = "window.streams.flatMap(one => one.getTracks()).filter(one => one.readyState === 'live')"
    assert page.evaluate(f"{live}.length") == 0
