"""The options of ``ingest``, and the annotations that they give to files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emotion_search.engine.commands.common import moment, pairs

if TYPE_CHECKING:
    from emotion_search.engine.files.manifest import Manifest
    from emotion_search.engine.files.scan import AnnotationsOf
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
    str,
    typer.Option(metavar="tags|file|none", help="What gives the time where no annotation does."),
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
    """The annotations that the options give to every file."""
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


def annotations_by_path(
    rows: Manifest, label_from: str | None, defaults: Annotations
) -> AnnotationsOf:
    """Annotations of the file at a path: from manifest, path and options, in this order."""
    from emotion_search.engine.files.path_rules import PathRule
    from emotion_search.index.database.recordings import Annotations

    rule = PathRule(label_from) if label_from else None
    nothing = Annotations()

    def annotations_of(path: str) -> Annotations:
        below = rule(path).over(defaults) if rule else defaults
        return rows.rows.get(path, nothing).over(below)

    return annotations_of
