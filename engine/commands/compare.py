"""How alike files and clips are, and their emotions side by side: ``compare``."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emotion_search.engine.commands.common import (
    JsonOption,
    ModelOptions,
    OverwriteOption,
    audio_files,
    claim,
    importing,
    print_json,
    say_error,
)
from emotion_search.index.errors import EmotionSearchError, InvalidInputError

if TYPE_CHECKING:
    from emotion_search.engine.library.compare import Comparison

_WIDE = 6  # columns of a matrix on a terminal


def compare(
    archive: ModelOptions,
    things: Annotated[
        list[str] | None, typer.Argument(help="Audio files, and folders of them.")
    ] = None,
    clip: Annotated[
        list[int] | None, typer.Option(min=1, metavar="N", help="A clip, by id; repeatable.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Write the matrix of cosines here; - for stdout.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the matrix here as a picture.")] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say how alike files and clips are, and their emotions.

    \b
    emotion-search compare a.wav b.wav --model voice
    emotion-search compare call.wav --clip 42
    emotion-search compare takes/ --csv takes.csv --html takes.html

    In an archive of the model they are compared in its space, as a search does, with percentiles
    among random pairs of its clips; without one, by their embeddings. Files are not taken in.
    """
    with importing():
        from emotion_search.engine.library.compare import compare as compare_all

    claim(csv, html, overwrite=overwrite)
    each: list[int | Path] = [path for one in things or [] for path in audio_files(one)]
    each += clip or []
    if len(each) > _WIDE and not (as_json or csv or html):
        raise InvalidInputError(
            f"{len(each)} are too many for a table here; use --html FILE, --csv FILE or --json"
        )
    settings = archive.settings()
    found = compare_all(settings, each)
    for name, reason in found.unusable:
        meant = name.isdecimal() and reason == "is not there"
        hint = f"; clip {name} is asked for by --clip {name}" if meant else ""
        say_error(f"{name}: {reason}{hint}")
    if len(found.things) < 2:
        raise EmotionSearchError("fewer than two of them can be compared")
    if csv is not None:
        _write(csv, found)
    if html is not None:
        from emotion_search.engine.pages.compare import write_matrix

        write_matrix(found, html)
    if as_json:
        print_json(
            {
                "things": [vars(one) for one in found.things],
                "cosines": found.cosines.round(6).tolist(),
                "percentiles": None
                if found.percentiles is None
                else found.percentiles.round(3).tolist(),
            }
        )
    elif csv is None and html is None:
        _print(found, settings.min_confidence)
    elif str(csv) != "-":
        print(f"matrix in {' and '.join(str(one) for one in (csv, html) if one)}")
    if found.unusable:
        raise typer.Exit(1)


def _write(target: Path, found: Comparison) -> None:
    from emotion_search.engine.files.atomic import put
    from emotion_search.engine.files.tables import CsvWriter

    names = [one.name for one in found.things]
    text = io.StringIO()
    rows = CsvWriter(text)
    rows.row(["", *names])
    for name, row in zip(names, found.cosines.round(6).tolist(), strict=True):
        rows.row([name, *row])
    if str(target) == "-":
        sys.stdout.write(text.getvalue())
    else:
        put(target, text.getvalue())


def _print(found: Comparison, min_confidence: float) -> None:
    from emotion_search.engine.commands.show.hits import short, top_emotion
    from emotion_search.engine.commands.show.tables import PlainTable

    table = PlainTable()
    table.column("", justify="right")
    table.column("file")
    table.column("emotion", no_wrap=True)
    for number in range(1, len(found.things)):
        table.column(str(number), justify="right", no_wrap=True)
    for row, one in enumerate(found.things):
        cells = [_cell(found, row, column) for column in range(len(found.things) - 1)]
        table.row(str(row + 1), short(one.name), top_emotion(one, min_confidence), *cells)
    table.print()


def _cell(found: Comparison, row: int, column: int) -> str:
    """The cosine, and in brackets the percentile; nothing on and above the diagonal."""
    if column >= row:
        return ""
    cosine = f"{found.cosines[row, column]:.4f}"
    known = found.percentiles
    return cosine if known is None else f"{cosine} ({known[row, column]:.1f})"
