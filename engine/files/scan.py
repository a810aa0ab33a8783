"""Find audio files: folders (recursively), single files, globs, objects in buckets."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import stat
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from emotion_search.engine.audio.file import EXTENSIONS
from emotion_search.index.database.addresses import is_object
from emotion_search.index.database.files import FileFacts
from emotion_search.index.database.recordings import Annotations
from emotion_search.index.errors import InvalidInputError, UnusableError

_OTHER_AUDIO = frozenset([".ds2", ".dss", ".g729", ".mid", ".midi", ".msv", ".ra", ".rm", ".vox"])

LONGEST_PATH = 2000
"""Bytes of the longest path that every database can index."""


AnnotationsOf = Callable[[str], Annotations]
"""Gives the annotations of the file at an absolute path; may raise InvalidInputError."""


@dataclass(frozen=True)
class FoundFile:
    """An audio file, with all that is known about it before it is read.

    Attributes:
        facts: its path, size and time of change.
        annotations: of its recording.
        sha256: of its bytes, where it is known already and need not be computed.
    """

    facts: FileFacts
    annotations: Annotations = field(default_factory=Annotations)
    sha256: str | None = None

    @property
    def path(self) -> str:
        """Its absolute path."""
        return self.facts.path


@dataclass
class Found:
    """What a scan found.

    Attributes:
        files: audio files, each once.
        unusable: path and reason of what cannot be read, or has no valid annotations.
        passed_over: number of files by extension that look like audio of a kind not supported.
        listed: folders, and addresses with objects below them, that could be read.
    """

    files: list[FoundFile] = field(default_factory=list)
    unusable: list[tuple[str, str]] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)
    listed: set[str] = field(default_factory=set)


class Scan:
    """Audio files under ``arguments``, found while they are asked for, in order of their paths.

    A file named itself is taken whatever its extension. Hidden files and folders are left out of
    folders. Links to folders are not followed.

    Args:
        arguments: as somebody typed them: files, folders, patterns, ``~``, addresses of objects and
            of what lies below them in a bucket (``s3://bucket/calls``), ``file://``.
        paths: as a program wrote them: files and folders, to the letter. One that is not there is
            among ``found.unusable``.
        annotations_of: called once for each file; none where left out.

    Attributes:
        found: what there is besides the files; complete once they have all been asked for.

    Raises:
        InvalidInputError: an argument names nothing.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        paths: Sequence[str] = (),
        annotations_of: AnnotationsOf = lambda _: Annotations(),
    ) -> None:
        named = [path for argument in arguments for path in _named(argument)]
        # abspath resolves no links, as users expect
        self._named = [
            path if is_object(path) else os.path.abspath(path)  # noqa: PTH100
            for path in (*named, *paths)
        ]
        self._annotations_of = annotations_of
        self.found = Found()

    def __iter__(self) -> Iterator[FoundFile]:
        seen: set[str] = set()
        several = len(self._named) > 1  # of which one may hold another
        for path in self._named:
            for file, known in _below(path, self.found):
                if several:
                    if file in seen:
                        continue
                    seen.add(file)
                looked = look(file, self.found, self._annotations_of, known)
                if looked is not None:
                    yield looked

    def count(self, stop: threading.Event) -> int | None:
        """How many files there are by their names, none of which is opened; None once ``stop`` is
        set. Runs beside the scan itself, well ahead of it."""
        number = 0
        for _ in self._names(stop):
            number += 1
            if stop.is_set():
                break
        return None if stop.is_set() else number

    def _names(self, stop: threading.Event) -> Iterator[object]:
        """Something for each file, until ``stop`` is set."""
        for url in {path for path in self._named if is_object(path)}:
            # What looks like audio is taken for one object, and not asked for
            yield from [url] if _is_audio(url, Found()) else _below(url, Found())
        named = dict.fromkeys(Path(path) for path in self._named if not is_object(path))
        folders = {
            path
            for path in named
            if not stop.is_set() and os.path.isdir(path)  # noqa: PTH112 - it cannot raise
        }
        for path in named:
            if folders.isdisjoint(path.parents):  # else of a folder that is counted too
                yield from walk(str(path), Found()) if path in folders else [path]


def find_audio(
    arguments: Sequence[str], annotations: Mapping[str, Annotations] | None = None
) -> Found:
    """Everything that a ``Scan`` finds, sorted by path.

    Args:
        annotations: of the files, by absolute path, such as the rows of a manifest.

    Raises:
        InvalidInputError: an argument names nothing.
    """
    known = annotations or {}
    scan = Scan(arguments, annotations_of=lambda path: known.get(path, Annotations()))
    files = sorted(scan, key=lambda file: file.path)
    return replace(scan.found, files=files)


def _named(argument: str) -> list[str]:
    if argument.startswith("file://"):
        argument = url2pathname(urlsplit(argument).path)
    if is_object(argument):
        return [argument]
    if os.path.lexists(argument):  # a dead link too: it is a failure of its own
        return [argument]
    shown = printable(argument[:200])
    path = os.path.expanduser(argument)  # noqa: PTH111 - leaves the unknown as it is
    if os.path.lexists(path):
        return [path]
    if glob.has_magic(argument):
        matches = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 - absolute patterns too
        if matches:
            return matches
        raise UnusableError(f"{shown}: nothing matches this pattern")
    raise UnusableError(f"{shown}: no such file or folder")


def _below(path: str, found: Found) -> Iterator[tuple[str, FileFacts | None]]:
    """A file, or the audio files in a folder or below an address, as far as they are known already
    each with its facts."""
    if not is_object(path):
        for name in walk(path, found) if os.path.isdir(path) else [path]:  # noqa: PTH112
            yield name, None
        return
    from emotion_search.engine.files.objects import listed  # loads a client where one is needed

    try:
        for one in listed(path):
            below = one.path.removeprefix(path).split("/")
            hidden = one.path != path and any(part.startswith(".") for part in below)
            if one.path == path or (not hidden and _is_audio(below[-1] or path, found)):
                yield one.path, one
    except OSError as error:
        found.unusable.append((path, f"cannot be read ({error.strerror})"))
    else:
        if one.path != path:
            found.listed.add(path)


def walk(folder: str, found: Found) -> Iterator[str]:
    """Paths of the audio files in a folder and those below it, by their names, in order.

    Args:
        found: gets what cannot be read, and what looks like audio of a kind not supported.
    """

    def unreadable(error: OSError) -> None:
        found.unusable.append(
            (printable(str(error.filename)), f"cannot be read ({error.strerror})")
        )

    for root, folders, names in os.walk(folder, onerror=unreadable):
        found.listed.add(printable(root))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and _is_audio(name, found):
                yield os.path.join(root, name)  # noqa: PTH118


def _is_audio(name: str, found: Found) -> bool:
    extension = os.path.splitext(name)[1].lower()  # noqa: PTH122 - a million of these
    if extension in _OTHER_AUDIO:
        found.passed_over[extension] += 1
    return extension in EXTENSIONS


def look(
    path: str, found: Found, annotations_of: AnnotationsOf, known: FileFacts | None = None
) -> FoundFile | None:
    """The file at an absolute path as it is now, which is ``known`` of an object that was listed;
    None, and why among ``found.unusable``, if that is no file that can be ingested."""
    if path != printable(path):
        found.unusable.append((printable(path), "its name is not valid UTF-8"))
        return None
    if len(path.encode()) > LONGEST_PATH:
        found.unusable.append((path[:500] + "…", f"its path is longer than {LONGEST_PATH} bytes"))
        return None
    try:
        return FoundFile(known or facts(path), annotations_of(path))
    except InvalidInputError as error:
        found.unusable.append((path, str(error)))
        return None
    except OSError as error:
        gone = isinstance(error, FileNotFoundError) and not exists(path)
        reason = "no such file" if gone else f"cannot be read ({error.strerror})"
        found.unusable.append((path, reason))
        return None


def exists(path: str) -> bool:
    """Whether something is at a path; of an object that is found out when it is read."""
    return is_object(path) or os.path.lexists(path)


def facts(path: Path | str) -> FileFacts:
    """The file, or object, as it is now.

    Raises:
        OSError: it is not there, or may not be looked at.
    """
    if isinstance(path, str) and is_object(path):
        from emotion_search.engine.files.objects import object_facts

        return object_facts(path)
    status = os.stat(path)  # noqa: PTH116
    if not stat.S_ISREG(status.st_mode):
        folder = stat.S_ISDIR(status.st_mode)
        raise OSError(errno.EINVAL, "is a folder" if folder else "not a regular file")
    changed = max(-(2**63), min(status.st_mtime_ns, 2**63 - 1))  # what databases can hold
    return FileFacts(str(path), status.st_size, changed)


def printable(path: str) -> str:
    """The path with bytes that are not UTF-8 shown as escapes."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def unchanged(path: Path | str, seen: FileFacts, sha256: str) -> bool:
    """Whether the file, or object, still holds these bytes; hashed only if its time of change is
    another."""
    try:
        now = facts(path)
        if now == seen or now.size != seen.size:
            return now == seen
        return sha256_of(path) == sha256
    except OSError:
        return False


def sha256_of(path: Path | str) -> str:
    """The sha256 of the bytes of a file, or object, in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    if isinstance(path, str) and is_object(path):
        from emotion_search.engine.files.objects import hash_of_object

        return hash_of_object(path)
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
