"""The files that the arguments of ``ingest`` mean."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.commands.common import notice

if TYPE_CHECKING:
    from engine.manifest import Manifest
    from index.files import FileFacts


class NamedFiles:
    """The files that the arguments mean, found while they are asked for.

    Args:
        paths: folders, files, globs; - for paths on standard input.
        rows: of the manifest: what is ingested where no path is named.
        failed: paths that failed before and are tried again.
    """

    def __init__(
        self,
        paths: list[str] | None,
        manifest: Path | None,
        rows: Manifest,
        failed: Sequence[str] = (),
    ) -> None:
        from engine.scan import Scan, printable

        self.manifest, self.rows = manifest, rows
        gone: list[str] = []
        named: list[str] = []
        for path in paths or []:
            for line in _lines() if path == "-" else [path]:
                (gone if path == "-" and not os.path.lexists(line) else named).append(line)
        named += [path for path in failed if os.path.lexists(path)]
        self.whole = bool(paths)
        if not named:
            named = [path for path in rows.rows if os.path.lexists(path)]
        self.named = paths or [str(manifest or "the failures")]
        self.scan = Scan(named)
        self.scan.found.unusable += [(printable(path), "no such file") for path in gone]
        self.seen: set[str] = set()

    def __iter__(self) -> Iterator[FileFacts]:
        for file in self.scan:
            if file.path in self.rows.rows:
                self.seen.add(file.path)
            yield file

    def count(self, stop: threading.Event) -> int | None:
        """How many there are; None once ``stop`` is set."""
        return self.scan.count(stop)

    def tell(self) -> None:
        """What the scan passed over, and rows of the manifest that no file was found for."""
        for extension, number in sorted(self.scan.found.passed_over.items()):
            notice(f"{number} files with extension {extension} passed over: format not supported")
        missing = [path for path in self.rows.rows if path not in self.seen]
        if self.whole and missing:
            notice(f"{len(missing)} rows of {self.manifest} are for files that are not among these")
        for path in missing:
            if not os.path.lexists(path):
                place = f"{self.manifest}: line {self.rows.lines[path]}"
                if not self.whole:
                    self.rows.problems.append((place, f"{path}: no such file"))


def _lines() -> Iterable[str]:
    text = sys.stdin.read()
    return [line for line in text.split("\0" if "\0" in text else "\n") if line.strip()]
