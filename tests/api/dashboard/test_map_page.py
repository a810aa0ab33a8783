"""The map in a browser: coloured, heard, circled, labelled, exported."""

import csv
import re

import httpx
import pytest

from tests.api.dashboard.conftest import Visit, until

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def expect(browser):
    from playwright.sync_api import expect

    return expect


@pytest.fixture
def page(visit: Visit, expect):
    opened = visit.open("/#/map")
    expect(opened.locator("iframe[data-drawn]")).to_be_visible()
    return opened


def circle(page) -> None:
    """Draw a lasso around everything."""
    box = page.locator("iframe").bounding_box()
    left, top, right, low = 12, 12, box["width"] - 12, box["height"] - 12
    page.mouse.move(box["x"] + left, box["y"] + top)
    page.mouse.down()
    for x, y in ((right, top), (right, low), (left, low), (left, top)):
        page.mouse.move(box["x"] + x, box["y"] + y, steps=5)
    page.mouse.up()


def test_points_are_coloured_by_what_is_chosen(page, visit: Visit, expect):
    groups = page.locator(".groups")
    expect(groups).to_have_attribute("aria-label", "Groups by emotion heard")
    page.get_by_label("Colour by").select_option("source")
    expect(page.locator("iframe[data-colour=source]")).to_be_visible()
    expect(groups).to_contain_text("studio")
    assert page.url.endswith("#/map?colour=source")
    assert page.evaluate("getComputedStyle(document.querySelector('.cover')).display") == "none"


def test_a_lasso_selects_and_all_are_labelled(page, api: httpx.Client, expect):
    page.get_by_label("Colour by").select_option("label")
    expect(page.locator("iframe[data-colour=label]")).to_be_visible()
    circle(page)
    heading = page.locator(".selection h2")
    expect(heading).to_have_text(re.compile(r"\d+ clips selected"))
    many = int(heading.inner_text().split()[0])
    drawn = int(page.locator("iframe").get_attribute("data-drawn"))
    assert many == drawn > 10
    page.get_by_label("Task", exact=True).fill("checked")
    page.get_by_label("Label for all").fill("yes")
    page.get_by_role("button", name="Label all").click()
    expect(page.locator("#toasts")).to_contain_text(f"{many} clips labelled yes")
    labels = api.get("/v1/labels", params={"task": "checked"}).json()["data"]
    for clip in api.get("/v1/clips", params={"limit": 500}).json()["data"]:
        api.delete(f"/v1/clips/{clip['clip']}/labels/checked")  # the archive is other tests', too
    assert labels == [{"name": "yes", "count": many}]


def test_a_selection_is_exported_as_csv(page, expect):
    page.get_by_label("Colour by").select_option("label")
    page.locator(".groups button", has_text="sadness").click()
    expect(page.locator(".selection h2")).to_have_text("3 clips selected")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export CSV").click()
    with open(download.value.path(), newline="") as file:  # noqa: PTH123
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["sadness"] * 3
    assert all(float(row["x"]) is not None and row["clip"].isdecimal() for row in rows)
    page.keyboard.press("Escape")
    expect(page.locator(".selection")).to_have_count(0)


def test_a_click_opens_a_clip_and_hovering_plays_if_wanted(page, api: httpx.Client, expect):
    frame = page.frame_locator("iframe").locator("#plot")
    place = frame.evaluate(
        """plot => {
          const {_fullLayout: {xaxis, yaxis, _size: {l, t}}, data: [first]} = plot;
          return [l + xaxis.d2p(first.x[0]), t + yaxis.d2p(first.y[0])];
        }"""
    )
    box = page.locator("iframe").bounding_box()

    def hover() -> None:
        page.mouse.move(box["x"] + 20, box["y"] + 20, steps=8)  # over no point
        page.wait_for_timeout(200)
        page.mouse.move(box["x"] + place[0] - 3, box["y"] + place[1] - 2)
        page.mouse.move(box["x"] + place[0], box["y"] + place[1])

    hover()
    page.wait_for_timeout(600)
    assert page.evaluate("window.played.length") == 0  # nobody wants it
    page.get_by_label("Play on hover").check()
    with page.expect_response(re.compile(r"/v1/clips/\d+/audio")) as answer:
        hover()
    until(page, "window.played.length && window.played.at(-1).currentTime > 0")
    clip = re.search(r"/v1/clips/(\d+)/audio", answer.value.url)[1]  # one may lie on another
    page.wait_for_timeout(300)  # as a hand would: plotly.js looks what is under it now and then
    page.mouse.down()
    page.mouse.up()
    card = page.locator(f".picked .card[data-clip='{clip}']")
    expect(card).to_be_visible()
    card.get_by_role("button", name=re.compile("^Find alike")).click()
    expect(page.locator(".found .card .likeness").first).to_be_visible()


def test_the_frame_can_neither_call_the_server_nor_see_the_page(page, visit: Visit):
    frame = page.frame(url=re.compile("frame.html"))
    assert frame.evaluate("origin") == "null"
    assert (
        frame.evaluate("(() => { try { return parent.document; } catch { return 'no'; } })()")
        == "no"
    )
    call = "fetch('/v1/stats').then(() => 'answered', () => 'refused')"
    assert frame.evaluate(call.replace("/v1", f"{visit.address}/v1")) == "refused"
    refusals = [one for one in visit.errors if "connect-src 'none'" in one]
    assert refusals  # it is the policy that did, and the browser says so
    visit.errors = [one for one in visit.errors if one not in refusals and "Fetch API" not in one]


def test_a_server_without_maps_is_told_plainly(visit: Visit, expect):
    visit.expect("/v1/map")
    problem = {"type": "urn:emotion-search:problem:no-such-route", "status": 404, "title": "Not"}
    visit.page.route("**/v1/map?*", lambda route: route.fulfill(status=404, json=problem))
    page = visit.open("/#/map")
    expect(page.locator(".cover")).to_contain_text("This server makes no maps")


def test_labels_that_look_like_formulas_are_only_text_in_a_csv(visit: Visit):
    page = visit.open()
    text = page.evaluate(
        """async () => (await import("/assets/js/save.js")).csv(
          [{clip: 1, x: -0.5, y: 2, label: "=cmd()", emotion: 'a "b", c', source: null}],
          ["clip", "x", "label", "emotion", "source"])"""
    )
    (row,) = csv.DictReader(text.splitlines())
    assert (row["x"], row["label"], row["emotion"]) == ("-0.5", "'=cmd()", 'a "b", c')


def test_points_tell_the_clusters_of_the_clustering_that_is_chosen(page, expect):
    chooser = page.get_by_label("Clusters of")
    expect(chooser).to_have_value("")
    chooser.select_option("voices")
    expect(page.locator("iframe[data-colour=cluster]")).to_be_visible()
    expect(page.locator(".groups")).to_contain_text(re.compile(r"cluster 0\s*\d+"))
    expect(page.locator(".groups button", has_text=re.compile(r"^cluster \d"))).to_have_count(3)
    assert page.url.endswith("colour=cluster&clustering=voices")
    chooser.select_option("")
    expect(page.get_by_label("Colour by")).to_have_value("emotion")
