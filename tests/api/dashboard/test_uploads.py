"""Many files in a browser: through outages, busy spells and missing rights into the archive."""

import json
from pathlib import Path

import httpx
import pytest

from emotion_search.engine.audio.synthetic_voices import speak
from tests.api.conftest import upload
from tests.api.dashboard.conftest import Visit, hold, until
from tests.api.dashboard.test_search_page import drop
from tests.conftest import eventually, write_wav

pytestmark = pytest.mark.slow

SENDING = "**/v1/recordings"
LEAVES = "dispatchEvent(new Event('beforeunload', {cancelable: true}))"


@pytest.fixture(autouse=True)
def expect(browser):
    from playwright.sync_api import expect

    return expect


def voices(folder: Path, count: int, seed: int) -> list[Path]:
    return [
        write_wav(folder / f"many{n}.wav", speak("sadness", speaker=seed, seed=seed + n))
        for n in range(count)
    ]


def posts(visit: Visit) -> list[str]:
    """Grows with each file that is sent."""
    sent: list[str] = []

    def note(request) -> None:
        if request.method == "POST" and request.url.endswith("/v1/recordings"):
            sent.append(request.url)

    visit.page.on("request", note)
    return sent


def problem(status: int, kind: str, detail: str, **headers: str):
    content = {"type": f"urn:emotion-search:problem:{kind}", "status": status, "detail": detail}
    return {"status": status, "headers": headers, "body": json.dumps(content)}


def test_all_files_are_sent_before_the_first_is_embedded(visit: Visit, tmp_path: Path, expect):
    jobs = hold(visit.page, "**/v1/jobs?*cursor=*")  # how far they are is not told yet
    events = hold(visit.page, "**/v1/jobs/*/events")
    sent = posts(visit)
    page = visit.open("/#/ingest")
    drop(page, ".zone", voices(tmp_path, 5, 50))
    expect(page.locator(".job.queued, .job.running")).to_have_count(5)
    assert len(sent) == 5
    jobs.came(1)
    assert len(jobs.routes) == 1  # all jobs are asked for at once
    assert len(events.routes) == 2  # but for those that are followed
    events.let()
    jobs.let()
    expect(page.locator(".job.done")).to_have_count(5)
    expect(page.locator(".summary")).to_have_text("5 of 5 done")


def test_what_is_not_sent_yet_can_be_cancelled(visit: Visit, tmp_path: Path, expect):
    sent = posts(visit)
    going = hold(visit.page, SENDING, "POST")
    visit.expect("/v1/recordings")
    page = visit.open("/#/ingest")
    drop(page, ".zone", voices(tmp_path, 4, 70))
    going.came(2)
    page.get_by_role("button", name="Cancel many0.wav").click()  # one that is being sent
    going.came(3)
    expect(page.locator(".job")).to_have_count(3)
    page.get_by_role("button", name="Cancel all not sent yet").click()
    expect(page.locator(".job")).to_have_count(0)
    assert page.evaluate(LEAVES)  # nothing is left to ask about
    assert len(sent) == 3


def test_the_tab_asks_before_it_is_closed_while_files_are_unsent(
    visit: Visit, tmp_path: Path, expect
):
    sending = hold(visit.page, SENDING, "POST")
    page = visit.open("/#/ingest")
    assert page.evaluate(LEAVES)
    drop(page, ".zone", voices(tmp_path, 3, 60))
    sending.came(2)
    expect(page.locator(".summary")).to_contain_text("3 not sent yet: keep this tab open")
    assert not page.evaluate(LEAVES)
    page.get_by_role("link", name="Map").click()  # the tab is the same
    sending.let()
    page.get_by_role("link", name="Add", exact=True).click()
    expect(page.locator(".job.done")).to_have_count(3)
    assert page.evaluate(LEAVES)


def test_an_outage_fails_no_file(visit: Visit, api: httpx.Client, tmp_path: Path, expect):
    visit.expect("/v1/recordings")
    visit.page.route(SENDING, lambda route: route.abort())
    page = visit.open("/#/ingest")
    page.get_by_label("Source").fill("outage")
    drop(page, ".zone", voices(tmp_path, 6, 70))
    expect(page.get_by_role("alert").filter(has_text="cannot be reached")).to_have_count(1)
    expect(page.locator(".job.waiting")).to_have_count(6)
    expect(page.locator(".job.failed")).to_have_count(0)
    page.unroute(SENDING)
    page.get_by_role("button", name="Try now").click()
    expect(page.locator(".job.done")).to_have_count(6)
    expect(page.locator(".hold")).to_be_empty()
    assert len(api.get("/v1/recordings", params={"source": "outage"}).json()["data"]) == 6


@pytest.mark.parametrize(("status", "kind"), [(429, "too-busy"), (503, "database-busy")])
def test_a_busy_server_is_waited_for_as_long_as_it_says(
    visit: Visit, tmp_path: Path, expect, status: int, kind: str
):
    visit.expect("/v1/recordings")
    busy = problem(status, kind, "too much waits already", **{"Retry-After": "2"})
    sent = posts(visit)
    visit.page.route(SENDING, lambda route: route.fulfill(**busy))
    page = visit.open("/#/ingest")
    drop(page, ".zone", voices(tmp_path, 4, 80 + 5 * (status == 503)))
    expect(page.locator(".hold")).to_contain_text("too much waits already")
    page.wait_for_timeout(1000)
    assert len(sent) == 2  # the two that are sent at a time, and then nothing
    page.unroute(SENDING)
    expect(page.locator(".job.done")).to_have_count(4)
    expect(page.locator(".job.failed")).to_have_count(0)


def test_a_right_that_is_missing_stops_all_and_is_told_once(visit: Visit, tmp_path: Path, expect):
    visit.expect("/v1/recordings")
    refused = problem(403, "forbidden", "this needs a key of scope write; that of desk is read")
    sent = posts(visit)
    visit.page.route(SENDING, lambda route: route.fulfill(**refused))
    page = visit.open("/#/ingest")
    drop(page, ".zone", voices(tmp_path, 6, 90))
    expect(page.locator(".hold [role=alert]")).to_have_count(1)
    expect(page.locator(".hold")).to_contain_text("scope write")
    expect(page.get_by_role("button", name="Use another key")).to_be_visible()
    page.wait_for_timeout(500)
    assert len(sent) == 2
    expect(page.locator(".job.waiting")).to_have_count(6)
    page.unroute(SENDING)
    page.get_by_role("button", name="Go on").click()
    expect(page.locator(".job.done")).to_have_count(6)


def test_a_key_that_is_refused_to_be_given_is_asked_for_once(visit: Visit, tmp_path: Path, expect):
    visit.expect("/v1/recordings")
    visit.page.route(
        SENDING, lambda route: route.fulfill(**problem(401, "unauthorized", "send a key in force"))
    )
    page = visit.open("/#/ingest")
    drop(page, ".zone", voices(tmp_path, 5, 100))
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.locator(".hold")).to_contain_text("send a key in force")
    page.wait_for_timeout(500)
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator(".job.waiting")).to_have_count(5)
    page.unroute(SENDING)
    page.get_by_role("button", name="Go on").click()
    expect(page.locator(".job.done")).to_have_count(5)


def test_all_that_failed_is_tried_again_with_what_is_said_now(
    visit: Visit, api: httpx.Client, tmp_path: Path, expect
):
    visit.expect("/v1/recordings")
    odd = problem(422, "invalid-input", "that source is not known")
    visit.page.route(SENDING, lambda route: route.fulfill(**odd))
    page = visit.open("/#/ingest")
    page.get_by_label("Source").fill("wrong")
    drop(page, ".zone", voices(tmp_path, 3, 110))
    expect(page.locator(".job.failed .why")).to_have_text(["that source is not known"] * 3)
    expect(page.locator(".summary")).to_contain_text("3 failed")
    page.unroute(SENDING)
    page.get_by_label("Source").fill("right")
    page.get_by_role("button", name="Try all failed again").click()
    expect(page.locator(".job.done")).to_have_count(3)
    assert len(api.get("/v1/recordings", params={"source": "right"}).json()["data"]) == 3
    assert api.get("/v1/recordings", params={"source": "wrong"}).json()["data"] == []


def test_failed_files_stand_first(visit: Visit, tmp_path: Path, expect):
    bad = tmp_path / "letter.mp3"
    bad.write_bytes(b"dear all" * 100)
    page = visit.open("/#/ingest")
    drop(page, ".zone", [bad, *voices(tmp_path, 2, 120)])
    expect(page.locator(".job.done")).to_have_count(2)
    expect(page.locator(".job").first).to_contain_text("letter.mp3")
    expect(page.locator(".summary")).to_have_text("2 of 3 done, 1 failed")


def test_metadata_that_cannot_be_used_are_refused_before_anything_is_sent(
    visit: Visit, tmp_path: Path, expect
):
    sent = posts(visit)
    page = visit.open("/#/ingest")
    page.get_by_label("Metadata").fill("queue=a, billing")
    drop(page, ".zone", voices(tmp_path, 2, 130))
    expect(page.locator(".about .why").last).to_have_text('"billing" is not of the form key=value')
    expect(page.get_by_label("Metadata")).to_be_focused()
    expect(page.locator(".job")).to_have_count(0)
    assert sent == []
    page.get_by_label("Metadata").fill("queue=billing")
    drop(page, ".zone", voices(tmp_path, 1, 130))
    expect(page.locator(".job.done")).to_have_count(1)


def test_a_file_that_is_gone_is_not_taken_for_a_server_that_is(
    visit: Visit, tmp_path: Path, expect
):
    sending = hold(visit.page, SENDING, "POST")
    page = visit.open("/#/ingest")
    files = voices(tmp_path, 3, 140)
    page.locator(".zone input[type=file]").set_input_files(files)
    sending.came(2)
    files[2].unlink()
    sending.let()
    expect(page.locator(".job.failed .why")).to_contain_text("it cannot be read")
    expect(page.locator(".job.done")).to_have_count(2)
    expect(page.locator(".hold")).to_be_empty()


def test_more_than_a_page_of_earlier_uploads_can_be_seen(visit: Visit, api, tmp_path, expect):
    (path,) = voices(tmp_path, 1, 150)
    for n in range(45):
        assert api.post("/v1/recordings", files=upload(path, f"again{n}.wav")).status_code == 202
    eventually(lambda: api.get("/v1/jobs?limit=1").json()["data"][0]["status"] == "done")
    page = visit.open("/#/ingest")
    table = page.get_by_role("region", name="Uploads of the last days")
    expect(table.locator("tbody tr")).to_have_count(20)
    more = page.get_by_role("button", name="Show more").first
    more.click()
    expect(table.locator("tbody tr")).to_have_count(40)
    more.click()
    expect(table).to_contain_text("again0.wav")


def test_an_upload_that_was_unfinished_is_told_until_it_is_done(
    visit: Visit, api, tmp_path, expect
):
    (path,) = voices(tmp_path, 1, 160)
    api.post("/v1/recordings?wait=true", files=upload(path, "underway.wav"))
    asked: list[int] = []

    def answer(route) -> None:
        content = route.fetch().json()
        asked.append(1)
        if len(asked) == 1:
            content["data"][0] |= {"status": "running", "recording": None}
        route.fulfill(json=content)

    visit.page.route("**/v1/jobs?limit=*", answer)
    page = visit.open("/#/ingest")
    row = page.get_by_role("row").filter(has_text="underway.wav")
    expect(row).to_contain_text("being embedded")
    expect(row).to_contain_text("in the archive")
    count = len(asked)
    page.wait_for_timeout(2500)
    assert len(asked) == count  # nothing is unfinished any more


def test_how_many_files_could_not_be_ingested_is_told(visit: Visit, expect):
    def stats(route) -> None:
        route.fulfill(json={**route.fetch().json(), "failures": 41})

    def failures(route) -> None:
        last = "cursor" in route.request.url
        one = {"reason": "cannot be decoded", "attempts": 2, "failed_at": "2026-01-01T00:00:00Z"}
        rows = [{**one, "file": f"{'late' if last else 'bad'}{n}.wav"} for n in range(20)]
        route.fulfill(json={"data": rows, "next": None if last else "1-1"})

    visit.page.route("**/v1/stats", stats)
    visit.page.route("**/v1/failures?*", failures)
    page = visit.open("/#/ingest")
    expect(
        page.get_by_role("heading", name="Files that could not be ingested (41)")
    ).to_be_visible()
    section = page.locator("section", has=page.get_by_role("heading", name="Files that could not"))
    section.get_by_role("button", name="Show more").click()
    expect(section.locator("tbody tr")).to_have_count(40)
    expect(section.get_by_role("button", name="Show more")).to_be_hidden()
    until(page, "document.activeElement.closest('.table')")  # the button is gone, the place is not
