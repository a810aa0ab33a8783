"""Annotations that the options and the manifest of ``ingest`` give to files."""

from __future__ import annotations

from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING

from emotion_search.engine.commands.common import moment, notice, pairs
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


def annotations_of(
    source: str | None,
    label: str | None,
    speaker: str | None,
    recorded_at: str | None,
    meta: list[str] | None,
    zone: tzinfo | None,
) -> Annotations:
    """The annotations that the options give to every file."""
    from emotion_search.engine.files.values import check_text
    from emotion_search.index.database.filters import EMOTION
    from emotion_search.index.database.recordings import Annotations

    return Annotations(
        source=check_text("--source", source) if source is not None else None,
        speaker=check_text("--speaker", speaker) if speaker is not None else None,
        recorded_at=moment("--recorded-at", recorded_at, zone),
        labels={EMOTION: check_text("--label", label)} if label is not None else {},
        metadata=pairs(meta),
    )


def table_form(
    columns: list[str] | None, date_format: str | None, timezone: str | None, encoding: str | None
) -> TableForm:
    """How the options say that the manifest is written.

    Raises:
        InvalidInputError: one makes no sense.
    """
    from emotion_search.engine.files.columns import OWN
    from emotion_search.engine.files.manifest import TableForm
    from emotion_search.engine.files.values import parse_pairs, parse_zone

    if date_format is not None and not _says_which_day(date_format):
        raise InvalidInputError(
            f"--date-format {date_format}: 31.01.2026 09:30 is '%d.%m.%Y %H:%M'"
        )
    zone = parse_zone(timezone) if timezone is not None else None
    names = parse_pairs(columns or [], "--map")
    for name in names:
        meant = get_close_matches(name.casefold(), OWN, 1, _MISSPELT)
        if meant and name not in OWN:
            raise InvalidInputError(f"--map {name}: did you mean {meant[0]}?")
    return TableForm(names, date_format, zone, encoding)


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


def path_rule(label_from: str | None, label_map: list[str] | None) -> PathRule | None:
    """The rule by which labels are read off paths; None where no option asks for it.

    Raises:
        InvalidInputError: an option makes no sense.
    """
    from emotion_search.engine.files.corpus_names import CORPORA
    from emotion_search.engine.files.path_rules import PathRule
    from emotion_search.engine.files.values import parse_pairs

    given = label_map or []
    codes: dict[str, str] = {}
    for name in (one for one in given if "=" not in one):
        if name.lower() not in CORPORA:
            raise InvalidInputError(
                f"--label-map {name}: give CODE=LABEL, or one of {', '.join(CORPORA)}"
            )
        naming = CORPORA[name.lower()]
        label_from = label_from or naming.pattern
        codes |= naming.labels
    codes |= parse_pairs((one for one in given if "=" in one), "--label-map")
    if codes and not label_from:
        raise InvalidInputError("--label-map needs --label-from, which says where the codes are")
    return PathRule(label_from, codes) if label_from else None


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
