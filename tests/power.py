"""A file system that forgets what was not synced when the power goes: FUSE, and a replay of it.

While it is mounted it only keeps a record of what is done. ``Recording.after`` then makes the
folder that a loss of power at some point of the record leaves: data of a file as of its last fsync,
with some of the later writes, torn at pages; names in a folder as of its last fsync, with some of
the later changes, in their order.
"""

from __future__ import annotations

import errno
import os
import pickle
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_PAGE = 4096
_MARK = ".mark-"
_FAULT = "fault-"
UNREADABLE = "unreadable"
"""Files with this in their name give an I/O error beyond their first 40,000 bytes."""
Step = tuple[Any, ...]


def mark(mount: Path, text: str) -> None:
    """Put a note into the record: by now, this was promised."""
    (mount / f"{_MARK}{text}").exists()


def fail(mount: Path, error: int, after: int) -> None:
    """Have each write, new file, change of a name and fsync fail with this ``errno`` after so many
    more of them; 0 for none again."""
    mark(mount, f"{_FAULT}{error}-{after}-{time.monotonic_ns()}")


@dataclass
class _File:
    durable: bytes = b""
    pending: list[Step] = field(default_factory=list)


def _applied(data: bytes, steps: list[Step]) -> bytes:
    changed = bytearray(data)
    for kind, at, more in steps:
        if kind == "truncate":
            changed = changed[:at].ljust(at, b"\0")
        else:
            changed = changed.ljust(at, b"\0")
            changed[at : at + len(more)] = more
    return bytes(changed)


@dataclass(frozen=True)
class Recording:
    """What was done on a file system, in order."""

    steps: list[Step]

    def marks(self, until: int) -> list[str]:
        """What was promised before a step."""
        return [step[1] for step in self.steps[:until] if step[0] == "mark"]

    def after(self, until: int, folder: Path, rng: random.Random) -> None:
        """Fill an empty folder with what is left where the power goes before a step."""
        files: dict[int, _File] = {}
        names: dict[str, int | None] = {"": None}  # None: a folder
        changes: list[Step] = []
        for kind, *rest in self.steps[:until]:
            if kind in ("write", "truncate"):
                number, at, *data = rest
                files.setdefault(number, _File()).pending.append((kind, at, *(data or [b""])))
            elif kind == "fsync":
                file = files.setdefault(rest[0], _File())
                file.durable, file.pending = _applied(file.durable, file.pending), []
            elif kind == "fsyncdir":
                mine = [
                    one
                    for one in changes
                    if rest[0] in {os.path.dirname(path) for path in one[1:3] if path}
                ]
                changes = [one for one in changes if one not in mine]
                _rename(names, mine)
            elif kind != "mark":
                changes.append((kind, *rest))
        _rename(names, changes[: rng.choice([0, rng.randint(0, len(changes)), len(changes)])])
        for name in sorted(names):
            number = names[name]
            if not (folder / name).parent.is_dir():
                continue  # it is in a folder that is not there
            if number is None:
                (folder / name).mkdir(exist_ok=True)
            else:
                file = files.get(number, _File())
                (folder / name).write_bytes(_applied(file.durable, _torn(file.pending, rng)))


def _torn(pending: list[Step], rng: random.Random) -> list[Step]:
    """Some of the writes that were not synced: none, all, or some pages of them."""
    share = rng.choice([0.0, 0.5, 1.0])
    parts = []
    for kind, at, data in pending:
        if kind == "truncate":
            parts.append((kind, at, data))
        while data:
            size = _PAGE - at % _PAGE
            parts.append((kind, at, data[:size]))
            at, data = at + size, data[size:]
    return [part for part in parts if rng.random() < share]


def _rename(names: dict[str, int | None], changes: list[Step]) -> None:
    for kind, path, *rest in changes:
        if kind == "create":
            names[path] = rest[1]
        elif kind == "mkdir":
            names[path] = None
        elif kind in ("rename", "exchange"):
            target, _ = rest
            moved = _taken(names, path)
            back = _taken(names, target) if kind == "exchange" else {}
            names |= {target + rest: number for rest, number in moved.items()}
            names |= {path + rest: number for rest, number in back.items()}
        else:
            names.pop(path, None)


def _taken(names: dict[str, int | None], path: str) -> dict[str, int | None]:
    """What ``names`` no longer has: a path and all below it, by the rest of the path."""
    there = [one for one in names if one == path or one.startswith(f"{path}/")]
    return {name[len(path) :]: names.pop(name) for name in there}


@contextmanager
def recorded(mount: Path, backing: Path, record: Path) -> Iterator[None]:
    """Within, ``mount`` shows ``backing``, and what is done there is recorded; read it then with
    ``read_record``."""
    command = [sys.executable, __file__, str(mount), str(backing), str(record)]
    process = subprocess.Popen(command)
    until = time.monotonic() + 30
    while not mount.is_mount():
        assert process.poll() is None, "FUSE cannot be used here"
        assert time.monotonic() < until
        time.sleep(0.02)
    try:
        yield
    finally:
        subprocess.run(["fusermount3", "-u", str(mount)], check=True)
        process.wait(timeout=60)


def read_record(record: Path) -> Recording:
    """The record that ``recorded`` wrote."""
    return Recording(pickle.loads(record.read_bytes()))


def usable() -> bool:
    """Whether such a file system can be mounted here."""
    try:
        import mfusepy  # noqa: F401
    except (ImportError, OSError):
        return False
    return os.access("/dev/fuse", os.R_OK | os.W_OK) and shutil.which("fusermount3") is not None


def _serve(mount: str, backing: str, record: str) -> None:
    import mfusepy

    from emotion_search.index.disk.sync import exchange

    steps: list[Step] = []

    class Passing(mfusepy.Operations):
        """Passes all on to a folder, and records it."""

        use_ns = True

        def __init__(self) -> None:
            self._numbers: dict[str, int] = {}
            self._open: dict[int, int] = {}
            self._fault, self._left = 0, 0

        def _may_fail(self) -> None:
            if self._fault:
                self._left -= 1
                if self._left < 0:
                    raise mfusepy.FuseOSError(self._fault)

        def _real(self, path: str) -> str:
            return backing + path

        def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
            name = os.path.basename(path)
            if name.startswith(_MARK):
                text = name[len(_MARK) :]
                if text.startswith(_FAULT):
                    self._fault, self._left = map(int, text.split("-")[1:3])
                steps.append(("mark", text))
                raise mfusepy.FuseOSError(errno.ENOENT)
            found = os.lstat(self._real(path))
            keys = ("st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_ino")
            times = ("st_atime", "st_mtime", "st_ctime")
            return {key: getattr(found, key) for key in keys} | {
                key: getattr(found, f"{key}_ns") for key in times
            }

        def readdir(self, path: str, fh: int) -> list[str]:
            return [".", "..", *os.listdir(self._real(path))]

        def create(self, path: str, mode: int, fi: Any = None) -> int:
            self._may_fail()
            fh = os.open(self._real(path), os.O_RDWR | os.O_CREAT | os.O_TRUNC, mode)
            number = len(steps) + 1
            steps.append(("create", path[1:], "", number))
            self._numbers[path], self._open[fh] = number, number
            return fh

        def open(self, path: str, flags: int) -> int:
            fh = os.open(self._real(path), flags & ~os.O_APPEND)
            self._open[fh] = self._numbers.get(path, 0)
            if flags & os.O_TRUNC:
                steps.append(("truncate", self._open[fh], 0))
            return fh

        def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
            if UNREADABLE in path and offset + size > 40_000:
                raise mfusepy.FuseOSError(errno.EIO)
            return os.pread(fh, size, offset)

        def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
            self._may_fail()
            steps.append(("write", self._open[fh], offset, bytes(data)))
            return os.pwrite(fh, data, offset)

        def truncate(self, path: str, length: int, fh: int | None = None) -> int:
            self._may_fail()
            steps.append(("truncate", self._numbers.get(path, 0), length))
            os.truncate(self._real(path), length)
            return 0

        def fsync(self, path: str, datasync: int, fh: int) -> int:
            self._may_fail()
            steps.append(("fsync", self._open[fh]))
            return 0

        def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
            self._may_fail()
            steps.append(("fsyncdir", path[1:]))
            return 0

        def release(self, path: str, fh: int) -> int:
            self._open.pop(fh, None)
            os.close(fh)
            return 0

        def mkdir(self, path: str, mode: int) -> int:
            self._may_fail()
            os.mkdir(self._real(path), mode)
            steps.append(("mkdir", path[1:], ""))
            return 0

        def rmdir(self, path: str) -> int:
            os.rmdir(self._real(path))
            steps.append(("rmdir", path[1:], ""))
            return 0

        def unlink(self, path: str) -> int:
            os.unlink(self._real(path))
            self._numbers.pop(path, None)
            steps.append(("unlink", path[1:], ""))
            return 0

        def rename(self, old: str, new: str, flags: int = 0) -> int:
            self._may_fail()
            if flags:
                exchange(Path(self._real(old)), Path(self._real(new)))
                moved, back = _taken(self._numbers, old), _taken(self._numbers, new)
                self._numbers |= {new + rest: number for rest, number in moved.items()}
                self._numbers |= {old + rest: number for rest, number in back.items()}
                steps.append(("exchange", old[1:], new[1:], ""))
                return 0
            os.rename(self._real(old), self._real(new))
            for rest, number in _taken(self._numbers, old).items():
                self._numbers[new + rest] = number
            hidden = os.path.basename(new).startswith(".fuse_hidden")  # removed while it is open
            steps.append(("unlink", old[1:], "") if hidden else ("rename", old[1:], new[1:], ""))
            return 0

        def utimens(self, path: str, times: Any = None) -> int:
            os.utime(self._real(path), ns=times)
            return 0

        def chmod(self, path: str, mode: int) -> int:
            os.chmod(self._real(path), mode)
            return 0

        def statfs(self, path: str) -> dict[str, int]:
            found = os.statvfs(self._real(path))
            keys = ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_files", "f_frsize")
            return {key: getattr(found, key) for key in keys}

    class Exchanging(mfusepy.FUSE):
        """Hands on the flags of a rename."""

        def rename_fuse_3(self, old: bytes, new: bytes, flags: int) -> int:
            return self.operations.rename(os.fsdecode(old), os.fsdecode(new), flags)

    Exchanging(Passing(), mount, foreground=True, nothreads=True, entry_timeout=0, attr_timeout=0)
    Path(record).write_bytes(pickle.dumps(steps))


if __name__ == "__main__":
    _serve(*sys.argv[1:])
