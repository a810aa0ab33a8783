"""What holds on every page: keys, themes, narrow screens, keyboards, screen readers."""

from pathlib import Path

import httpx
import pytest

from emotion_search.engine.library.library import Library
from emotion_search.engine.service.keys import Scope
from emotion_search.engine.service.keys import create as create_key
from emotion_search.engine.settings import Settings
from tests.api.dashboard.conftest import Visit
from tests.api.serving import served
from tests.conftest import ingest_voices

pytestmark = pytest.mark.slow

PAGES = {
    "start": "/",
    "recordings": "/#/recordings",
    "analyse": "/#/analyse",
    "search": "/#/search?clip=1&not=5&label=anger",
    "recording": "/#/recordings/{call}",
    "map": "/#/map",
    "label": "/#/label",
    "ingest": "/#/ingest",
}
_READY = {
    "start": ".chart >> nth=0",
    "recordings": "tbody tr >> nth=0",
    "analyse": ".analyses .cards .card >> nth=0",
    "search": ".found .card canvas[data-ready=yes] >> nth=0",
    "recording": ".labels button >> nth=1",
    "map": "iframe[data-drawn]",
    "label": ".labels button >> nth=1",
    "ingest": "main section h2 >> nth=1",
}

_OPENS = {"start": ["New alert", "Webhooks", "New webhook"], "recording": ["Spectrogram"]}

_AXE = """axe.run(document, {
  iframes: false, rules: {"label-content-name-mismatch": {enabled: true}}})"""


@pytest.fixture(autouse=True)
def expect(browser):
    from playwright.sync_api import expect

    return expect


@pytest.fixture
def ready(api: httpx.Client, call: Path, expect):
    """Opens a page by its name and waits until it shows what it is for."""
    call_file = call
    number = api.get("/v1/recordings", params={"source": "desk"}).json()["data"][0]["recording"]

    def open_page(visit: Visit, name: str):
        page = visit.open(PAGES[name].format(call=number))
        if name == "analyse":
            page.get_by_label("Audio files").set_input_files(call_file)
        expect(page.locator(_READY[name])).to_be_visible()
        for opens in _OPENS.get(name, []):
            page.get_by_text(opens).click()
        return page

    return open_page


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_no_barrier_and_a_narrow_screen_does_not_scroll_sideways(
    visit: Visit, ready, name: str
):
    axe = pytest.importorskip("axe_playwright_python", reason="axe is not installed")
    script = Path(axe.__file__).with_name("axe.min.js").read_text()
    page = ready(visit, name)
    page.evaluate(script)
    for width, scheme in ((1200, "light"), (360, "dark")):
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # else colours fade
        assert page.evaluate("document.documentElement.scrollWidth") == width
        report = page.evaluate(_AXE)
        assert len(report["passes"]) > 15
        found = [
            (one["id"], one["help"], [node["html"][:160] for node in one["nodes"]])
            for one in report["violations"]
        ]
        assert found == [], scheme


def test_the_theme_is_chosen_and_kept(visit: Visit, expect):
    page = visit.open()
    ink = "getComputedStyle(document.body).color"
    before = page.evaluate(ink)
    button = page.get_by_role("button", name="Theme: as the system")
    button.click()
    page.get_by_role("button", name="Theme: light").click()
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
    assert page.evaluate(ink) != before
    page.reload()
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()


def test_the_keyboard_reaches_the_content_and_focus_is_seen(visit: Visit, expect):
    page = visit.open()
    expect(page.locator(".found .card").first).to_be_visible()
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Choose files")).to_be_focused()


def test_the_language_is_chosen_and_kept(visit: Visit, expect):
    page = visit.open()
    page.get_by_role("button", name="中文").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("查找听起来相似的声音")
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    expect(page.locator(".card .label", has_text="生气").first).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="English")).to_be_visible()


def test_it_works_below_a_path_of_a_proxy(visit: Visit, ready, expect):
    visit.page.set_extra_http_headers({"x-forwarded-prefix": "/below"})
    visit.address += "/below"
    page = ready(visit, "map")
    page.get_by_role("link", name="Overview").click()
    expect(page.locator(".chart").first).to_be_visible()
    assert "/below/" in page.url


def test_plotly_is_loaded_only_for_the_map(visit: Visit, ready, expect):
    asked: list[str] = []
    visit.page.on("request", lambda request: asked.append(request.url))
    ready(visit, "search")
    assert not any("plotly" in one for one in asked)
    visit.page.get_by_role("link", name="Map").click()
    expect(visit.page.locator("iframe[data-drawn]")).to_be_visible()
    assert sum("plotly" in one for one in asked) == 1


def test_an_address_of_no_page_is_said_so(visit: Visit, expect):
    page = visit.open("/#/nowhere")
    expect(page.get_by_role("heading", level=1)).to_have_text("No such page")


def test_a_plain_link_to_a_clip_leads_to_its_search(visit: Visit, expect):
    page = visit.open("/?clip=1")
    expect(page.locator(".found .card .likeness").first).to_be_visible()
    assert page.url.endswith("/#/search?clip=1")


def test_a_key_is_asked_for_and_kept_for_the_tab_alone(
    browser, tmp_path: Path, voices: Path, expect
):
    with Library.open(Settings(home=tmp_path, model="acoustic"), create=True) as library:
        ingest_voices(library, voices)
        token, _ = create_key(library.database, name="desk", scope=Scope.READ)
        writer, _ = create_key(library.database, name="labels", scope=Scope.WRITE)
    with served(tmp_path) as process:
        visit = Visit(browser, process.address)
        visit.expect("/v1/")
        page = visit.open("/#/search?clip=1")
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("This archive needs a key")
        page.get_by_role("textbox", name="Key").fill("es_wrong")
        page.get_by_role("button", name="Use key").click()
        expect(dialog).to_contain_text("That key is not in force")
        page.get_by_role("textbox", name="Key").fill(token)
        page.get_by_role("button", name="Use key").click()
        expect(page.locator(".found .card canvas[data-ready=yes]").first).to_be_visible()
        assert page.evaluate("sessionStorage.getItem('key')") == token
        assert page.evaluate("JSON.stringify(localStorage)") == "{}"
        assert token not in page.url
        assert page.evaluate("document.cookie") == ""

        page.goto(f"{process.address}/#/recordings/1")  # a key to read may not label
        expect(page.locator(".labels button").nth(1)).to_be_visible()
        page.keyboard.press("1")
        expect(page.locator(".toast.error")).to_contain_text("scope write")

        page.locator(".toast").get_by_role("button", name="Use another key").click()
        page.get_by_role("textbox", name="Key").fill(writer)
        with page.expect_response("**/peaks"):  # the page is shown anew
            page.get_by_role("button", name="Use key").click()
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page.locator(".labels button").nth(1)).to_be_visible()
        page.keyboard.press("0")
        expect(page.locator(".rows li.current .unlabelled")).to_be_visible()

        page.get_by_role("button", name="Key", exact=True).click()
        page.get_by_role("button", name="Forget key").click()
        expect(dialog).to_contain_text("This archive needs a key")
        assert page.evaluate("sessionStorage.getItem('key')") is None
        expect(page.get_by_role("button", name="Key", exact=True)).to_be_hidden()
        visit.close()
