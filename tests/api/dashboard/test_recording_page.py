"""A recording in a browser: seen, heard from any place, labelled by keyboard, searched from."""

import re
from pathlib import Path

import httpx
import pytest

from emotion_search.engine.audio.synthetic_voices import speak
from tests.api.dashboard.conftest import Visit, until
from tests.conftest import write_wav

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def expect(browser):
    from playwright.sync_api import expect

    return expect


@pytest.fixture
def recording(api: httpx.Client) -> dict:
    """The call."""
    return api.get("/v1/recordings", params={"source": "desk"}).json()["data"][0]


@pytest.fixture
def duo(api: httpx.Client) -> int:
    """The duet."""
    return api.get("/v1/recordings", params={"source": "crm/2026"}).json()["data"][0]["recording"]


@pytest.fixture
def page(visit: Visit, recording: dict, expect):
    opened = visit.open(f"/#/recordings/{recording['recording']}")
    expect(opened.locator("canvas[data-ready=yes]").first).to_be_visible()
    return opened


def test_its_sound_its_clips_and_what_is_heard_in_them_are_shown(
    page, recording: dict, api: httpx.Client, expect
):
    clips = api.get(f"/v1/recordings/{recording['recording']}/clips").json()["data"]
    assert len(clips) > 2
    expect(page.get_by_role("heading", level=1)).to_have_text("call.wav")
    expect(page.locator(".mark")).to_have_count(len(clips))
    expect(page.locator(".rows li")).to_have_count(len(clips))
    band = page.get_by_role("img", name=re.compile("Emotion over time"))
    assert re.search(r"\w+ \d+ %", band.get_attribute("aria-label"))
    painted = """canvas => {
      const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return new Set(new Uint32Array(data.buffer)).size;
    }"""
    assert band.evaluate(painted) > 3
    assert page.get_by_role("img", name="Waveform of the recording").evaluate(painted) > 1


def test_clips_are_labelled_by_keyboard(page, recording: dict, api: httpx.Client, expect):
    clips = api.get(f"/v1/recordings/{recording['recording']}/clips").json()["data"]
    second = clips[1]["clip"]
    expect(page.locator(".labels button").nth(1)).to_be_visible()
    page.keyboard.press("j")
    expect(page.locator(".rows li.current")).to_have_attribute("data-clip", str(second))
    name = page.locator(".labels button").first.inner_text().split()[-1]
    page.keyboard.press("1")
    expect(page.locator(".rows li.current .label")).to_have_text(name)
    assert api.get(f"/v1/clips/{second}").json()["labels"] == {"emotion": name}
    page.keyboard.press("0")
    expect(page.locator(".rows li.current .unlabelled")).to_be_visible()
    assert api.get(f"/v1/clips/{second}").json()["labels"] == {}
    page.keyboard.press("k")
    expect(page.locator(".rows li.current")).to_have_attribute("data-clip", str(clips[0]["clip"]))


def test_labels_of_another_task_are_set_by_keyboard_too(page, recording, api, expect):
    page.get_by_label("Another task").fill("satisfaction")
    page.get_by_label("Another task").press("Enter")
    expect(page.get_by_label("Task", exact=True)).to_have_value("satisfaction")
    page.get_by_label("Another label").fill("content")
    page.get_by_label("Another label").press("Enter")
    expect(page.locator(".rows li.current .label")).to_have_text("content")
    clip = page.locator(".rows li.current").get_attribute("data-clip")
    assert api.get(f"/v1/clips/{clip}").json()["labels"] == {"satisfaction": "content"}
    page.locator("h1").click()
    page.keyboard.press("0")
    expect(page.locator(".rows li.current .unlabelled")).to_be_visible()


def test_the_keys_are_told(page, expect):
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard")
    expect(dialog).to_contain_text("set a label")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_a_click_plays_from_there(page, recording: dict, expect):
    area = page.locator(".wave-area")
    box = area.bounding_box()
    area.click(position={"x": box["width"] / 2, "y": 40})
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
    until(page, "window.played.at(-1)?.currentTime > 0")
    at = page.evaluate("window.played.at(-1).currentTime")
    assert at == pytest.approx(recording["duration"] / 2, abs=1)
    expect(page.locator(".playhead")).to_be_visible()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_role("button", name="Play all")).to_be_visible()
    expect(page.locator(".playhead")).to_be_hidden()


def test_a_stretch_that_is_marked_can_be_searched_from(page, recording: dict, expect):
    box = page.locator(".wave-area").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 50, steps=4)
    page.mouse.up()
    bar = page.locator(".cutbar")
    expect(bar).to_contain_text("Stretch")
    bar.get_by_role("link", name="Find alike").click()
    expect(page.locator(".found .card .likeness").first).to_be_visible()
    start, end = map(float, re.search(r"span=\d+:([\d.]+)-([\d.]+)", page.url).groups())
    assert start == pytest.approx(recording["duration"] / 4, abs=0.2)
    assert end == pytest.approx(recording["duration"] / 2, abs=0.2)


def test_zoom_widens_the_timeline_and_not_the_page(page, expect):
    page.get_by_role("button", name="4×").click()
    inner = page.locator(".timeline .inner")
    assert inner.bounding_box()["width"] > 3.5 * page.locator(".timeline").bounding_box()["width"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_recording_that_is_not_there_is_said_so(visit: Visit, expect):
    visit.expect("/v1/recordings/999999")
    page = visit.open("/#/recordings/999999")
    expect(page.get_by_role("alert")).to_contain_text("999999")


def test_channels_have_lanes_and_a_trend_is_drawn_where_there_is_one(
    visit: Visit, recording: dict, api: httpx.Client, expect
):
    number = recording["recording"]
    clips = api.get(f"/v1/recordings/{number}/clips").json()["data"]
    names = ["agent", "customer"]
    for place, clip in enumerate(clips):
        clip |= {"channel": place % 2, "channel_name": names[place % 2]}
    times = [float(second) for second in range(30)]
    curves = {"angry": [second / 30 for second in times], "sad": [1 - one / 30 for one in times]}
    turn = {"time": 12.5, "rises": "angry", "rise": 0.4, "falls": "sad", "fall": 0.3}
    channel = {"channel": 1, "channel_name": "customer", "turning_points": [turn]}
    channel |= {"share": {"angry": 0.35, "sad": 0.05}, "uncertain": 0.6, "spoken": 3.0}
    trend = {"channels": [{**channel, "points": {"time": times, "scores": curves}}]}

    def answers(end: str, body: dict) -> None:
        url = f"**/v1/recordings/{number}/{end}"
        visit.page.route(url, lambda route: route.fulfill(json=body))

    answers("clips?*", {"data": clips, "next": None})
    answers("trend", trend)
    peaks = {"peaks": [0, 255, 0]}
    visit.page.route("**/peaks?channel=*", lambda route: route.fulfill(json=peaks))
    page = visit.open(f"/#/recordings/{number}")
    expect(page.locator(".lane")).to_have_text(names)
    expect(page.locator(".sentences li")).to_contain_text(
        "customer: anger 35 %, uncertain 60 % of speech, turned to anger at 0:12"
    )
    customer = page.get_by_role("img", name=re.compile("Emotion over time of customer"))
    assert "sadness 53 %, anger 47 %" in customer.get_attribute("aria-label")
    expect(page.locator(".turns li")).to_contain_text("anger rises, sadness falls (customer)")
    rows = page.locator(".rows .span").all_inner_texts()
    assert rows == sorted(rows)
    page.get_by_role("button", name="0:12", exact=True).click()
    until(page, "window.played.at(-1)?.currentTime > 10")


def test_the_clips_of_two_channels_are_in_the_order_of_time(visit: Visit, duo, api, expect):
    page = visit.open(f"/#/recordings/{duo}")
    expect(page.locator(".rows li.current")).to_be_visible()
    clips = api.get(f"/v1/recordings/{duo}/clips").json()["data"]
    assert len({clip["channel"] for clip in clips}) == 2
    clips.sort(key=lambda clip: (clip["start"], clip["channel"]))
    shown = [one.get_attribute("data-clip") for one in page.locator(".rows li").all()]
    assert shown == [str(clip["clip"]) for clip in clips]
    page.keyboard.press("j")
    expect(page.locator(".rows li.current")).to_have_attribute("data-clip", shown[1])


def test_a_stretch_is_that_of_the_channel_it_is_marked_in(visit: Visit, duo, expect):
    page = visit.open(f"/#/recordings/{duo}")
    expect(page.locator("canvas[data-ready=yes]").first).to_be_visible()
    expect(page.locator(".sentences li")).to_contain_text(["agent: ", "customer: "])
    box = page.locator(".wave-area").nth(1).bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.5, steps=4)
    page.mouse.up()
    expect(page.get_by_label("Channel")).to_have_value("1")
    with page.expect_request("**/v1/search") as asked:
        page.locator(".cutbar").get_by_role("link", name="Find alike").click()
    (example,) = asked.value.post_data_json["positive"]
    assert example["channel"] == 1
    assert page.url.endswith(":1")
    expect(page.locator(".found .card .likeness").first).to_be_visible()
    expect(page.locator(".chip")).to_contain_text("channel 1")


def test_a_stretch_is_marked_by_keyboard_too(page, recording: dict, expect):
    start, end = page.get_by_label("From"), page.get_by_label("To")
    start.fill("0:05")
    end.fill("3")
    end.press("Enter")
    expect(page.get_by_role("link", name="Find alike").first).not_to_have_attribute(
        "href", re.compile("span")
    )
    assert "later than the start" in end.evaluate("one => one.validationMessage")
    end.fill("12.5")
    end.press("Enter")
    expect(page.locator(".cut")).to_be_visible()
    link = page.locator(".cutbar").get_by_role("link", name="Find alike")
    expect(link).to_have_attribute("href", f"#/search?span={recording['recording']}:5.00-12.50")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".cut")).to_be_hidden()


def test_arrows_scroll_the_timeline_that_has_the_focus(page, expect):
    page.get_by_role("button", name="8×").click()
    scroll = page.locator(".timeline .scroll")
    current = page.locator(".rows li.current").get_attribute("data-clip")
    scroll.evaluate("one => { one.scrollLeft = 0; }")
    scroll.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    until(page, "document.querySelector('.timeline .scroll').scrollLeft > 20")
    expect(page.locator(".rows li.current")).to_have_attribute("data-clip", current)


def test_a_trend_that_failed_is_said_to_have(visit: Visit, recording: dict, expect):
    visit.expect("/trend")
    problem = {"type": "urn:emotion-search:problem:unexpected", "detail": "an unexpected error"}
    visit.page.route("**/trend", lambda route: route.fulfill(status=500, json=problem))
    page = visit.open(f"/#/recordings/{recording['recording']}")
    expect(page.get_by_text("No trend: an unexpected error")).to_be_visible()
    expect(page.locator(".rows li.current")).to_be_visible()


def test_a_spectrogram_is_drawn_when_it_is_asked_for(visit: Visit, api: httpx.Client, expect):
    tone_at = "import('/assets/js/spectrogram.js')"
    page = visit.open("/#/recordings/1")
    summary = page.locator(".clip-panel").get_by_text("Spectrogram")
    summary.click()
    expect(page.locator("canvas.spectrogram[data-ready=yes]")).to_be_visible()
    loudest = page.evaluate(
        f"""{tone_at}.then(({{ columns }}) => {{
          const wave = (_, i) => Math.sin(2 * Math.PI * 1000 * i / 16000);
          const tone = Float32Array.from({{ length: 16000 }}, wave);
          return columns(tone).map((one) => one.indexOf(Math.max(...one)));
        }})"""
    )
    assert set(loudest) == {32}  # 1 kHz, of 512 samples at 16 kHz
    assert len(loudest) == 122


def test_what_others_label_appears_and_that_they_erased_it(
    visit: Visit, api: httpx.Client, tmp_path: Path, expect
):
    file = write_wav(tmp_path / "shared.wav", speak("anger", speaker=81, seed=81))
    sent = {"file": (file.name, file.read_bytes())}
    number = api.post("/v1/recordings?wait=true", files=sent).json()["recording"]
    clip = api.get(f"/v1/recordings/{number}/clips").json()["data"][0]["clip"]
    visit.expect(f"/v1/recordings/{number}")
    with visit.page.expect_response("**/v1/events"):
        page = visit.open(f"/#/recordings/{number}")
    expect(page.locator(".rows")).to_contain_text("no label")
    api.put(f"/v1/clips/{clip}/labels/emotion", json={"value": "anger"})
    expect(page.locator(".rows .label")).to_have_text("anger")
    api.delete(f"/v1/recordings/{number}")
    expect(page.get_by_role("heading", name="It was erased")).to_be_visible()
