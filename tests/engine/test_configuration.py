"""Configuration files: which goes before which, what is refused, what is not shown."""

import os
from pathlib import Path

import pytest

from emotion_search.engine.archive.database import shown_settings
from emotion_search.engine.settings import layers, load_settings
from emotion_search.index.errors import InvalidInputError

NAME = "emotion-search.toml"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project's file, read below its folder; the user's is ``user``, the home ``home``."""
    for name in [one for one in os.environ if one.startswith("EMOTION_SEARCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(
        "emotion_search.engine.settings._user_file", lambda: tmp_path / "user" / NAME
    )
    for name in ("user", "home", "project/below"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project" / "below")
    return tmp_path / "project" / NAME


def test_option_before_environment_before_home_before_project_before_user(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
):
    assert load_settings(home=tmp_path / "home").window == 15
    windows = []
    (tmp_path / "user" / NAME).write_text("window = 3\ndecoders = 4")
    windows.append(load_settings(home=tmp_path / "home").window)
    project.write_text('window = 4\nhome = "../home"')
    windows.append(load_settings().window)
    (tmp_path / "home" / NAME).write_text("window = 5")
    windows.append(load_settings().window)
    monkeypatch.setenv("EMOTION_SEARCH_WINDOW", "6")
    windows.append(load_settings().window)
    found = load_settings(window=7)
    assert [*windows, found.window] == [3, 4, 5, 6, 7]
    assert (found.decoders, found.home) == (4, tmp_path / "home")
    assert list(layers()) == [
        "option",
        "environment",
        *(str(path) for path in (tmp_path / "home" / NAME, project, tmp_path / "user" / NAME)),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("widow = 3", r"emotion-search.toml: no setting widow; did you mean window\?"),
        ("window = 0", r"setting window \(.*emotion-search.toml\)"),
        ("[[", "emotion-search.toml: "),
        (b"model = '\xff'", "emotion-search.toml: "),
    ],
)
def test_a_file_that_cannot_be_meant_is_named(project: Path, text: str | bytes, message: str):
    project.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InvalidInputError, match=message):
        load_settings()


def test_the_home_s_own_file_names_no_other_home(tmp_path: Path):
    (tmp_path / "home" / NAME).write_text('home = "elsewhere"')
    with pytest.raises(InvalidInputError, match="no setting home"):
        load_settings(home=tmp_path / "home")


def test_another_user_s_project_is_not_read(project: Path, monkeypatch: pytest.MonkeyPatch):
    project.write_text("window = 3")
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    os.chown(project, 4712, -1) if os.geteuid() == 0 else None
    with pytest.raises(InvalidInputError, match="belongs to another user"):
        load_settings()


def test_passwords_are_not_shown(project: Path):
    project.write_text('database_url = "postgresql+psycopg://me:secret@host/db?password=other"')
    shown = str(shown_settings(load_settings())["database_url"])
    assert shown == "postgresql+psycopg://me:***@host/db?password=***"
    project.write_text('database_url = "secret"')
    assert shown_settings(load_settings())["database_url"] == "***"


@pytest.mark.parametrize("address", ["/srv/uploads", "s3://me:secret@bucket/x", "ftp://host/x"])
def test_uploads_go_to_an_address_without_credentials(address: str):
    with pytest.raises(InvalidInputError, match="such as s3://BUCKET/PREFIX") as refused:
        load_settings(uploads=address)
    assert "secret" not in str(refused.value)
