"""Configuration files, ``emotion-search.toml``: of an archive's home, of a project, of a user."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs

from emotion_search.index.database.nearest import nearest
from emotion_search.index.errors import InvalidInputError

NAME = "emotion-search.toml"


def user_file() -> Path | None:
    """The user's file, ``~/.config/emotion-search/emotion-search.toml`` on Linux; None for one
    without a home directory."""
    with suppress(RuntimeError):
        return platformdirs.user_config_path("emotion-search", appauthor=False) / NAME
    return None


def project_file() -> Path | None:
    """The file of the working folder, or else of the nearest folder above that has one.

    Raises:
        InvalidInputError: it is another user's, who could so name the database that is written to.
    """
    with suppress(FileNotFoundError):  # the working folder was removed
        for folder in (here := Path.cwd(), *here.parents):
            path = folder / NAME
            if path.is_file():
                if os.name == "posix" and path.stat().st_uid not in (0, os.getuid()):
                    raise InvalidInputError(f"{path} belongs to another user, and is not read")
                return path
    return None


def read_file(path: Path, known: Collection[str]) -> dict[str, Any]:
    """The settings in a file, none where there is no file; a relative home is from its folder.

    Raises:
        InvalidInputError: it cannot be read, is no TOML, or has a setting that is not ``known``.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # no TOML, or no text
        raise InvalidInputError(f"{path}: {error}") from error
    for name in values:
        if name not in known:
            raise InvalidInputError(f"{path}: no setting {name}{nearest(name, known)}")
    if isinstance(values.get("home"), str) and values["home"]:
        with suppress(RuntimeError):  # of no such user: named when it is used
            home = path.parent / Path(values["home"]).expanduser()
            values["home"] = os.path.normpath(home)
    return {name: value for name, value in values.items() if value != ""}
