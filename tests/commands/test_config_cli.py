"""``config show``, and the task that commands share."""

from pathlib import Path

import pytest

from tests.commands.test_cli import run

__all__ = ["run"]


def test_each_setting_is_shown_with_where_it_comes_from(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMOTION_SEARCH_JOBS", "7")
    (tmp_path / "emotion-search.toml").write_text('task = "mood"\n')
    shown = {one["setting"]: one for one in run("config", "show", "--json").records}
    assert (shown["jobs"]["value"], shown["jobs"]["from"]) == (7, "EMOTION_SEARCH_JOBS")
    assert shown["task"]["from"] == str(tmp_path / "emotion-search.toml")
    assert shown["window"]["from"] == "default"
    assert str(tmp_path / "home" / "emotion-search.toml") in run("config", "show").out


def test_commands_share_the_task_that_is_set(run, tmp_path: Path, monkeypatch):
    (tmp_path / "home").mkdir()
    run("migrate")
    (tmp_path / "home" / "emotion-search.toml").write_text('task = "mood"\n')
    for command in ("classify", "suggest", "search --clip 1", "trend --by week"):
        refused = run(*command.split(), "--label", "low")
        assert (refused.code, "under the task mood" in refused.err) == (1, True)
    named = run("classify", "--task", "calm", "--label", "low")
    assert "under the task calm" in named.err
