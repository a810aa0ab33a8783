"""Annotations that the options of ``ingest`` give to files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emotion_search.engine.commands.common import moment, pairs

if TYPE_CHECKING:
    from emotion_search.engine.files.manifest import Manifest
    from emotion_search.engine.files.scan import AnnotationsOf
    from emotion_search.index.database.recordings import Annotations


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
