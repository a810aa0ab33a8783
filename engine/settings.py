"""Settings: from arguments, environment (``EMOTION_SEARCH_…``), configuration files, defaults."""

from __future__ import annotations

import logging
import operator
import os
import re
import tomllib
from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta
from functools import cache, reduce
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from emotion_search.index.database.addresses import is_object
from emotion_search.index.database.nearest import nearest
from emotion_search.index.errors import InvalidInputError, UnusableError
from emotion_search.index.vectors.kinds import is_address

_INDEXES = ("auto", "flat", "quantised")

log = logging.getLogger(__name__)

_PREFIX = "emotion_search_"  # of variables, in lower case

NAME = "emotion-search.toml"
"""Name of a configuration file: of an archive's home, of a project, of a user."""

DEFAULT_MODEL = "iic/emotion2vec_plus_large"
"""The model of a new archive when none is named."""


class Settings(BaseModel):
    """Everything that may be set: from arguments, the environment, its default; and as
    ``load_settings`` builds it, from configuration files before defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    home: Path = Field(
        default_factory=lambda: platformdirs.user_data_path("emotion-search", appauthor=False),
        description="Folder of the database, the saved index and uploaded recordings.",
    )
    database_url: str | None = Field(
        default=None,
        repr=False,  # it may have a password
        description="SQLAlchemy URL of the database; default: archive.db (SQLite) in the home.",
    )
    model: str | None = Field(
        default=None,
        description="Embedding model: a hub id, a checkpoint folder, or `voice`; default: the"
        f" archive's own, and {DEFAULT_MODEL} for a new archive.",
    )
    hub: Literal["modelscope", "huggingface"] = Field(
        default="modelscope", description="Where hub ids are downloaded from."
    )
    device: str = Field(
        default="auto", description="Where the model runs: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`."
    )
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32",
        description="Data type of matrix products; `bfloat16` is faster where hardware has it.",
    )
    window: float = Field(
        default=15.0, ge=1.0, description="Seconds of the longest clip; longer recordings are cut."
    )
    segments: Literal["speech", "fixed"] = Field(
        default="speech",
        description="Long recordings become stretches of `speech`, or `fixed` windows.",
    )
    hop: float | None = Field(
        default=None, gt=0.1, description="Seconds between the starts of fixed windows."
    )
    decoders: int = Field(default=2, ge=1, le=64, description="Processes that decode audio.")
    tune_at: int = Field(
        default=500,
        ge=0,
        description="Clips at which a bulk ingest fits the archive's first space; 0 for never.",
    )
    retention: str | None = Field(
        default=None,
        description="Age beyond which a server erases recordings, such as `90d`; by when they were"
        " recorded, or where that is unknown taken in.",
    )
    index: str = Field(
        default="auto",
        repr=False,  # it may have a token
        description="Search index: `flat` compares with every clip, `quantised` estimates first;"
        " `auto` goes by size. `milvus+https://TOKEN@HOST:19530` has an engine name candidates.",
    )
    max_upload_mb: float = Field(
        default=100.0, gt=0, description="Largest upload that the API takes, in megabytes."
    )
    max_upload_minutes: float = Field(
        default=240.0, gt=0, description="Longest recording that the API takes, in minutes."
    )
    max_example_minutes: float = Field(
        default=10.0, gt=0, description="Longest example that the API searches by, in minutes."
    )
    uploads: str = Field(
        default="",
        description="Where servers keep uploads: `s3://BUCKET/PREFIX` (or `gs://`, `az://`), which"
        " all servers on one database then share; default: the home.",
    )
    min_confidence: float = Field(
        default=0.4,
        ge=0,
        le=1,
        description="Least score of a clip's top class; below, the clip counts as uncertain.",
    )
    jobs: int = Field(
        default=4, ge=1, le=32, description="Uploads that the API takes in at the same time."
    )
    cors_origins: str = Field(
        default="",
        description="Origins of web pages that may call the API, with commas between; `*` for any.",
    )
    root_path: str = Field(
        default="",
        description="Path below which a proxy has the HTTP service, such as `/emotions`.",
    )
    allowed_hosts: str = Field(
        default="",
        description="Host names, besides this machine's own, under which a server without keys"
        " answers, with commas between.",
    )
    webhook_hosts: str = Field(
        default="",
        description="Hosts to which webhooks may go though their addresses are private, and by"
        " plain HTTP, with commas between.",
    )
    task: str = Field(
        default="emotion",
        description="Task of labels where a command names none, such as `satisfaction`.",
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="What the server's log lines are."
    )

    @field_validator("retention")
    @classmethod
    def _is_age(cls, text: str | None) -> str | None:
        if text is not None:
            parse_age(text)
        return text

    @field_validator("uploads")
    @classmethod
    def _is_bucket(cls, text: str) -> str:
        if text and (not is_object(text) or "@" in text):
            raise ValueError("it is an address such as s3://BUCKET/PREFIX, without credentials")
        return text

    @field_validator("index")
    @classmethod
    def _is_index(cls, text: str) -> str:
        if text not in _INDEXES and not is_address(text):
            raise ValueError(f"it is one of {', '.join(_INDEXES)}, or milvus+https://HOST:19530")
        return text

    @model_validator(mode="before")
    @classmethod
    def _from_environment(cls, given: dict[str, Any]) -> dict[str, Any]:
        """What is given, and what the environment has of the rest."""
        return _environment() | given

    @property
    def database(self) -> str | Path:
        """The URL of the database in force, or its SQLite file."""
        return self.database_url or self.home / "archive.db"

    @property
    def index_folder(self) -> Path:
        """Where indexes are saved."""
        return self.home / "index"

    @property
    def uploads_folder(self) -> Path:
        """Where recordings uploaded over the API are kept."""
        return self.home / "uploads"


def parse_age(text: str) -> timedelta:
    """The time that ``90d``, ``12w``, ``2y`` or ``36h`` say; a year has 365 days.

    Raises:
        ValueError: it says none, or none above zero.
    """
    found = re.fullmatch(r"(\d{1,5})([hdwy])", text.strip())
    if found is None or not int(found[1]):
        raise ValueError(f"{text!r} is no age such as 90d, 12w, 2y or 36h")
    return int(found[1]) * timedelta(hours={"h": 1, "d": 24, "w": 168, "y": 8760}[found[2]])


def _environment() -> dict[str, str]:
    """The settings in the environment; empty values count as not set. (pydantic-settings does the
    same, and imports asyncio and a command line for it.)"""
    there = {
        name.lower().removeprefix(_PREFIX): text
        for name, text in os.environ.items()
        if text and name.lower().startswith(_PREFIX)
    }
    _note_unknown(frozenset(there.keys() - Settings.model_fields.keys()))
    return {name: there[name] for name in Settings.model_fields if name in there}


@cache  # once
def _note_unknown(names: frozenset[str]) -> None:
    for name in sorted(names):
        if not name.startswith("test_"):
            variable = f"{_PREFIX}{name}".upper()
            log.warning("%s is no setting%s", variable, nearest(name, Settings.model_fields))


def _user_file() -> Path | None:
    """The user's file, ``~/.config/emotion-search/emotion-search.toml`` on Linux; None for one
    without a home directory."""
    with suppress(RuntimeError):
        return platformdirs.user_config_path("emotion-search", appauthor=False) / NAME
    return None


def _project_file() -> Path | None:
    """The file of the working folder, or else of the nearest folder above that has one.

    Raises:
        InvalidInputError: it is another user's, who could so name the database that is written to.
    """
    with suppress(FileNotFoundError):  # the working folder was removed
        for folder in (here := Path.cwd(), *here.parents):
            path = folder / NAME
            if path.is_file():
                if os.name == "posix" and path.stat().st_uid not in (0, os.getuid()):
                    raise UnusableError(f"{path} belongs to another user, and is not read")
                return path
    return None


def _read_file(path: Path, known: Collection[str]) -> dict[str, Any]:
    """The settings in a file, none where there is no file; a relative home is from its folder.

    Raises:
        InvalidInputError: it cannot be read, is no TOML, or has a setting that is not ``known``.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise UnusableError(f"{path} cannot be read: {error.strerror}") from error
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


def layers(**given: object) -> dict[str, dict[str, Any]]:
    """The settings that each place has, by place, from the one that goes before all others to the
    one that goes after: ``option`` (what is ``given``; None is not), ``environment``, and the files
    of the archive's home, of the project and of the user.

    Raises:
        InvalidInputError: a file cannot be used; names it.
    """
    known = Settings.model_fields
    found: dict[str, dict[str, Any]] = {
        "option": {name: value for name, value in given.items() if value not in (None, "")},
        "environment": _environment(),
    }
    paths = [path for path in (_project_file(), _user_file()) if path is not None]
    files = {str(path): _read_file(path, known) for path in paths}
    homes = [one["home"] for one in (*found.values(), *files.values()) if "home" in one]
    own = Path(homes[0] if homes else known["home"].get_default(call_default_factory=True)) / NAME
    with suppress(RuntimeError):  # of no such user: named below
        own = own.expanduser().absolute()
    if str(own) not in files:
        found[str(own)] = _read_file(own, known.keys() - {"home"})
    return found | files


def load_settings(**given: object) -> Settings:
    """Settings from ``given`` (None means not given), the environment, the configuration files of
    the archive's home, of the project and of the user, and the defaults.

    Raises:
        InvalidInputError: a value is out of range, or a file cannot be used; names it.
    """
    try:
        found = layers(**given)
        settings = Settings(**reduce(operator.or_, reversed(found.values())))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        place = next((place for place, values in found.items() if name in values), "option")
        if place in ("option", "environment"):
            place = f"EMOTION_SEARCH_{name.upper()}"
        raise InvalidInputError(
            f"setting {name} ({place}): {first['msg'].removeprefix('Value error, ')}"
        ) from error
    except RuntimeError as error:  # no HOME, and no such user
        raise InvalidInputError(
            "this user has no home directory: name the archive's folder by --home or"
            " EMOTION_SEARCH_HOME"
        ) from error
    check_windows(settings.segments, settings.window, settings.hop)
    try:
        return settings.model_copy(update={"home": settings.home.expanduser().absolute()})
    except RuntimeError as error:
        raise InvalidInputError(f"home {settings.home}: {error}") from error


def check_windows(segments: str, window: float, hop: float | None) -> None:
    """Refuse a hop that does not go with segments and window (seconds).

    Raises:
        InvalidInputError: it does not.
    """
    if hop is not None and (segments != "fixed" or hop > window):
        raise InvalidInputError(
            "--hop (EMOTION_SEARCH_HOP) goes with --segments fixed, and is at most the window"
        )
