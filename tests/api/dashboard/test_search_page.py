"""Searching in a browser: by clips, files and the microphone, filtered, shared."""

import re
from pathlib import Path

import httpx
import numpy as np
import pytest

from emotion_search.engine.audio.synthetic_voices import speak
from tests.api.dashboard.conftest import Visit, clip_of, until
from tests.conftest import RATE, write_wav

HITS = ".found .card .likeness"


@pytest.fixture(autouse=True)
def expect(browser):
    from playwright.sync_api import expect

    return expect


def emotion_of(card) -> str:
    return card.locator(".label").inner_text()


@pytest.mark.slow
def test_without_a_query_the_archive_is_shown(visit: Visit, expect):
    page = visit.open()
    expect(page.locator("#archive")).to_contain_text("acoustic")
    expect(page.locator(".found .card").first.locator("canvas[data-ready=yes]")).to_be_visible()


def test_a_clip_finds_those_that_sound_alike(visit: Visit, api: httpx.Client, expect):
    clip = clip_of(api, label="sadness")
    page = visit.open(f"/#/search?clip={clip['clip']}")
    expect(page.locator(HITS).first).to_be_visible()
    cards = page.locator(".found .card")
    shown = [float(one) for one in page.locator(".found .figure").all_inner_texts()]
    asked = {"clip": clip["clip"], "limit": 20}
    stats = api.get("/v1/stats").json()
    hits = api.post("/v1/search", json=asked).json()["hits"]
    assert shown == [round(hit["similarity"], 3) for hit in hits]
    assert str(clip["clip"]) not in [one.get_attribute("data-clip") for one in cards.all()]
    assert emotion_of(cards.first) == "sadness"
    fields = cards.first.locator(".emotions .bar").get_attribute("aria-label")
    assert re.match(r"Heard by the model: \w+ \d+ %", fields)
    for shown_one, hit in zip(cards.all(), hits, strict=True):
        unsure = shown_one.get_by_text("uncertain", exact=True).count()
        assert unsure == (hit["confidence"] < stats["min_confidence"])
    assert {hit["confidence"] < stats["min_confidence"] for hit in hits} == {True, False}


def test_the_page_says_whose_baselines_the_examples_take(visit: Visit, visits, expect):
    unknown = {"source": None, "speaker": None, "recording": None, "channel": None}
    groups = [
        {"level": "speaker", "source": "desk", "speaker": "ann", "channel": 1},
        {"level": "recording"},
        {"level": "nearest source", "source": "crm"},
        {"level": "recording", "recording": 7},
        {"level": "archive"},
    ]

    def fulfil(route, given) -> None:
        answer = route.fetch().json()
        for hit in answer["hits"]:
            hit["baselines"] = [{**unknown, **one} for one in given]
        route.fulfill(json=answer)

    said = visit.page.locator(".found > .hint")
    page = visit.open("/#/search?clip=1")
    expect(page.locator(HITS).first).to_be_visible()
    expect(said).to_have_count(0)  # the archive has no space of baselines
    page.route("**/v1/search", lambda route: fulfil(route, groups))
    page.reload()
    expect(said).to_have_text(
        "Examples count by how they differ from what is usual for speaker ann, source desk,"
        " channel 1; the file itself; source crm, the nearest; and 2 more."
    )
    other = visits()
    other.page.add_init_script("localStorage.setItem('language', 'zh')")
    other.page.route("**/v1/search", lambda route: fulfil(route, groups[3:]))
    page = other.open("/#/search?clip=1")
    expect(page.locator(".found > .hint")).to_have_text(
        "示例按其与录音 7；整个档案平常声音的差异参与比较。"
    )


@pytest.mark.slow
def test_a_number_is_a_clip_of_the_archive(visit: Visit, expect):
    page = visit.open()
    page.get_by_label("or clip").fill("3")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator(HITS).first).to_be_visible()
    assert page.url.endswith("#/search?clip=3")


@pytest.mark.slow
def test_a_play_button_plays_exactly_the_span(visit: Visit, api: httpx.Client, expect):
    clip = api.get("/v1/clips", params={"source": "desk"}).json()["data"][1]
    page = visit.open("/#/search?source=desk")
    card = page.locator(f".card[data-clip='{clip['clip']}']")
    card.get_by_role("button", name=re.compile("^Play")).click()
    stop = card.get_by_role("button", name=re.compile("^Stop"))
    expect(stop).to_be_visible()
    until(page, "window.played.at(-1)?.currentTime > 0.1")
    lasts = page.evaluate("window.played.at(-1).duration")
    assert lasts == pytest.approx(clip["end"] - clip["start"], abs=2 / RATE)
    stop.click()
    expect(card.get_by_role("button", name=re.compile("^Play"))).to_be_visible()
    assert page.evaluate("window.played.at(-1).paused")


@pytest.mark.slow
def test_more_and_less_like_are_chips_in_the_address(visit: Visit, api: httpx.Client, expect):
    clip = clip_of(api, label="anger")
    page = visit.open(f"/#/search?clip={clip['clip']}")
    expect(page.locator(HITS).first).to_be_visible()
    card = page.locator(".found .card").nth(5)
    number = card.get_attribute("data-clip")
    card.get_by_role("button", name=re.compile("^Less like")).click()
    expect(page.locator(".chip.against")).to_have_count(1)
    assert page.url.endswith(f"clip={clip['clip']}&not={number}")
    expect(page.locator(f".found .card[data-clip='{number}']")).to_have_count(0)

    page.locator(".found .card").first.get_by_role("button", name=re.compile("^More")).click()
    expect(page.locator(".chip.for")).to_have_count(2)
    page.locator(".chip.against .remove").click()
    expect(page.locator(".chip.against")).to_have_count(0)
    assert "not=" not in page.url
    page.go_back()
    expect(page.locator(".chip.against")).to_have_count(1)


def test_filters_are_in_the_address_and_a_link_gives_the_same_hits(visit: Visit, visits, expect):
    page = visit.open("/#/search?clip=1")
    expect(page.locator(HITS).first).to_be_visible()
    page.locator("input[name=label][value=neutral]").check()
    expect(page.locator(".found .card .label").first).to_have_text("neutral")
    page.locator("input[name=speaker]").fill("voice1")
    page.locator("input[name=speaker]").press("Enter")
    expect(page.locator(".found .card")).to_have_count(1)
    page.locator("input[name=before]").fill("2026-12-01")
    page.locator("input[name=before]").press("Enter")
    expect(page.locator(".token")).to_have_text("voice1 ×")
    until(page, "location.hash.includes('before=2026-12-01')")
    assert re.search(r"clip=1&label=neutral&speaker=voice1", page.url)
    number = page.locator(".found .card").get_attribute("data-clip")

    other = visits().open(page.url.removeprefix(visit.address))
    expect(other.locator(".found .card")).to_have_count(1)
    assert other.locator(".found .card").get_attribute("data-clip") == number
    other.get_by_role("button", name="Clear all").click()
    expect(other.locator(".found .card").nth(3)).to_be_visible()


@pytest.mark.slow
def test_what_the_model_hears_filters_from_a_least_score_on(
    visit: Visit, api: httpx.Client, expect
):
    clip = clip_of(api, label="anger")
    emotion = max(clip["scores"], key=clip["scores"].get)
    page = visit.open()
    expect(page.locator(".found .card").first).to_be_visible()
    page.locator(f"input[name=emotion][value={emotion}]").check()
    page.locator("input[name=min_score]").fill("0.5")
    until(page, "location.hash.includes('min_score=0.5')")
    expect(page.locator(".found[aria-busy=false]")).to_be_visible()
    asked = {"emotion": emotion, "min_score": 0.5, "limit": 24, "sort": emotion}
    expect(page.locator(".found h2")).to_have_text(re.compile("most .+ first"))
    clips = api.get("/v1/clips", params=asked).json()["data"]
    shown = [one.get_attribute("data-clip") for one in page.locator(".found .card").all()]
    assert shown == [str(one["clip"]) for one in clips]
    assert all(one["scores"][emotion] >= 0.5 for one in clips)


@pytest.mark.slow
def test_a_dropped_file_is_an_example(visit: Visit, tmp_path: Path, expect):
    voice = write_wav(tmp_path / "new.wav", speak("happiness", speaker=8, seed=1))
    page = visit.open()
    drop(page, ".zone", [voice])
    expect(page.locator(HITS).first).to_be_visible()
    expect(page.locator(".chip")).to_contain_text("new.wav")
    expect(page.locator(".chip")).to_contain_text("this tab only")
    assert emotion_of(page.locator(".found .card").first) == "happiness"
    page.locator(".chip .sign").click()  # now less like it: alone that is no question
    expect(page.get_by_role("heading", name="Or start from a clip")).to_be_visible()


@pytest.mark.slow
def test_the_microphone_records_an_example(visit: Visit, expect):
    page = visit.open()
    page.get_by_role("button", name="Record").click()
    stop = page.get_by_role("button", name=re.compile("^Stop"))
    expect(stop).to_have_text("Stop 0:02")
    stop.click()
    expect(page.locator(".chip")).to_contain_text("recorded")
    expect(page.locator(HITS).first).to_be_visible()


@pytest.mark.slow
def test_a_browser_without_a_microphone_is_told(visit: Visit, expect):
    missing = "Object.defineProperty(navigator, 'mediaDevices', {value: undefined})"
    visit.page.add_init_script(missing)
    page = visit.open()
    page.get_by_role("button", name="Record").click()
    expect(page.locator(".wrong")).to_contain_text("cannot record")


@pytest.mark.slow
def test_what_went_wrong_is_said_with_a_cure(visit: Visit, tmp_path: Path, expect):
    visit.expect("/v1/clips/999999", "/v1/search")
    page = visit.open("/#/search?clip=999999")
    expect(page.get_by_role("alert")).to_contain_text("clip 999999")
    page.get_by_role("button", name="Start anew").click()
    noise = tmp_path / "letter.wav"
    noise.write_bytes(b"dear all, this is no sound" * 40)
    page.locator(".zone input[type=file]").set_input_files(noise)
    expect(page.get_by_role("alert")).to_contain_text("letter.wav")
    expect(page.get_by_role("alert")).to_contain_text("Try another file")


@pytest.mark.slow
def test_filters_that_nothing_passes_can_be_cleared(visit: Visit, expect):
    page = visit.open("/#/search?clip=1&label=boredom")
    expect(page.locator(".empty")).to_contain_text("No clip passes these filters")
    page.get_by_role("button", name="Clear filters").click()
    expect(page.locator(HITS).first).to_be_visible()


@pytest.mark.slow
def test_hits_are_gone_through_by_keyboard(visit: Visit, expect):
    page = visit.open("/#/search?clip=1")
    expect(page.locator(HITS).first).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator(".card.current .rank")).to_have_text("2")
    page.keyboard.press(" ")
    expect(page.locator(".card.current .play")).to_have_class(re.compile("playing"))
    page.keyboard.press("m")
    expect(page.locator(".chip.for")).to_have_count(2)


@pytest.mark.slow
def test_on_real_speech_hits_sound_alike(visit: Visit, emodb: Path, api: httpx.Client, expect):
    for one in ("03a01Wa", "03a02Wb", "03a02Wc", "03a01Nc", "03a02Nc", "03a04Nc"):
        fields = {"source": "emodb", "label": "anger" if "W" in one else "neutral"}
        content = (emodb / f"{one}.flac").read_bytes()
        answer = api.post(
            "/v1/recordings?wait=true", files={"file": (f"{one}.flac", content)}, data=fields
        )
        assert answer.status_code in (200, 201)
    page = visit.open("/#/search?source=emodb&limit=2")
    expect(page.locator(".found .card").first).to_be_visible()
    page.locator(".zone input[type=file]").set_input_files(emodb / "03a04Wc.flac")
    expect(page.locator(HITS).first).to_be_visible()
    assert [emotion_of(one) for one in page.locator(".found .card").all()][:2] == ["anger"] * 2


def drop(page, where: str, files: list[Path]) -> None:
    """Drop files there, as a hand would."""
    contents = [{"name": one.name, "bytes": list(one.read_bytes())} for one in files]
    dropped = page.evaluate_handle(
        """files => {
          const dropped = new DataTransfer();
          for (const {name, bytes} of files)
            dropped.items.add(new File([new Uint8Array(bytes)], name, {type: "audio/wav"}));
          return dropped;
        }""",
        contents,
    )
    page.locator(where).dispatch_event("dragover", {"dataTransfer": dropped})
    page.locator(where).dispatch_event("drop", {"dataTransfer": dropped})


@pytest.mark.slow
def test_the_outline_is_that_of_the_sound(visit: Visit):
    page = visit.open()
    rising = np.linspace(0, 1, 8000, dtype=np.float32)
    wave = (rising * 32000 * np.where(np.arange(8000) % 2, 1, -1)).astype("<i2").tobytes()
    header = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0" + (8000).to_bytes(4, "little")
    header += (16000).to_bytes(4, "little") + b"\2\0\x10\0LIST\2\0\0\0xydata"
    content = list(header + len(wave).to_bytes(4, "little") + wave)
    found = page.evaluate(
        """async bytes => {
          const {outline} = await import("/assets/js/audio.js");
          const {duration, peaks} = outline(new Uint8Array(bytes).buffer, 4);
          return [duration, ...peaks];
        }""",
        content,
    )
    assert found == pytest.approx([1, 0.244, 0.488, 0.732, 0.977], abs=0.01)


@pytest.mark.slow
def test_words_are_an_example_where_the_model_knows_texts(visit: Visit, api: httpx.Client, expect):
    page = visit.open()
    expect(page.locator(".found .card").first).to_be_visible()
    assert api.get("/v1/stats").json()["text"] is False
    expect(page.get_by_label("or in words")).to_be_hidden()
    knows = {**api.get("/v1/stats").json(), "text": True}
    page.route("**/v1/stats", lambda route: route.fulfill(json=knows))
    page.reload()
    visit.expect("/v1/search")
    page.get_by_label("or in words").fill("an angry customer")
    with page.expect_request("**/v1/search") as asked:
        page.get_by_label("or in words").press("Enter")
    assert asked.value.post_data_json["positive"] == [{"text": "an angry customer"}]
    assert "text=an+angry+customer" in page.url
    expect(page.get_by_role("alert")).to_contain_text("knows no texts")  # as this model does not
    page.get_by_role("button", name="More like “an angry customer”; press to turn").click()
    assert "nottext=an+angry+customer" in page.url
    page.get_by_role("button", name="Remove “an angry customer”").click()
    expect(page.locator(".found .card").first).to_be_visible()
