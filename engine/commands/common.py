"""Options that commands share, the archive that they name, and messages on stderr."""

from __future__ import annotations

import codecs
import gc
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from emotion_search.engine.commands.words import counted
from emotion_search.index.errors import DatabaseError, InvalidInputError, UnusableError

if TYPE_CHECKING:  # pydantic, numpy and SQLAlchemy would cost --help half a second
    from emotion_search.engine.library.library import Library
    from emotion_search.engine.settings import Settings
    from emotion_search.index.database.filters import ClipFilter

T = TypeVar("T")
Choice = TypeVar("Choice", bound=str)

HomeOption = Annotated[
    str | None,
    typer.Option("--home", help="Folder of the archive.", show_default=False, is_eager=True),
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        help="Database URL: sqlite:///… or postgresql+psycopg://…",
        is_eager=True,  # known when --task is read
    ),
]
ModelOption = Annotated[
    str | None, typer.Option("--model", help="Hub id, checkpoint folder, or 'voice' (built in).")
]
DeviceOption = Annotated[
    str | None, typer.Option("--device", help="Where the model runs: auto, cpu, cuda.")
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Take the place of what is there.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON lines for machines.")]
MetaOption = Annotated[
    list[str] | None, typer.Option("--meta", metavar="KEY=VALUE", help="Metadata; repeatable.")
]


def as_compared(text: str | None) -> str | None:
    """A name of the archive's as it is compared, in NFC."""
    from emotion_search.index.database.text import clean

    return None if text is None else clean("--task", text)


def _task(context: typer.Context, text: str) -> str | None:
    """The task that is named, or else that of the settings."""
    if not text and not context.resilient_parsing:
        text = (
            ArchiveOptions(context.params.get("home"), context.params.get("database"))
            .settings()
            .task
        )
    return as_compared(text)


TaskOption = Annotated[
    str,
    typer.Option(
        "--task",
        help="Task of labels and predictions, such as satisfaction.",
        callback=_task,
        show_default="emotion, or as set",
    ),
]
SortOption = Annotated[
    str | None,
    typer.Option(
        "--sort",
        metavar="score|recorded_at|duration|arousal|valence|dominance|EMOTION",
        help="List clips in this order, most or latest first; an emotion means its own score.",
    ),
]
OrderOption = Annotated[
    str | None, typer.Option("--order", metavar="desc|asc", help="Of --sort: most first, or least.")
]
SeedOption = Annotated[
    int, typer.Option("--seed", min=0, max=2**31 - 1, help="Of everything random.")
]


@contextmanager
def importing() -> Iterator[None]:
    """Within, much is imported. It stays, so the garbage collector is to look through none of it, a
    third of the time of a short command: not now, and not when the program ends."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


_opened: ContextVar[Library | None] = ContextVar("opened", default=None)


until_end: ContextVar[ExitStack] = ContextVar("until_end")
"""What is closed when the command ends."""


def damage_behind(error: Exception) -> DatabaseError | None:
    """What to raise in place of an error, where it is the archive's that was opened last."""
    library = _opened.get()
    return None if library is None else library.database.damage_behind(error)


def open_library(settings: Settings, *, create: bool = False) -> Library:
    """The archive that the settings name, opened; ``damage_behind`` knows it."""
    with importing():
        from emotion_search.engine.library.library import Library

    library = Library.open(settings, create=create)
    _opened.set(library)
    return library


@dataclass(frozen=True)
class ArchiveOptions:
    """The archive that is named."""

    home: HomeOption = None
    database: DatabaseOption = None

    def settings(self, **others: object) -> Settings:
        """The settings that these options make, and ``others``."""
        from emotion_search.engine.settings import load_settings

        given = {**vars(self), **others}
        return load_settings(database_url=given.pop("database"), **given)

    def open(
        self, *, create: bool = False, wanted: ClipFilter | None = None, **others: object
    ) -> Library:
        """The archive, opened; prints what it does not know of ``wanted``.

        Raises:
            NotFoundError: no clip has any of the values of one filter.
        """
        library = open_library(self.settings(**others), create=create)
        if wanted is not None:
            try:
                for sentence in library.unknown_values(wanted):
                    notice(sentence)
            except BaseException:
                library.close()
                raise
        return library


@dataclass(frozen=True)
class ModelOptions(ArchiveOptions):
    """The archive that is named, and its model."""

    model: ModelOption = None
    device: DeviceOption = None


def print_json(record: object) -> None:
    """Print a record as a line of JSON on stdout, escaped where stdout is not UTF-8; times are in
    ISO 8601."""
    utf8 = codecs.lookup(sys.stdout.encoding or "ascii").name == "utf-8"
    print(json.dumps(record, ensure_ascii=not utf8, default=_plain), flush=True)


def _plain(value: Any) -> object:
    return value.isoformat() if isinstance(value, datetime) else dict(value)


def print_found(
    found: Sequence[T],
    as_json: bool,
    record: Callable[[T], object],
    table: Callable[[Sequence[T]], None],
    nothing: str,
) -> None:
    """Print what was found as lines of JSON or as a table; a notice where that is nothing."""
    if as_json:
        for one in found:
            print_json(record(one))
    elif found:
        table(found)
    else:
        notice(nothing)


def choice(option: str, text: str, choices: Iterable[Choice]) -> Choice:
    """The one of two or more ``choices`` that an option names.

    Raises:
        InvalidInputError: it names none of them; lists them.
    """
    for one in choices:
        if one == text:
            return one
    *others, last = choices
    raise InvalidInputError(f"{option} {text}: choose {', '.join(others)} or {last}")


def ascending(order: str | None) -> bool:
    """Whether ``--order`` is ``asc``.

    Raises:
        InvalidInputError: it is neither that nor ``desc``.
    """
    return choice("--order", order or "desc", ("asc", "desc")) == "asc"


def moment(option: str, text: str | None, zone: tzinfo | None = None) -> datetime | None:
    """The time that an option gives, in UTC; in ``zone`` where it names none.

    Raises:
        InvalidInputError: it is none; names the option.
    """
    from emotion_search.engine.files.values import parse_time

    if text is None:
        return None
    try:
        return parse_time(text, zone=zone)[0]
    except InvalidInputError as error:
        raise InvalidInputError(f"{option}: {error}") from error


def age(option: str, text: str) -> timedelta:
    """The time that an option such as ``90d`` gives.

    Raises:
        InvalidInputError: it gives none; names the option.
    """
    from emotion_search.engine.settings import parse_age

    try:
        return parse_age(text)
    except ValueError as error:
        raise InvalidInputError(f"{option}: {error}") from error


def lock_output(path: Path) -> None:
    """Have other runs refused that write this file or folder, until the command ends.

    Raises:
        ConflictError: another run is writing it.
    """
    from emotion_search.engine.files.disk import output_lock

    until_end.get().enter_context(output_lock(path))


def claim(*targets: Path | None, overwrite: bool) -> None:
    """Refuse files that cannot be written, or that another run is writing, before anything is done
    for them; until the command ends no other run writes them. None and -, stdout, are fine.

    Raises:
        InvalidInputError: two of them are one file.
        ConflictError, UnusableError: see ``lock_output`` and ``check_target``.
    """
    from emotion_search.engine.pages.page import check_target

    places = [os.path.realpath(path) for path in targets if path is not None]
    if len({*places}) < len(places):
        raise InvalidInputError(f"two outputs, one name: {max(places, key=places.count)}")
    for path in targets:
        if path is not None and str(path) != "-":
            lock_output(path)
        check_target(path, overwrite=overwrite)


def pairs(meta: list[str] | None) -> dict[str, str]:
    """The keys and values that ``--meta`` gives."""
    from emotion_search.engine.files.values import parse_pairs

    return parse_pairs(meta or [])


def stdin_lines() -> list[str]:
    """Paths from standard input, one a line or ended by NUL, in whatever bytes they are."""
    text = os.fsdecode(sys.stdin.buffer.read())
    return [line for line in text.split("\0" if "\0" in text else "\n") if line.strip()]


def audio_files(named: str) -> list[Path]:
    """A file, or the audio files of a folder by path.

    Raises:
        UnusableError: the folder has none.
    """
    from emotion_search.engine.files.scan import Scan

    if not Path(named).is_dir():
        return [Path(named)]
    files = [Path(one.path) for one in Scan([named])]
    if not files:
        raise UnusableError(f"{named} holds no audio files")
    return files


_no_notices = ContextVar("no_notices", default=False)
_SHOWN = 20  # lines of a kind


def notice(text: str) -> None:
    """Print a notice on stderr, in one line."""
    if not _no_notices.get():
        print(f"notice: {' '.join(text.split())}", file=sys.stderr)


@contextmanager
def without_notices(quiet: bool) -> Iterator[None]:
    """Within, notices and warnings are not printed, if ``quiet``."""
    before, disabled = _no_notices.set(quiet), logging.root.manager.disable
    if quiet:
        logging.disable(logging.WARNING)
    try:
        yield
    finally:
        _no_notices.reset(before)
        logging.disable(disabled)


def note_forgotten(number: int, what: str) -> None:
    """Say that content was passed over because it was forgotten before."""
    if number:
        notice(f"{counted(number, what)} passed over, forgotten before; --again takes back such")


def say_error(text: str) -> None:
    """Print an error on stderr, in one line."""
    print(f"error: {' '.join(text.split())}", file=sys.stderr)


def say_first(
    texts: Sequence[str], rest: str = "more", say: Callable[[str], None] = say_error
) -> None:
    """Say the first twenty on stderr, a line each, and how many more there are."""
    for text in texts[:_SHOWN]:
        say(text)
    if len(texts) > _SHOWN:
        say(f"… and {len(texts) - _SHOWN} {rest}")


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C (or SIGTERM) sets; the second one ends the program at once."""
    stop = threading.Event()

    def first(_number: int, _frame: object) -> None:
        stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        notice("finishing the batch in hand; again to stop at once")

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, first) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
