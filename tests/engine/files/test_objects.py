"""Recordings in a bucket: found, taken in once, played, checked, erased; errors in one line."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from emotion_search.cli import app
from emotion_search.engine.archive.check import check
from emotion_search.engine.archive.playback import span_of_recording
from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.files import object_parts, objects
from emotion_search.engine.files.manifest_in_bucket import manifest_named
from emotion_search.engine.files.scan import Scan, facts, find_audio, sha256_of
from emotion_search.engine.ingest.options import IngestOptions
from emotion_search.engine.library.library import Library
from emotion_search.engine.settings import Settings
from emotion_search.index.database.recordings import Annotations
from emotion_search.index.errors import InvalidInputError, NotFoundError
from tests.buckets import KEY, SECRET, Bucket, on_s3_and_azure
from tests.conftest import write_wav

pytestmark = pytest.mark.slow


@pytest.fixture
def archive(sqlite_settings: Settings):
    with Library.open(sqlite_settings, create=True) as library:
        yield library


@pytest.fixture
def filled(archive: Library, bucket: Bucket, voices: Path) -> Library:
    """An archive of three voices in the bucket."""
    for path in sorted(voices.glob("anger-*.wav")):
        bucket.put(f"calls/2026/{path.name}", path)
    archive.ingest(Scan([bucket.url]))
    return archive


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@on_s3_and_azure
def test_a_listing_gives_audio_of_any_name_but_hidden_ones(bucket: Bucket):
    names = ["a b/ü.wav", "a/100%.wav", "a/e%20f.WAV", "a/q?x#y.flac"]
    for name in [*names, "a/.hidden.wav", ".trash/x.wav", "a/notes.txt", "a/old.vox", "ab/c.wav"]:
        bucket.put(name, b"1")
    scan = Scan([f"{bucket.url}/a", f"{bucket.url}/a b/", f"{bucket.url}/a/100%.wav"])
    assert sorted(one.path for one in scan) == sorted(f"{bucket.url}/{name}" for name in names)
    assert scan.found.passed_over == {".vox": 1}
    assert not scan.found.unusable


def test_quotes_around_an_etag_which_azure_leaves_out_of_listings_make_no_other_object(
    monkeypatch: pytest.MonkeyPatch,
):
    def meta(tag: str) -> dict[str, object]:
        at = datetime(2026, 11, 29, tzinfo=UTC)
        return {"path": "in/a.wav", "size": 5, "last_modified": at, "e_tag": tag}

    class Azure:
        def list(self, _: str):
            yield [meta("0x1")]

        def head(self, _: str):
            return meta('"0x1"')

    monkeypatch.setattr(objects, "_client", lambda *_: Azure())
    assert [*objects.listed("az://calls/in/")] == [objects.object_facts("az://calls/in/a.wav")]


@pytest.mark.parametrize("keeps", [False, True])
def test_what_is_deleted_at_google_which_numbers_every_object_is_gone_or_said_to_be_kept(
    monkeypatch: pytest.MonkeyPatch, keeps: bool
):
    there = {"7"}

    class Google:
        def put(self, *_: object, **__: object):
            return {"version": "7"}

        def head(self, _: str):
            return {"version": "7"}

        def delete(self, _: str):
            if not keeps:
                there.clear()

        def get(self, _: str, options: dict[str, object]):
            if options["version"] not in there:
                raise FileNotFoundError("no such generation")

    monkeypatch.setattr(objects, "_client", lambda *_: Google())
    assert not objects.put_object("gs://calls/a.wav", Path("a.wav"))
    if keeps:
        with pytest.raises(OSError, match="deleted, but its bucket keeps it"):
            objects.remove_object("gs://calls/a.wav")
    else:
        objects.remove_object("gs://calls/a.wav")


def test_a_deletion_that_azure_refuses_within_its_answer_is_denied(monkeypatch: pytest.MonkeyPatch):
    from obstore.exceptions import GenericError

    class Azure:
        def head(self, _: str):
            return {"version": None}

        def delete(self, _: str):
            raise GenericError(
                "Bulk delete request failed for key a.wav: Not permitted (code: 403)"
            )

    monkeypatch.setattr(objects, "_client", lambda *_: Azure())
    with pytest.raises(PermissionError, match="access is denied"):
        objects.remove_object("az://calls/a.wav")


@on_s3_and_azure
def test_facts_are_those_of_the_listing_and_change_with_the_content(bucket: Bucket):
    url = bucket.put("a.wav", b"12345")
    (listed,) = objects.listed(f"{bucket.url}/")
    assert listed == facts(url)
    bucket.put("a.wav", b"54321")
    now = facts(url)
    assert now.size == listed.size
    assert now != listed


def test_bytes_are_those_of_the_file_and_leave_nothing_on_disk(bucket: Bucket, voices: Path):
    path = voices / "anger-0.wav"
    url = bucket.put("anger.wav", path)
    with objects.fetched(url) as copy:
        assert copy.path.read_bytes() == path.read_bytes()
        assert copy.sha256 == sha256_of(path) == sha256_of(url)
    assert not copy.path.exists()


@on_s3_and_azure
def test_known_objects_are_not_read_again(filled: Library, bucket: Bucket, monkeypatch):
    def fail(*_: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr("emotion_search.engine.ingest.read.opened", fail)
    report = filled.ingest(Scan([bucket.url]))
    assert (report.known, report.recordings, report.failed) == (3, 0, [])


def test_embeddings_are_those_of_the_same_files_on_disk(
    filled: Library, voices: Path, tmp_path: Path
):
    clip = filled.clips(limit=1)[0]
    assert clip.path is not None
    local = voices / Path(clip.path).name
    with Library.open(Settings(home=tmp_path / "other", model="acoustic"), create=True) as other:
        other.ingest(find_audio([str(local)]).files)
        assert other.clips()[0].scores == pytest.approx(clip.scores, abs=1e-6)
    report = filled.ingest(find_audio([str(local)]).files)
    assert (report.duplicates, report.recordings) == (1, 0)


@on_s3_and_azure
def test_an_object_that_changed_since_it_was_listed_is_refused(
    archive: Library, bucket: Bucket, voices: Path
):
    bucket.put("a.wav", voices / "anger-0.wav")
    files = list(Scan([bucket.url]))
    bucket.put("a.wav", voices / "sadness-0.wav")
    report = archive.ingest(files)
    assert report.failed == [
        (f"{bucket.url}/a.wav", "changed since it was listed; ingest it again")
    ]
    assert archive.ingest(Scan([bucket.url])).recordings == 1


def test_clips_play_until_their_object_is_something_else(filled: Library, bucket: Bucket):
    samples, rate, clip = filled.clip_audio(1)
    assert len(samples) == pytest.approx((clip.end - clip.start) * rate, abs=2)
    assert clip.path is not None
    key = clip.path.removeprefix(f"{bucket.url}/")
    bucket.put(key, b"other")
    with pytest.raises(NotFoundError, match="no longer there, or has changed"):
        filled.clip_audio(1)


@on_s3_and_azure
@pytest.mark.parametrize("kind", ["PCM_16", "ULAW"])
def test_of_a_long_recording_only_a_part_is_read_and_sounds_the_same(
    archive: Library, bucket: Bucket, tmp_path: Path, monkeypatch, kind: str
):
    voice = np.resize(speak("anger", speaker=0, seed=0), 60 * 16_000)
    sound = np.stack([voice, voice * np.linspace(0.2, 0.9, len(voice))], axis=1)  # nowhere the same
    path = write_wav(tmp_path / "long.wav", sound, subtype=kind)
    url = bucket.put("long.wav", path)
    archive.ingest(Scan([url]), IngestOptions(segments="fixed"))
    (recording,) = archive.recordings()
    read = []
    whole = objects.range_of_object

    def noted(url: str, first: int, last: int):
        facts, part = whole(url, first, last)
        read.append(len(part))
        return facts, part

    monkeypatch.setattr(object_parts, "range_of_object", noted)
    for start, end in ((0.0, 1.0), (2.5, 4.0), (39.3, 44.1), (58.0, 60.0)):
        samples, rate = span_of_recording(archive, recording, start=start, end=end, channel=1)
        first = round(start * 16_000)
        assert rate == 16_000
        assert samples == pytest.approx(
            soundfile.read(path)[0][first : first + len(samples), 1], abs=1e-6
        )
        assert len(samples) == round((end - start) * 16_000)
    assert sum(read) < path.stat().st_size / 2
    bucket.put("long.wav", write_wav(path, sound / 2, subtype=kind))  # as long as before
    with pytest.raises(NotFoundError, match="no longer there, or has changed"):
        span_of_recording(archive, recording, start=39.0, end=40.0, channel=1)


@on_s3_and_azure
def test_check_locations_and_forget_see_what_became_of_objects(filled: Library, bucket: Bucket):
    assert list(check(filled, audio=True)) == []
    gone, changed, kept = (f"{bucket.url}/calls/2026/anger-{n}.wav" for n in range(3))
    bucket.store.delete(gone.removeprefix(f"{bucket.url}/"))
    bucket.put(changed.removeprefix(f"{bucket.url}/"), b"other")
    damage = {one.what.split(" (")[0] for one in check(filled, audio=True)}
    assert damage == {"its file is gone", "its file is not what was ingested"}
    assert filled.vanished() == [gone]
    assert len(filled.recordings(missing=True)) == 1
    assert filled.drop_vanished() == 1
    by_path = {clip.path: clip.recording_id for clip in filled.clips()}
    assert filled.remove_files(by_path[changed]) == ([], [(changed, "holds something else now")])
    assert filled.remove_files(by_path[kept]) == ([kept], [])
    assert objects.is_gone(kept)
    assert not objects.is_gone(f"{bucket.url.partition(':')[0]}://no-such-bucket/kept.wav")


def test_a_folder_that_was_moved_into_a_bucket_is_known_there(
    archive: Library, bucket: Bucket, voices: Path
):
    archive.ingest(find_audio([str(voices)]).files)
    for path in voices.glob("*-0.wav"):
        bucket.put(f"moved/{path.name}", path)
    done = archive.relocate(str(voices), f"{bucket.url}/moved/")
    assert done.moved == 4
    assert {why for _, why in done.left} == {
        f"{bucket.url}/moved/{path.name} is not there"
        for path in voices.glob("*.wav")
        if not path.name.endswith("-0.wav")
    }
    report = archive.ingest(Scan([f"{bucket.url}/moved"]))
    assert (report.known, report.recordings) == (4, 0)


@on_s3_and_azure
def test_a_manifest_in_a_bucket_names_objects_relative_to_itself(bucket: Bucket):
    url = bucket.put("set/labels.csv", b"path,label\na.wav,sad\n../b.wav,angry\n,x\n")
    rows = manifest_named(url)
    assert rows.rows[f"{bucket.url}/set/a.wav"] == Annotations(labels={"emotion": "sad"})
    assert list(rows.rows)[1] == f"{bucket.url}/b.wav"
    assert rows.problems == [(f"{url}: line 4", "no path")]
    with pytest.raises(InvalidInputError, match=f"{bucket.url}/none.csv cannot be read: no such"):
        manifest_named(f"{bucket.url}/none.csv")
    with pytest.raises(InvalidInputError, match=r"no \.\."):
        manifest_named(f"{bucket.url}/../../outside/labels.csv")


def test_the_command_takes_a_bucket_in_and_keeps_credentials_to_itself(
    bucket: Bucket, voices: Path, tmp_path: Path
):
    home = ["--home", str(tmp_path / "home")]
    bucket.put("set/angry.wav", voices / "anger-0.wav")
    url = bucket.put("set/labels.csv", b"path,label\nangry.wav,sad\ngone.wav,sad\n")
    done = run("ingest", "--manifest", url, "--model", "acoustic", "--json", *home)
    assert json.loads(done.stdout)["recordings"] == 1
    assert f"error: {bucket.url}/set/gone.wav: cannot be read (no such object, " in done.stderr
    assert done.exit_code == 1
    found = run("search", "--clip", "1", "--include-self", "--json", *home)
    shown = done.stdout + done.stderr + found.stdout + found.stderr
    kept = b"".join(one.read_bytes() for one in (tmp_path / "home").rglob("*") if one.is_file())
    for secret in (KEY, SECRET):
        assert secret not in shown
        assert secret.encode() not in kept


@pytest.mark.parametrize(
    ("bucket", "url", "environment", "says"),
    [
        ("s3", "s3://no-such-bucket/x", {}, "no such bucket"),
        ("s3", "BUCKET/none.wav", {}, "no such object, and none below it"),
        ("s3", "BUCKET", {"AWS_ACCESS_KEY_ID": "nobody"}, "access is denied"),
        ("s3", "BUCKET", {"AWS_SECRET_ACCESS_KEY": "wrong"}, "access is denied"),
        ("s3", "BUCKET", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "cannot be reached"),
        ("s3", "s3://me:secret@bucket/x", {}, "addresses hold no credentials"),
        ("s3", "s3:///x", {}, "names no bucket"),
        ("s3", "BUCKET/a//b.wav", {}, "empty path segment"),
        ("az", "az://no-such-bucket/x", {}, "no such bucket"),
        ("az", "BUCKET/none.wav", {}, "no such object, and none below it"),
        ("az", "BUCKET", {"AZURE_STORAGE_ACCOUNT_KEY": "b3RoZXI="}, "access is denied"),
        ("az", "BUCKET", {"AZURITE_BLOB_STORAGE_URL": "http://127.0.0.1:9"}, "cannot be reached"),
        ("az", "BUCKET", {"AZURE_STORAGE_USE_EMULATOR": "false"}, "no credentials are found"),
    ],
    indirect=["bucket"],
)
def test_what_cannot_be_read_is_an_error_of_one_line(
    archive: Library,
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    environment: dict[str, str],
    says: str,
):
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setattr(objects, "_RETRIES", {"max_retries": 0})
    objects._client.cache_clear()
    home = str(archive.settings.home)
    result = run("ingest", url.replace("BUCKET", bucket.url), "--model", "acoustic", "--home", home)
    objects._client.cache_clear()
    shown = result.output + str(result.exception or "")
    assert says in shown
    assert "secret@" not in shown
    assert result.exit_code != 0
