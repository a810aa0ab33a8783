"""The options of ``ingest``, and what they say about the files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emotion_search.engine.commands.common import moment, pairs

if TYPE_CHECKING:
    from emotion_search.engine.files.manifest import Manifest
    from emotion_search.index.database.recordings import Annotations

PathsArgument = Annotated[
    list[str] | None,
    typer.Argument(help="Folders (searched recursively), files, globs; - for stdin."),
]
ManifestOption = Annotated[
    Path | None,
    typer.Option(help="CSV, JSON lines or Parquet with a column 'path', relative to it."),
]
SourceOption = Annotated[str | None, typer.Option(help="Where the recordings come from.")]
LabelOption = Annotated[str | None, typer.Option(help="Emotion label of all their clips.")]
SpeakerOption = Annotated[str | None, typer.Option(help="Who speaks.")]
RecordedAtOption = Annotated[str | None, typer.Option(help="When, in ISO 8601.")]
LabelFromOption = Annotated[
    str | None, typer.Option(metavar="parent-folder|REGEX", help="Read labels off the paths.")
]
ChannelsOption = Annotated[
    str, typer.Option(metavar="mix|split|N|NAME=N", help="Which become clips, from 0; commas.")
]
SegmentsOption = Annotated[
    str | None,
    typer.Option(metavar="speech|fixed", help="How long recordings are cut; default: speech."),
]
WindowOption = Annotated[
    float | None, typer.Option(help="Seconds of the longest clip; default: 15.")
]
HopOption = Annotated[
    float | None, typer.Option(help="Seconds between the starts of fixed windows.")
]
TimeFromOption = Annotated[
    str, typer.Option(metavar="tags|file|none", help="What tells when it was, if nobody said.")
]
RescanOption = Annotated[
    bool, typer.Option("--rescan", help="Hash known files too, whatever their size and time.")
]
RecutOption = Annotated[
    bool, typer.Option("--recut", help="Cut known recordings anew that were cut otherwise.")
]
LimitOption = Annotated[int | None, typer.Option(min=1, help="Take this many new files.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")]
RetryOption = Annotated[
    bool,
    typer.Option("--retry-failed", help="Try files again that failed or had no speech in them."),
]
WatchOption = Annotated[
    bool, typer.Option("--watch", help="Go on with what arrives in the folders.")
]


def annotations_of(
    source: str | None,
    label: str | None,
    speaker: str | None,
    recorded_at: str | None,
    meta: list[str] | None,
) -> Annotations:
    """What the options say about every file."""
    from emotion_search.engine.files.values import check_text
    from emotion_search.index.database.filters import EMOTION
    from emotion_search.index.database.recordings import Annotations

    return Annotations(
        source=check_text("--source", source) if source is not None else None,
        speaker=check_text("--speaker", speaker) if speaker is not None else None,
        recorded_at=moment("--recorded-at", recorded_at),
        labels={EMOTION: check_text("--label", label)} if label is not None else {},
        metadata=pairs(meta),
    )


def all_said(
    rows: Manifest, label_from: str | None, defaults: Annotations
) -> Callable[[str], Annotations]:
    """What manifest, path and options say about the file at a path, in this order."""
    from emotion_search.engine.files.path_rules import PathRule
    from emotion_search.index.database.recordings import Annotations

    naming = PathRule(label_from) if label_from else None
    nothing = Annotations()

    def said(path: str) -> Annotations:
        of_name = naming(path).over(defaults) if naming else defaults
        return rows.rows.get(path, nothing).over(of_name)

    return said
