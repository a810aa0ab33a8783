"""Ingest's paths, globs, stdin and manifest resolved to files."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from emotion_search.engine.commands.common import notice, stdin_lines
from emotion_search.engine.commands.words import counted
from emotion_search.index.errors import EmotionSearchError

if TYPE_CHECKING:
    from emotion_search.engine.files.manifest import Manifest
    from emotion_search.engine.files.path_rules import PathRule
    from emotion_search.engine.files.scan import AnnotationsOf, FoundFile
    from emotion_search.engine.ingest.report import IngestReport

_KEPT_BACK = 10_000


class NamedFiles:
    """The files that the arguments mean, found while they are asked for.

    Args:
        paths: folders, files, globs; - for paths on standard input, of which there may be none.
        rows: of the manifest: what is ingested where neither paths nor failures are asked for.
        annotations_of: gives the annotations of each file.
        rule: reads labels off paths, if any does.
        failed: paths that failed before and are tried again; None if that is not asked for.
    """

    def __init__(
        self,
        paths: list[str] | None,
        rows: Manifest,
        annotations_of: AnnotationsOf,
        rule: PathRule | None = None,
        failed: Sequence[str] | None = None,
    ) -> None:
        from emotion_search.engine.files.scan import Scan, exists

        self.rows = rows
        self.named = paths or [str(rows.path or "the failures")]
        self._rule, self._retried = rule, failed is not None
        self._of_manifest = not paths and failed is None
        written = [line for path in paths or [] if path == "-" for line in stdin_lines()]
        wanted = rows.rows if self._of_manifest else failed or ()
        written += [path for path in wanted if exists(path)]
        arguments = [path for path in paths or [] if path != "-"]
        self._scan = partial(Scan, arguments, written, annotations_of)
        self.scan = self._scan()
        self.seen: set[str] = set()

    def __iter__(self) -> Iterator[FoundFile]:
        """The files, from the first on; these are kept back until the rule and the manifest apply
        to one.

        Raises:
            EmotionSearchError: they apply to none.
        """
        self.scan = self._scan()
        back: list[FoundFile] = []
        file = None
        for file in self.scan:
            if file.path in self.rows.rows:
                self.seen.add(file.path)
            back.append(file)
            if len(back) > _KEPT_BACK or self._useless() is None:
                yield from back
                back.clear()
        if file is not None and (why := self._useless()) is not None:
            raise EmotionSearchError(why)

    def _useless(self) -> str | None:
        """What is wrong with the rule or the manifest, of which no file so far has anything."""
        if self._retried:
            return None
        if self.rows.rows and not self.seen and not self._of_manifest:
            first = next(iter(self.rows.rows))
            return f"no row of {self.rows.path} is for any of these files, such as {first}"
        return self._rule.useless if self._rule else None

    def require(self) -> None:
        """Refuse what has no file in it, before anything is done for it.

        Raises:
            EmotionSearchError: there is none, nor a row of a manifest, or the rule and the manifest
                apply to none.
        """
        if next(iter(self), None) is not None or self.scan.found.unusable:
            return
        if not (self.rows.problems or (self._of_manifest and self.rows.rows)):
            self.report_missing()
            raise EmotionSearchError(f"no audio files in {' '.join(self.named)}")

    def count(self, stop: threading.Event) -> int | None:
        """How many there are; None once ``stop`` is set."""
        return self.scan.count(stop)

    def report_missing(self) -> None:
        """Notices of what the scan passed over; rows without a file become problems."""
        from emotion_search.engine.files.scan import exists

        for extension, number in sorted(self.scan.found.passed_over.items()):
            notice(
                f"{counted(number, 'file')} with extension {extension} passed over"
                f": format not supported"
            )
        missing = [path for path in self.rows.rows if path not in self.seen]
        if missing and not self._of_manifest:
            notice(f"{counted(len(missing), 'row')} of {self.rows.path} for files not among these")
            return
        for path in missing:
            if not exists(path):
                self.rows.problems.append((self.rows.place(path), f"{path}: no such file"))


def note_lost(report: IngestReport, rows: Manifest) -> None:
    """Make spans of the manifest that their recordings do not hold problems of their rows."""
    for path, span in report.lost:
        reason = f"{path} has no clip from {span.start:g} to {span.end:g} s; does it end before?"
        rows.problems.append((rows.place(path, span), reason))
