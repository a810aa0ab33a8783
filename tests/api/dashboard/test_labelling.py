"""Labelling in a browser: each label reaches the clip and the task it was meant for, and once."""

import re
from collections.abc import Iterator

import httpx
import pytest

from tests.api.dashboard.conftest import Visit, hold
from tests.conftest import eventually

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def expect(browser):
    from playwright.sync_api import expect

    return expect


@pytest.fixture
def spoken(api: httpx.Client) -> Iterator[dict]:
    """The call; what is said of it is taken back at the end."""
    (found,) = api.get("/v1/recordings", params={"source": "desk"}).json()["data"]
    yield found
    for clip in clips_of(api, found):
        for task in clip["labels"]:
            api.delete(f"/v1/clips/{clip['clip']}/labels/{task}")


def clips_of(api: httpx.Client, recording: dict) -> list[dict]:
    return api.get(f"/v1/recordings/{recording['recording']}/clips").json()["data"]


@pytest.fixture
def page(visit: Visit, spoken: dict, expect):
    opened = visit.open(f"/#/recordings/{spoken['recording']}")
    expect(opened.locator(".labels button").nth(2)).to_be_visible()
    return opened


def test_labels_that_come_late_are_not_those_of_the_task_chosen_since(
    page, spoken: dict, api: httpx.Client, expect
):
    first, last = clips_of(api, spoken)[0], clips_of(api, spoken)[-1]
    api.put(f"/v1/clips/{last['clip']}/labels/alpha", json={"value": "a-one"})
    api.put(f"/v1/clips/{last['clip']}/labels/beta", json={"value": "b-one"})
    alpha = hold(page, "**/v1/labels?task=alpha")
    for task in ("alpha", "beta"):
        page.get_by_label("Another task").fill(task)
        page.get_by_label("Another task").press("Enter")
    alpha.came(1)
    labels = page.locator(".labels")
    expect(labels).to_contain_text("b-one")
    alpha.let()
    page.wait_for_timeout(300)
    expect(labels).not_to_contain_text("a-one")
    page.locator("h1").click()
    page.keyboard.press("1")
    expect(page.locator(".rows li.current .label")).to_have_text("b-one")
    assert api.get(f"/v1/clips/{first['clip']}").json()["labels"] == {"beta": "b-one"}


def test_no_label_of_the_task_before_can_be_pressed_while_others_are_read(page, expect):
    hold(page, "**/v1/labels?task=gamma")
    page.get_by_label("Another task").fill("gamma")
    page.get_by_label("Another task").press("Enter")
    expect(page.locator(".labels")).to_contain_text("Reading the labels")
    expect(page.locator(".labels button")).to_have_count(1)  # to take one away


def test_of_two_labels_in_a_row_the_last_one_counts(page, spoken, api: httpx.Client, expect):
    clip = clips_of(api, spoken)[0]["clip"]
    names = [one.inner_text().split()[-1] for one in page.locator(".labels button").all()[:2]]
    puts = hold(page, "**/v1/clips/*/labels/*", "PUT")
    page.keyboard.press("1")
    puts.came(1)
    page.keyboard.press("2")
    page.wait_for_timeout(300)
    assert len(puts.routes) == 1  # the second waits for the first, however long that takes
    puts.let()
    expect(page.locator(".rows li.current .label")).to_have_text(names[1])
    page.wait_for_timeout(300)
    expect(page.locator(".rows li.current .label")).to_have_text(names[1])
    assert api.get(f"/v1/clips/{clip}").json()["labels"] == {"emotion": names[1]}


def test_a_label_that_is_answered_late_leaves_the_next_page_alone(page, spoken, api, expect):
    clip = clips_of(api, spoken)[0]["clip"]
    puts = hold(page, "**/v1/clips/*/labels/*", "PUT")
    page.keyboard.press("1")
    puts.came(1)
    page.keyboard.press("s")
    expect(page.locator(".found .card .likeness").first).to_be_visible()
    with page.expect_response("**/labels/emotion"):
        puts.let()
    page.wait_for_timeout(300)
    assert page.url.endswith(f"#/search?clip={clip}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Find voices that sound alike")
    assert api.get(f"/v1/clips/{clip}").json()["labels"] != {}


def test_the_keyboard_stays_where_a_label_is_set(page, expect):
    button = page.locator(".labels button").first
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".rows li.current .label")).to_be_visible()
    expect(button).to_be_focused()
    expect(button).to_have_attribute("aria-pressed", "true")

    row = page.locator(".rows .pick").nth(1)
    row.click()
    page.keyboard.press("2")
    expect(page.locator(".rows li").nth(1).locator(".label")).to_be_visible()
    expect(row).to_be_focused()
    page.keyboard.press("j")
    expect(page.locator(".rows .pick").nth(2)).to_be_focused()

    other = page.get_by_label("Another label")
    other.fill("weary")
    other.press("Enter")
    expect(page.locator(".rows li.current .label")).to_have_text("weary")
    expect(other).to_be_focused()


def test_space_plays_the_row_that_was_clicked(page, expect):
    page.locator(".rows .pick").nth(2).click()
    page.keyboard.press(" ")
    expect(page.locator(".clip-panel .play.playing")).to_be_visible()
    page.keyboard.press(" ")
    expect(page.locator(".clip-panel .play.playing")).to_have_count(0)


@pytest.fixture
def chosen(visit: Visit, api: httpx.Client, expect):
    """A page whose map has the sad voices chosen; what is said of them is taken back."""
    opened = visit.open("/#/map?colour=label")
    expect(opened.locator("iframe[data-drawn]")).to_be_visible()
    opened.locator(".groups button", has_text="sadness").click()
    expect(opened.locator(".selection h2")).to_have_text("3 clips selected")
    yield opened
    for clip in api.get("/v1/clips", params={"limit": 500}).json()["data"]:
        for task in clip["labels"].keys() - {"emotion"}:
            api.delete(f"/v1/clips/{clip['clip']}/labels/{task}")


def labels_of(api: httpx.Client, task: str) -> list[dict]:
    return api.get("/v1/labels", params={"task": task}).json()["data"]


def test_all_get_the_label_that_was_sent_whatever_is_done_meanwhile(chosen, api, expect):
    puts = hold(chosen, "**/v1/labels", "POST")
    chosen.get_by_label("Task", exact=True).fill("tone")
    chosen.get_by_label("Label for all").fill("low")
    chosen.get_by_role("button", name="Label all").click()
    puts.came(1)
    expect(chosen.get_by_label("Label for all")).to_be_disabled()
    chosen.evaluate("document.querySelector('[aria-label=\"Label for all\"]').value = 'high'")
    chosen.keyboard.press("Escape")
    chosen.locator(".groups button", has_text="anger").click()
    expect(chosen.locator(".selection h2")).to_have_text("3 clips selected")
    expect(chosen.get_by_role("button", name="Stop")).to_be_visible()
    puts.let()
    expect(chosen.locator("#toasts")).to_contain_text("3 clips labelled low")
    assert labels_of(api, "tone") == [{"name": "low", "count": 3}]
    chosen.keyboard.press("Escape")
    expect(chosen.locator(".selection")).to_have_count(0)


def test_a_label_of_nothing_but_spaces_is_not_sent(chosen, expect):
    sent: list[str] = []
    chosen.on("request", lambda one: one.method == "POST" and sent.append(one.url))
    chosen.get_by_label("Label for all").fill("   ")
    chosen.get_by_role("button", name="Label all").click()
    chosen.wait_for_timeout(300)
    assert sent == []
    expect(chosen.get_by_role("button", name="Label all")).to_be_visible()


def test_labelling_ends_where_the_page_is_left(chosen, api, expect):
    chosen.keyboard.press("Escape")
    chosen.locator(".groups button", has_text=re.compile("^no label")).click()
    many = int(chosen.locator(".selection h2").inner_text().split()[0])
    puts = hold(chosen, "**/v1/labels", "POST")
    chosen.get_by_label("Task", exact=True).fill("left")
    chosen.get_by_label("Label for all").fill("yes")
    chosen.get_by_role("button", name="Label all").click()
    puts.came(1)
    assert many > 10
    chosen.get_by_role("link", name="Search", exact=True).click()
    expect(chosen.locator(".found .card").first).to_be_visible()
    puts.let()
    eventually(lambda: labels_of(api, "left") == [{"name": "yes", "count": 10}])
    chosen.wait_for_timeout(500)
    assert labels_of(api, "left") == [{"name": "yes", "count": 10}]
