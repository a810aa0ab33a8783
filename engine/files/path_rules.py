"""Labels, speakers and sources read off the paths of recordings."""

from __future__ import annotations

import re
from pathlib import Path

from emotion_search.engine.files.values import check_cell, check_text
from emotion_search.index.database.filters import EMOTION
from emotion_search.index.database.recordings import Annotations
from emotion_search.index.errors import InvalidInputError

PARENT = "parent-folder"


class PathRule:
    """Reads labels off paths.

    Args:
        rule: ``parent-folder``, or a regular expression that is searched for in the path: its
            groups ``label``, ``speaker`` and ``source`` are the annotations; the first group is the
            label where none has a name.

    Raises:
        InvalidInputError: no regular expression, or one without a group.
    """

    def __init__(self, rule: str) -> None:
        self._pattern: re.Pattern[str] | None = None
        if rule == PARENT:
            return
        try:
            self._pattern = re.compile(rule)
        except re.error as error:
            raise InvalidInputError(
                f"--label-from {rule!r}: no regular expression ({error})"
            ) from error
        if not self._pattern.groups:
            raise InvalidInputError(
                f"--label-from {rule!r}: give {PARENT}, or a regular expression with a group"
            )

    def __call__(self, path: str) -> Annotations:
        """Annotations from the path; none where the rule does not match."""
        if self._pattern is None:
            return Annotations(labels={EMOTION: check_text("label", Path(path).parent.name)})
        match = self._pattern.search(path)
        if match is None:
            return Annotations()
        named = match.groupdict()
        groups = {name: text for name, text in named.items() if text}
        if not named and match.group(1):
            groups["label"] = match.group(1)
        return Annotations(
            source=check_cell("source", groups),
            speaker=check_cell("speaker", groups),
            labels={EMOTION: check_text("label", groups["label"])} if "label" in groups else {},
        )
