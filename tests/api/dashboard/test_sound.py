"""What is heard in a browser: on past each minute, at once when it is wanted, no longer than it
is shown."""

import re
from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from emotion_search.engine.audio.synthetic_voices import speak
from tests.api.conftest import upload
from tests.api.dashboard.conftest import Visit, hold, until
from tests.conftest import write_wav

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def expect(browser):
    from playwright.sync_api import expect

    return expect


@pytest.fixture(scope="module")
def long_call(api: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A recording of 62 seconds, which is sent in two parts."""
    spoken = [speak("neutral", speaker=7, seed=seed, seconds=6.2) for seed in range(10)]
    sound = np.concatenate([one[: round(6.2 * 16_000)] for one in spoken])
    path = write_wav(tmp_path_factory.mktemp("long") / "long.wav", sound)
    answer = api.post("/v1/recordings?wait=true", files=upload(path))
    assert answer.status_code == 201
    number = answer.json()["recording"]
    assert api.get(f"/v1/recordings/{number}").json()["duration"] > 61
    yield number
    api.delete(f"/v1/recordings/{number}")


def test_a_recording_of_more_than_a_minute_is_heard_on_to_its_end(
    visit: Visit, long_call: int, expect
):
    page = visit.open(f"/#/recordings/{long_call}")
    expect(page.get_by_role("button", name="Play all")).to_be_visible()
    page.evaluate(
        """() => {
          window.times = [];
          const time = document.querySelector(".time");
          new MutationObserver(() => window.times.push(time.textContent.split(" /")[0]))
            .observe(time, {childList: true});
        }"""
    )
    page.get_by_label("From").fill("0:58.5")
    page.get_by_role("button", name="Play from").click()
    until(page, "window.times.some(one => one.startsWith('1:00') || one.startsWith('1:01'))")
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
    until(page, "window.played.at(-1).currentTime > 0.3")
    expect(page.get_by_role("button", name="Play all")).to_be_visible()  # it has ended
    times = [
        60 * int(minutes) + float(seconds)
        for minutes, seconds in (one.split(":") for one in page.evaluate("window.times"))
    ]
    assert times == sorted(times), "the time shown went back"
    assert times[0] == pytest.approx(58.5, abs=0.2)
    assert times[-1] > 61


def test_what_is_to_be_heard_waits_for_no_waveform(visit: Visit, expect):
    sounds = hold(visit.page, "**/v1/clips/*/audio")
    page = visit.open("/#/search?clip=1&per_recording=0")
    expect(page.locator(".found .card").nth(11)).to_be_visible()
    sounds.came(4)  # as many as are fetched at a time
    waiting = {re.search(r"clips/(\d+)", one.request.url)[1] for one in sounds.routes}
    card = page.locator(".found .card").nth(11)
    wanted = card.get_attribute("data-clip")
    assert wanted not in waiting
    card.locator(".play").click()
    sounds.came(5)
    assert f"/clips/{wanted}/" in sounds.routes[4].request.url
    sounds.let()
    until(page, "window.played.length && !window.played.at(-1).paused")


def test_waveforms_that_are_scrolled_past_are_not_fetched(visit: Visit, expect):
    sounds = hold(visit.page, "**/v1/clips/*/audio")
    page = visit.open("/#/search?clip=1&per_recording=0&limit=40")
    expect(page.locator(".found .card").nth(20)).to_be_attached()
    sounds.came(4)
    cards = page.locator(".found .card")
    begun = {re.search(r"clips/(\d+)", one.request.url)[1] for one in sounds.routes}
    shown = [cards.nth(place).get_attribute("data-clip") for place in range(6)]
    passed = next(one for one in shown if one not in begun)  # in view, and still waiting
    last = cards.last.get_attribute("data-clip")
    cards.last.scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    sounds.let()
    expect(cards.last.locator("canvas[data-ready=yes]")).to_be_visible()
    assert any(f"/clips/{last}/" in one for one in asked)
    assert not any(f"/clips/{passed}/" in one for one in asked)
    page.evaluate("scrollTo(0, 0)")  # once it is in view again, it is
    expect(page.locator(f".card[data-clip='{passed}'] canvas[data-ready=yes]")).to_be_visible()


def test_a_clip_is_silent_once_a_filter_takes_its_card_away(visit: Visit, expect):
    page = visit.open("/#/search?source=desk")
    card = page.locator(".found .card").first
    number = card.get_attribute("data-clip")
    card.locator(".play").click()
    expect(card.locator(".play.playing")).to_be_visible()
    until(page, "window.played.length && !window.played.at(-1).paused")
    page.evaluate("window.played.at(-1).loop = true")  # it would not end by itself
    page.evaluate("location.hash = '#/search?source=studio'")
    expect(page.locator(f".card[data-clip='{number}']")).to_have_count(0)
    expect(page.locator(".play.playing")).to_have_count(0)
    until(page, "window.played.at(-1).paused")


def test_a_finger_that_scrolls_over_the_waveform_plays_nothing(visit: Visit, api, expect):
    (call,) = api.get("/v1/recordings", params={"source": "desk"}).json()["data"]
    page = visit.open(f"/#/recordings/{call['recording']}")
    area = page.locator(".wave-area")
    box = area.bounding_box()
    assert area.evaluate("one => getComputedStyle(one).touchAction") == "manipulation"

    def touch(dx: int, dy: int) -> None:
        at = {"clientX": box["x"] + 300, "clientY": box["y"] + 20, "button": 0}
        area.dispatch_event("pointerdown", {**at, "pointerType": "touch"})
        at |= {"clientX": at["clientX"] + dx, "clientY": at["clientY"] + dy}
        area.dispatch_event("pointerup", {**at, "pointerType": "touch"})

    touch(0, 40)
    touch(60, 0)
    expect(page.get_by_role("button", name="Play all")).to_be_visible()
    assert page.evaluate("window.played.length") == 0
    touch(1, 1)
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
