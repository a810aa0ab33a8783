"""Resume journal of a run over many files, so that the same run, killed, goes on from there."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion_search.engine.files.atomic import put
from emotion_search.engine.files.scan import facts, printable
from emotion_search.index.database.addresses import is_object
from emotion_search.index.errors import ConflictError

NAME = "unfinished.jsonl"
"""The journal of a run, in its output folder, until it has ended."""


@dataclass(frozen=True)
class _Entry:
    file: str
    size: int
    mtime_ns: int
    record: dict[str, Any] | None = None


class Journal:
    """Lines of JSON: what the run is, and of each file that it has begun under which name its
    output is written, and in the end what came of it.

    Args:
        folder: of the outputs; made when the first file is begun.
        run: what has to be the same for outputs to be of the same run.
        anew: begin anew where the journal is of another run.

    Raises:
        InvalidInputError: it is, and it is not to begin anew.
    """

    def __init__(self, folder: Path, run: Mapping[str, Any], *, anew: bool) -> None:
        self._path, self._run = folder / NAME, json.loads(json.dumps(dict(run)))
        self._entries: dict[str, _Entry] = {}
        self._open = False
        self._adding = threading.Lock()
        lines = _lines(self._path)
        if lines and lines[0] == self._run:
            for line in lines[1:]:
                name = line.pop("name")
                self._entries[name] = _Entry(**line)
        elif lines and not anew:
            raise ConflictError(
                f"{folder} holds a run that was not finished, of another model or granularity;"
                " finish that, choose another folder, or say --overwrite"
            )

    def ours(self, name: str, file: Path | str) -> bool:
        """Whether what is there under ``name`` was written by this run, of this file."""
        known = self._entries.get(name)
        return known is not None and known.file == _entry_of(file).file

    def done(self, name: str, file: Path | str) -> dict[str, Any] | None:
        """What came of a file that the run has finished under ``name``; None if it has not, or the
        file has changed since."""
        known = self._entries.get(name)
        if known is None or known.record is None:
            return None
        return known.record if known == _entry_of(file, known.record) else None

    def begin(self, name: str, file: Path | str) -> None:
        """Note that output of ``file`` is about to be written under ``name``."""
        self._add(name, _entry_of(file))

    def finish(self, name: str, file: Path | str, record: Mapping[str, Any]) -> None:
        """Note what came of it, once all of it is written; plain data."""
        self._add(name, _entry_of(file, dict(record)))

    def end(self) -> None:
        """Remove the journal: the run has ended."""
        self._path.unlink(missing_ok=True)

    def _add(self, name: str, entry: _Entry) -> None:
        with self._adding:
            if not self._open:  # written anew: a line that was cut off would spoil the next one
                self._path.parent.mkdir(parents=True, exist_ok=True)
                kept = [self._run, *({"name": n, **vars(e)} for n, e in self._entries.items())]
                put(self._path, "".join(map(_line, kept)))
                self._open = True
            self._entries[name] = entry
            with self._path.open("a", encoding="utf-8") as out:
                out.write(_line({"name": name, **vars(entry)}))


def refuse_occupied(paths: Sequence[Path], *, overwrite: bool) -> None:
    """Refuse to write over what another run has left.

    Raises:
        InvalidInputError: one of the paths is there, and they are not to be overwritten.
    """
    there = next((path for path in paths if path.exists()), None)
    if there is not None and not overwrite:
        raise ConflictError(f"{there} exists; choose another folder, or say --overwrite")


def _entry_of(file: Path | str, record: dict[str, Any] | None = None) -> _Entry:
    path = str(file)
    if not is_object(path):
        path = os.path.abspath(file)  # noqa: PTH100 - resolves no links
    try:
        now = facts(path)
    except OSError:  # its error is raised when it is read
        return _Entry(printable(path), -1, 0, record)
    return _Entry(printable(path), now.size, now.mtime_ns, record)


def _lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines; the last one may have been cut off."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=True) + "\n"
