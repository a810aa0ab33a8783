"""The installed package: its public names, their types, and nothing else at the top."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import emotion_search
from tests.conftest import ROOT


def test_every_public_name_is_there():
    for name in emotion_search.__all__:
        assert getattr(emotion_search, name).__module__.startswith("emotion_search.")
    assert not hasattr(emotion_search, "Nothing")


def test_importing_the_package_loads_no_library():
    heavy = "{'numpy', 'sqlalchemy', 'torch', 'faiss', 'fastapi', 'typer', 'pydantic', 'logging'}"
    code = f"import sys, emotion_search; sys.exit(bool({heavy} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.slow
def test_a_wheel_is_one_typed_package_that_a_users_mypy_understands(tmp_path: Path):
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(site)
    tops = {path.name for path in site.iterdir() if not path.name.endswith(".dist-info")}
    assert tops == {"emotion_search"}
    package = site / "emotion_search"
    for part in (
        "py.typed",
        "cli.py",
        "migrations/env.py",
        "engine/api/dashboard/static/index.html",
    ):
        assert (package / part).is_file(), part

    user = tmp_path / "user.py"
    user.write_text(
        "from emotion_search import Library, load_settings\n"
        "reveal_type(Library.open(load_settings()).search(1)[0].similarity)\n"
        "Library.open(load_settings()).search(1, limit='ten')\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "user.py"]
    command += ["--cache-dir=/dev/null"]  # nobody asks again
    checked = subprocess.run(
        command, cwd=tmp_path, env={"MYPYPATH": str(site)}, capture_output=True, text=True
    )
    assert 'Revealed type is "float"' in checked.stdout.replace("builtins.", ""), checked.stdout
    assert 'Argument "limit"' in checked.stdout
    assert "Found 1 error in 1 file" in checked.stdout
