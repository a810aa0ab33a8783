"""``search``: clips that sound like examples, or those with the most of something."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from emotion_search.engine.commands.common import (
    JsonOption,
    ModelOptions,
    OrderOption,
    SortOption,
    ascending,
    choice,
    notice,
    print_json,
)
from emotion_search.index.errors import InvalidInputError, UnusableError

if TYPE_CHECKING:
    from emotion_search.index.database.filters import ClipFilter

_ACROSS = "--across (or --exclude-same)"


def search(
    archive: ModelOptions,
    wanted: ClipFilter,
    examples: Annotated[
        list[Path] | None, typer.Argument(help="Audio files that sound like what you look for.")
    ] = None,
    clip: Annotated[
        list[int] | None,
        typer.Option(min=1, metavar="N", help="A clip of the archive as example; repeatable."),
    ] = None,
    unlike: Annotated[
        list[Path] | None,
        typer.Option(help="An audio file that hits should not sound like; repeatable."),
    ] = None,
    unlike_clip: Annotated[
        list[int] | None,
        typer.Option(min=1, metavar="N", help="A clip that they should not; repeatable."),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(
            help="What clips should sound like, in words, of models that know texts; repeatable."
        ),
    ] = None,
    unlike_text: Annotated[
        list[str] | None, typer.Option(help="What they should not, in words; repeatable.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-k", help="Most hits.")] = 10,
    exclude_same: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude-same",
            "--across",
            metavar="recording|speaker|source",
            help="Leave out the example's own.",
        ),
    ] = None,
    example_speaker: Annotated[
        str | None, typer.Option(help="Who speaks in the files, as the archive names them.")
    ] = None,
    example_source: Annotated[
        str | None, typer.Option(help="Where the files are from, as the archive names it.")
    ] = None,
    per_recording: Annotated[
        int, typer.Option(min=0, help="Most hits of one recording; 0 for all.")
    ] = 1,
    distinct: Annotated[
        float | None,
        typer.Option(
            metavar="COSINE", help="Leave out hits that are as alike as this to a better one."
        ),
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Compare with every clip, whatever the index.")
    ] = False,
    sort: SortOption = None,
    order: OrderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find clips that sound like examples, or as words say.

    With --sort: those that have the most of something, without an example.

    \b
    emotion-search search angry.wav --limit 10
    emotion-search search --clip 42 --source support-2026 --after 2026-01-01
    emotion-search search angry.wav loud.wav --unlike-clip 7
    emotion-search search --clip 42 --emotion angry --min-score 0.8
    emotion-search search call.wav --across speaker --example-speaker "caller 17"
    emotion-search search --text "an angry customer" --clip 42
    emotion-search search --sort angry --after 2026-01-01
    emotion-search search --emotion angry --sort recorded_at --per-recording 0
    """
    from emotion_search.engine.commands.show.hits import print_hits, print_sorted
    from emotion_search.engine.query.examples import TextExample
    from emotion_search.engine.query.query import ExcludeSame
    from emotion_search.engine.transfer.records import clip_record, hit_record

    least = ascending(order)
    if sort is not None:
        with archive.open(wanted=wanted) as library:
            page = library.sorted_clips(
                sort, wanted, ascending=least, limit=limit, per_recording=per_recording or None
            )
        if as_json:
            for one in page.clips:
                print_json(clip_record(one.clip))
        elif page.clips:
            print_sorted(page.clips, sort, library.settings.min_confidence)
        else:
            notice("no clip matches")
        return
    if not (examples or clip or text):
        raise InvalidInputError(
            "give an example: an audio file, --clip ID or --text WORDS; or --sort score, which"
            " needs none"
        )
    for file in examples or []:
        if file.name.isdecimal() and not file.exists():
            raise UnusableError(f"{file}: no such file; clip {file} is asked for by --clip {file}")
    excluded: ExcludeSame | None = None
    for name in exclude_same or []:
        before, excluded = excluded, choice(_ACROSS, name, get_args(ExcludeSame))
        if before not in (None, excluded):
            raise InvalidInputError(f"{_ACROSS} {before} and {excluded}: choose one")
    with archive.open(wanted=wanted) as library:
        hits = library.search(
            *(examples or []),
            *(clip or []),
            *map(TextExample, text or []),
            unlike=[*(unlike or []), *(unlike_clip or []), *map(TextExample, unlike_text or [])],
            limit=limit,
            wanted=wanted,
            exclude_same=excluded,
            per_recording=per_recording or None,
            distinct=distinct,
            exact=exact,
            speaker=example_speaker,
            source=example_source,
        )
    if as_json:
        for hit in hits:
            print_json(hit_record(hit))
    elif hits:
        print_hits(hits, library.settings.min_confidence)
        if groups := [group.title for group in hits[0].baselines]:
            more = f"; and {len(groups) - 3} more" if len(groups) > 3 else ""
            notice(f"baseline of {'; '.join(groups[:3])}{more} (space {hits[0].space})")
    else:
        notice(f"no clip matches{f' that is of another {excluded}' if excluded else ''}")
