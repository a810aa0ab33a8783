"""Annotations that the options and the manifest of ``ingest`` give to files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated

import typer

from emotion_search.engine.commands.common import MetaOption, moment, notice, pairs
from emotion_search.index.errors import InvalidInputError

if TYPE_CHECKING:
    from datetime import tzinfo

    from emotion_search.engine.audio.channels import Channels
    from emotion_search.engine.files.manifest import Manifest, TableForm
    from emotion_search.engine.files.path_rules import PathRule
    from emotion_search.engine.files.scan import AnnotationsOf
    from emotion_search.index.database.recordings import Annotations

_DAY = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
_MISSPELT = 0.85  # how alike difflib finds a name and one of ours that is meant: not "speaker_id"


@dataclass(frozen=True)
class ManifestOptions:
    """A manifest, and how it is written."""

    manifest: Annotated[
        str | None,
        typer.Option(help="Table with a column 'path', relative to it; audformat, Kaldi folder."),
    ] = None
    columns: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="OURS=THEIRS", help="The manifest's name of a column."),
    ] = None
    date_format: Annotated[
        str | None, typer.Option(help="Of the manifest's times, such as '%d.%m.%Y %H:%M'.")
    ] = None
    timezone: Annotated[
        str | None, typer.Option(help="Of times that name none, such as Europe/Berlin.")
    ] = None
    encoding: Annotated[
        str | None, typer.Option(help="Of the manifest, where it is guessed wrong.")
    ] = None

    def form(self) -> TableForm:
        """How the options say that the manifest is written.

        Raises:
            InvalidInputError: one makes no sense.
        """
        from emotion_search.engine.files.columns import OWN
        from emotion_search.engine.files.manifest import TableForm
        from emotion_search.engine.files.values import parse_pairs, parse_zone

        if self.date_format is not None and not _says_which_day(self.date_format):
            raise InvalidInputError(
                f"--date-format {self.date_format}: 31.01.2026 09:30 is '%d.%m.%Y %H:%M'"
            )
        zone = parse_zone(self.timezone) if self.timezone is not None else None
        names = parse_pairs(self.columns or [], "--map")
        for name in names:
            meant = get_close_matches(name.casefold(), OWN, 1, _MISSPELT)
            if meant and name not in OWN:
                raise InvalidInputError(f"--map {name}: did you mean {meant[0]}?")
        return TableForm(names, self.date_format, zone, self.encoding)


@dataclass(frozen=True)
class AnnotationOptions:
    """What is known of every file."""

    source: Annotated[str | None, typer.Option(help="Where the recordings come from.")] = None
    label: Annotated[str | None, typer.Option(help="Emotion label of all their clips.")] = None
    speaker: Annotated[str | None, typer.Option(help="Who speaks.")] = None
    recorded_at: Annotated[str | None, typer.Option(help="When it was recorded: ISO 8601.")] = None
    meta: MetaOption = None

    def annotations(self, zone: tzinfo | None) -> Annotations:
        """The annotations of every file; times that name no zone are in ``zone``."""
        from emotion_search.engine.files.values import check_text
        from emotion_search.index.database.filters import EMOTION
        from emotion_search.index.database.recordings import Annotations

        return Annotations(
            source=check_text("--source", self.source) if self.source is not None else None,
            speaker=check_text("--speaker", self.speaker) if self.speaker is not None else None,
            recorded_at=moment("--recorded-at", self.recorded_at, zone),
            labels={EMOTION: check_text("--label", self.label)} if self.label is not None else {},
            metadata=pairs(self.meta),
        )


@dataclass(frozen=True)
class PathRuleOptions:
    """Labels that are read off paths."""

    label_from: Annotated[
        str | None,
        typer.Option(
            metavar="parent-folder|[name:]REGEX", help="Read labels off the paths, or the names."
        ),
    ] = None
    label_map: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CODE=LABEL|CORPUS",
            help="What codes in them mean; or ravdess, emodb, crema-d, tess, nemo, savee.",
        ),
    ] = None

    def rule(self) -> PathRule | None:
        """The rule by which labels are read off paths; None where no option asks for it.

        Raises:
            InvalidInputError: an option makes no sense.
        """
        from emotion_search.engine.files.corpus_names import CORPORA
        from emotion_search.engine.files.path_rules import PathRule
        from emotion_search.engine.files.values import parse_pairs

        given, label_from = self.label_map or [], self.label_from
        codes: dict[str, str] = {}
        corpora = {_plain(name): naming for name, naming in CORPORA.items()}
        for name in (one for one in given if "=" not in one):
            if _plain(name) not in corpora:
                raise InvalidInputError(
                    f"--label-map {name}: give CODE=LABEL, or one of {', '.join(CORPORA)}"
                )
            naming = corpora[_plain(name)]
            label_from = label_from or naming.pattern
            codes |= naming.labels
        codes |= parse_pairs((one for one in given if "=" in one), "--label-map")
        if codes and not label_from:
            raise InvalidInputError(
                "--label-map needs --label-from, which says where the codes are"
            )
        return PathRule(label_from, codes) if label_from else None


def _plain(name: str) -> str:
    """``EMO-DB``, ``emo_db`` and ``emodb`` are one corpus."""
    return name.lower().replace("-", "").replace("_", "")


def _says_which_day(date_format: str) -> bool:
    """Whether a form of times can be read, and has day, month and year in it."""
    try:
        return datetime.strptime(_DAY.strftime(date_format), date_format).date() == _DAY.date()
    except ValueError:
        return False


def channels_of(rows: Manifest) -> Channels:
    """Which channels become clips where no option says so: those that the manifest has rows of."""
    from emotion_search.engine.audio.channels import SPLIT, UNASKED, parse_channels

    named = {number for row in rows.rows.values() for number in row.sides}
    if not named:
        return UNASKED
    only = str(*named) if len(named) == 1 else None
    notice(f"rows of {rows.path} are of channels, so --channels {only or 'split'} is taken")
    return parse_channels(only) if only else SPLIT


def annotations_by_path(
    rows: Manifest, rule: PathRule | None, defaults: Annotations
) -> AnnotationsOf:
    """Annotations of the file at a path: from manifest, path and options, in this order."""
    from emotion_search.index.database.recordings import Annotations

    nothing = Annotations()

    def annotations_of(path: str) -> Annotations:
        below = rule(path).over(defaults) if rule else defaults
        return rows.rows.get(path, nothing).over(below)

    return annotations_of
