"""What commands share: options, settings, and how they speak on stderr."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from emotion_search.engine.settings import Settings, load_settings
from emotion_search.index.errors import InvalidInputError

if TYPE_CHECKING:  # numpy and SQLAlchemy would cost --help half a second
    from emotion_search.index.database.filters import ClipFilter

HomeOption = Annotated[
    str | None, typer.Option("--home", help="Folder of the archive.", show_default=False)
]
DatabaseOption = Annotated[
    str | None,
    typer.Option("--database", help="Database URL: sqlite:///… or postgresql+psycopg://…"),
]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", help="Hub id, checkpoint folder, or 'acoustic' (built in)."),
]
DeviceOption = Annotated[
    str | None, typer.Option("--device", help="Where the model runs: auto, cpu, cuda.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON lines for machines.")]
MetaOption = Annotated[
    list[str] | None, typer.Option("--meta", metavar="KEY=VALUE", help="Metadata; repeatable.")
]
PredictedOption = Annotated[
    list[str] | None,
    typer.Option("--predicted", help="Only what a classifier calls this; repeatable."),
]
ProbabilityOption = Annotated[
    float, typer.Option("--min-probability", help="Least probability of what it says, 0 to 1.")
]
ClusterOption = Annotated[
    list[str] | None,
    typer.Option("--cluster", metavar="NAME:3", help="Only from this cluster; repeatable."),
]


def settings_of(
    home: str | None,
    database: str | None,
    model: str | None = None,
    device: str | None = None,
    **others: object,
) -> Settings:
    """The settings that these options make."""
    return load_settings(home=home, database_url=database, model=model, device=device, **others)


def moment(option: str, text: str | None) -> datetime | None:
    """The time that an option gives, in UTC.

    Raises:
        InvalidInputError: it is none; names the option.
    """
    from emotion_search.engine.files.values import parse_time

    if text is None:
        return None
    try:
        return parse_time(text)[0]
    except InvalidInputError as error:
        raise InvalidInputError(f"{option}: {error}") from error


def pairs(meta: list[str] | None) -> dict[str, str]:
    """The keys and values that ``--meta`` gives."""
    from emotion_search.engine.files.values import parse_pairs

    return parse_pairs(meta or [])


def clip_filter(
    source: list[str] | None,
    label: list[str] | None,
    speaker: list[str] | None,
    channel: list[str] | None,
    after: str | None,
    before: str | None,
    meta: list[str] | None,
    *,
    task: str = "emotion",
    predicted: list[str] | None = None,
    min_probability: float = 0.0,
    cluster: list[str] | None = None,
) -> ClipFilter:
    """The filter that these options make."""
    from emotion_search.index.database.filters import ClipFilter

    return ClipFilter(
        sources=tuple(source or ()),
        labels=tuple(label or ()),
        speakers=tuple(speaker or ()),
        channels=tuple(channel or ()),
        after=moment("--after", after),
        before=moment("--before", before),
        metadata=pairs(meta),
        task=task,
        predicted=tuple(predicted or ()),
        min_probability=min_probability,
        clusters=tuple(cluster or ()),
    )


def stdin_lines() -> list[str]:
    """Paths from standard input, one a line or ended by NUL, in whatever bytes they are."""
    text = os.fsdecode(sys.stdin.buffer.read())
    return [line for line in text.split("\0" if "\0" in text else "\n") if line.strip()]


def notice(text: str) -> None:
    """Tell something on stderr."""
    print(f"notice: {text}", file=sys.stderr)


def say_error(text: str) -> None:
    """Tell an error on stderr, in one line."""
    print(f"error: {text}", file=sys.stderr)


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
