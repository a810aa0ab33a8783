"""Exports and backups into a bucket and back, predictions of what lies in one."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from emotion_search.cli import app
from emotion_search.engine.library.library import Library
from emotion_search.engine.settings import Settings
from emotion_search.index.errors import (
    ConflictError,
    EmotionSearchError,
    StorageError,
    UnusableError,
)
from tests.buckets import Bucket, on_s3_and_azure
from tests.templates import Template

pytestmark = pytest.mark.slow


@pytest.fixture
def home(sqlite_settings: Settings, voices_archive: Template) -> list[str]:
    voices_archive.place(sqlite_settings)
    return ["--home", str(sqlite_settings.home)]


def run(*arguments: str) -> Result:
    """What a command does; its errors are raised."""
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def names(bucket: Bucket) -> list[str]:
    return sorted(one["path"] for some in bucket.store.list() for one in some)


def test_an_export_is_stored_once_it_is_whole(bucket: Bucket, home: list[str]):
    url = f"{bucket.url}/out/clips.jsonl"
    assert run("export", "--output", url, *home).stdout == f"12 clips in {url}\n"
    lines = bytes(bucket.store.get("out/clips.jsonl").bytes()).decode().splitlines()
    assert len(lines) == 12
    with pytest.raises(ConflictError, match="exists; choose another name, or say --overwrite"):
        run("export", "--output", url, *home)
    run("export", "--output", url, "--overwrite", "--label", "anger", *home)
    assert len(bytes(bucket.store.get("out/clips.jsonl").bytes()).splitlines()) == 3


@on_s3_and_azure
def test_a_folder_in_a_bucket_is_an_export_with_its_table_last(
    bucket: Bucket, home: list[str], monkeypatch
):
    from emotion_search.engine.files import outputs

    stored = []
    put = outputs.put_object
    monkeypatch.setattr(
        outputs, "put_object", lambda url, path: stored.append(url) or put(url, path)
    )
    url = f"{bucket.url}/set"
    done = run("export", "--output", f"{url}/", "--json", *home)
    assert json.loads(done.stdout) == {"path": f"{url}/", "clips": 12, "failed": 0}
    parts = ["about.json", "clips.csv", "embeddings.npy", "scores.npy"]
    assert names(bucket) == [f"set/{name}" for name in parts]
    assert stored[-1] == f"{url}/about.json"
    with pytest.raises(ConflictError, match=r"set exists; choose another name$"):
        run("export", "--output", url, "--overwrite", *home)


def test_what_fails_stores_nothing(bucket: Bucket, home: list[str], tmp_path: Path, monkeypatch):
    with pytest.raises(StorageError, match=r"no-such/x\.csv cannot be written: no such b"):
        run("export", "--output", "s3://no-such/x.csv", *home)
    with pytest.raises(EmotionSearchError, match="no archive"):
        run("export", "--output", f"{bucket.url}/x.csv", "--home", str(tmp_path / "none"))
    assert names(bucket) == []


@on_s3_and_azure
def test_a_backup_goes_to_a_bucket_and_comes_back(bucket: Bucket, home: list[str], tmp_path: Path):
    url = f"{bucket.url}/archive.tar"
    assert run("backup", url, *home).stdout.startswith(f"{url}: ")
    assert run("restore", url, "--dry-run").stdout.startswith(f"{url} is whole: ")
    run("restore", url, "--home", str(tmp_path / "new"))
    with Library.open(Settings(home=tmp_path / "new", model="acoustic")) as library:
        assert library.status().counts.clips == 12
    cut = bytes(bucket.store.get("archive.tar").bytes())[:5000]
    bucket.put("cut.tar", cut)
    with pytest.raises(UnusableError, match=rf"{bucket.url}/cut.tar is no backup, or is n"):
        run("restore", f"{bucket.url}/cut.tar", "--dry-run")
    with pytest.raises(UnusableError, match=f"{bucket.url}/none.tar: no such file"):
        run("restore", f"{bucket.url}/none.tar", "--dry-run")


def test_objects_are_predicted_as_files_are(bucket: Bucket, voices: Path, tmp_path: Path):
    path = voices / "anger-0.wav"
    bucket.put("calls/a.wav", path)
    bucket.put("calls/b.wav", b"no audio at all")
    model = ["--model", "acoustic", "--home", str(tmp_path / "home"), "--json"]
    (local,) = map(json.loads, run("predict", str(path), *model).stdout.splitlines())
    out = tmp_path / "out"
    both = run("predict", f"{bucket.url}/calls", "--output-dir", str(out), *model)
    first, second = map(json.loads, both.stdout.splitlines())
    assert first == {**local, "file": f"{bucket.url}/calls/a.wav"}
    assert second["file"].endswith("b.wav")
    assert second["error"]
    assert both.exit_code == 1
    assert json.loads((out / "a" / "result.json").read_text())["file"] == first["file"]
    none = run("predict", f"{bucket.url}/none.wav", *model)
    assert json.loads(none.stdout)["error"].startswith("cannot be read (no such object")
    assert none.exit_code == 1
