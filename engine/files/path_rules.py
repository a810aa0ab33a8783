"""Labels, speakers and sources read off the paths or names of recordings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from emotion_search.engine.files.corpus_names import CORPORA, IN_NAME
from emotion_search.engine.files.values import check_cell, check_text
from emotion_search.index.database.filters import EMOTION
from emotion_search.index.database.recordings import Annotations
from emotion_search.index.errors import InvalidInputError

PARENT = "parent-folder"
_GROUPS = ("label", "speaker", "source")


class PathRule:
    """Reads labels off paths.

    Args:
        rule: ``parent-folder``, or a regular expression that is searched for in the path, or after
            ``name:`` in the file's name alone: its groups ``label``, ``speaker`` and ``source`` are
            the annotations; the first group is the label where none has a name.
        codes: the label of a code that is found in place of a label.

    Raises:
        InvalidInputError: no regular expression, or one without a group, or with another one.
    """

    def __init__(self, rule: str, codes: Mapping[str, str] | None = None) -> None:
        self._rule, self._codes = rule, codes or {}
        self._pattern: re.Pattern[str] | None = None
        self._unmatched: str | None = None
        self._uncoded: tuple[str, str] | None = None
        self._used = False
        if rule == PARENT:
            return
        try:
            self._pattern = re.compile(rule.removeprefix(IN_NAME))
        except re.error as error:
            raise InvalidInputError(
                f"--label-from {rule!r}: no regular expression ({error})"
            ) from error
        if not self._pattern.groups:
            raise InvalidInputError(
                f"--label-from {rule!r}: give {PARENT}, or a regular expression with a group"
            )
        for group in self._pattern.groupindex:
            if group not in _GROUPS:
                raise InvalidInputError(
                    f"--label-from {rule!r}: a group is called label, speaker or source, not"
                    f" {group}; (?:…) groups without a name"
                )

    @property
    def useless(self) -> str | None:
        """Why the rule has said nothing of any path so far, with an example; None if it has, or was
        asked of none."""
        if self._used or (self._unmatched is None and self._uncoded is None):
            return None
        if self._uncoded is not None:
            code, path = self._uncoded
            wanted = ", ".join(self._codes)
            return f"--label-map: no path has a code of {wanted}; {path} has {code!r}"
        where = "name" if self._rule.startswith(IN_NAME) else "path"
        for corpus, naming in CORPORA.items():
            if naming.pattern == self._rule:
                return f"--label-map {corpus}: no name is as there, such as {self._unmatched}"
        return f"--label-from {self._rule!r}: it is in no {where}, such as {self._unmatched}"

    def __call__(self, path: str) -> Annotations:
        """Annotations from the path; none where the rule does not match."""
        groups = self._groups(path)
        if not groups:
            self._unmatched = self._unmatched or path
            return Annotations()
        code = groups.get("label")
        if code is not None and self._codes:
            groups["label"] = self._codes.get(code, code)
            if code not in self._codes:
                self._uncoded = self._uncoded or (code, path)
        self._used = self._used or code is None or not self._codes or code in self._codes
        return Annotations(
            source=check_cell("source", groups),
            speaker=check_cell("speaker", groups),
            labels={EMOTION: check_text("label", groups["label"])} if "label" in groups else {},
        )

    def _groups(self, path: str) -> dict[str, str]:
        if self._pattern is None:
            return {"label": Path(path).parent.name}
        match = self._pattern.search(Path(path).name if self._rule.startswith(IN_NAME) else path)
        if match is None:
            return {}
        named = match.groupdict()
        groups = {name: text for name, text in named.items() if text}
        if not named and match.group(1):
            groups["label"] = match.group(1)
        return groups
