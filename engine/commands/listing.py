"""What an archive holds, row by row: ``list``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from emotion_search.engine.commands.common import (
    ArchiveOptions,
    JsonOption,
    OrderOption,
    ascending,
    choice,
    notice,
    print_json,
)
from emotion_search.index.database.filters import EMOTION
from emotion_search.index.database.nearest import nearest
from emotion_search.index.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from emotion_search.engine.library.library import Library
    from emotion_search.index.database.clips import ClipDetails
    from emotion_search.index.database.filters import ClipFilter
    from emotion_search.index.database.recording_details import RecordingDetails

_KINDS = ("recordings", "clips", "sources", "speakers", "labels", "tasks")
_ORDERS = {
    "recorded_at": ("newest", "oldest"),
    "duration": ("longest", "shortest"),
    "share": ("share", ""),
}
_PAGE = 500


def list_archive(
    archive: ArchiveOptions,
    wanted: ClipFilter,
    what: Annotated[str, typer.Argument(metavar="|".join(_KINDS), help="What is listed.")],
    limit: Annotated[int, typer.Option("--limit", "-k", min=0, help="Most rows; 0 for all.")] = 100,
    sort: Annotated[
        str | None,
        typer.Option(
            help="Most or latest first: recorded_at, duration; of clips also score, arousal,"
            " valence, dominance, or an emotion, by its own score; of recordings share, that of"
            " their clips' time that passes."
        ),
    ] = None,
    order: OrderOption = None,
    as_json: JsonOption = False,
) -> None:
    """List recordings, clips, sources, speakers, labels, tasks.

    Filters choose clips; a recording is listed if one of its clips is chosen. --task names the task
    whose labels are listed.

    \b
    emotion-search list recordings --source support-2026 --sort recorded_at
    emotion-search list recordings --emotion angry --sort share
    emotion-search list clips --label anger --limit 0 --json
    emotion-search list speakers
    emotion-search list labels --task satisfaction
    """
    kind = choice("list", what, _KINDS)
    least = ascending(order)
    if kind == "recordings" and sort == "share":
        within = replace(wanted, sources=(), after=None, before=None, metadata={})
        if within.is_empty:
            raise InvalidInputError("--sort share goes with what chooses clips, such as --emotion")
    if kind not in ("recordings", "clips") and sort is not None:
        raise InvalidInputError(f"{kind} come by how many clips they have; leave out --sort")
    with archive.open(wanted=wanted) as library:
        limit = min(limit, 2**31)
        most = limit + 1 if limit else 2**31  # one more says that there are more
        if kind == "recordings":
            rows, record, table = _recordings(library, wanted, sort, least)
        elif kind == "clips":
            rows, record, table = _clips(library, wanted, sort, least, most)
        else:
            rows, record, table = _counts(library, kind, wanted)
        listed = islice(rows, limit or None)
        if as_json:
            for row in listed:
                print_json(record(row))
        elif some := list(listed):
            table(some)
        else:
            notice(f"no {kind} match")
        if next(rows, None) is not None:
            notice(f"these are the first {limit}; --limit 0 lists all")


Listed = tuple[Iterator[Any], Callable[[Any], Any], Callable[[list[Any]], None]]
"""Rows, what makes plain data of one, and what prints a table of them."""


def _recordings(library: Library, wanted: ClipFilter, sort: str | None, least: bool) -> Listed:
    from emotion_search.engine.commands.show.rows import print_recordings
    from emotion_search.engine.transfer.records import recording_record

    order = "id"
    if sort is not None:
        order = _ORDERS[choice("--sort", sort, _ORDERS)][least]
        if not order:
            raise InvalidInputError("--sort share has the most first; leave out --order asc")

    def rows() -> Iterator[RecordingDetails]:
        skip = 0
        while page := library.find_recordings(wanted, order=order, limit=_PAGE, skip=skip)[0]:
            yield from page
            skip += len(page)

    return rows(), recording_record, print_recordings


def _clips(
    library: Library, wanted: ClipFilter, sort: str | None, least: bool, most: int
) -> Listed:
    from emotion_search.engine.commands.show.hits import print_clips, print_sorted
    from emotion_search.engine.transfer.records import clip_record

    def every() -> Iterator[ClipDetails]:
        after = 0
        while page := library.clips(wanted, limit=_PAGE, after_id=after):
            yield from page
            after = page[-1].id

    sure = library.settings.min_confidence
    if sort is None:
        return every(), clip_record, lambda some: print_clips(some, sure, {})
    found = library.sorted_clips(sort, wanted, ascending=least, limit=most).clips
    return (
        iter(found),
        lambda one: clip_record(one.clip),
        lambda some: print_sorted(some, sort, sure),
    )


def _counts(library: Library, kind: str, wanted: ClipFilter) -> Listed:
    from emotion_search.engine.commands.show.rows import print_counts
    from emotion_search.index.database.known_values import ValueKind

    rows: list[dict[str, Any]]
    tasks = library.tasks()
    if kind == "labels" and wanted.task not in (*tasks, EMOTION):
        raise NotFoundError(
            f"no clip has a label under the task {wanted.task}{nearest(wanted.task, tasks)}"
        )
    if kind == "tasks":
        rows = [{"task": task, "labels": number} for task, number in tasks.items()]
    else:
        name: ValueKind = choice("list", kind.removesuffix("s"), get_args(ValueKind))
        rows = [
            {name: one.value, "recordings": one.recordings, "clips": one.clips}
            for one in library.values(name, wanted)
        ]
    return iter(rows), dict, print_counts
