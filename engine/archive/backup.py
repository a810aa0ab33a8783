"""Backup and restore: an archive at one moment in a tar file, every member with its checksum."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import IO, Any

from emotion_search.engine.files.disk import output_lock, space_needed
from emotion_search.engine.files.objects import opened
from emotion_search.engine.machine.progress import Progress, adding_up, unwatched
from emotion_search.engine.settings import Settings
from emotion_search.index.database.addresses import is_object
from emotion_search.index.database.connection import Database
from emotion_search.index.database.copy import copy_archive, is_empty, snapshot
from emotion_search.index.database.files import located_files, move_paths
from emotion_search.index.database.jobs import remove_unfinished
from emotion_search.index.database.models import list_models, rename_model
from emotion_search.index.database.schema import Location
from emotion_search.index.disk.permissions import make_file, make_folder
from emotion_search.index.disk.sync import make_folders, publish, unfinished
from emotion_search.index.errors import ConflictError, StorageError, UnusableError
from emotion_search.index.vectors.kinds import is_address

_FORMAT = 1
_LIST = "backup.json"
_DATABASE, _SETTINGS, _UPLOADS, _MODELS = "archive.db", "settings.env", "uploads", "models"
_CARD = "# Model card"  # begins the README of a model that was tuned here
_BLOCK = 1 << 20
_WORKING = ".emotion-search"
_LEFT_S = 86_400.0


@dataclass(frozen=True)
class BackedUp:
    """What is in a backup.

    Attributes:
        created_at: when it began.
        uploads, models: how many uploaded recordings and tuned models are in it.
        size: bytes of its members together.
    """

    created_at: datetime
    uploads: int
    models: int
    size: int


def backup(
    settings: Settings, file: Path, *, overwrite: bool = False, progress: Progress = unwatched
) -> BackedUp:
    """Write the archive as it stands now to a tar file, while it serves and is written to: the
    database, uploads, tuned models, and the settings that are not the defaults; no addresses with
    passwords, nor audio of the user's own. The file has its name once it is whole.

    Args:
        progress: called with how much of the database is copied, then with bytes of the file.

    Raises:
        InvalidInputError: the file is there already, is a folder, or its folder is not there.
        DatabaseError: there is no archive, or it cannot be read.
        StorageFullError: no space is left; no file is.
    """
    if not (parent := file.absolute().parent).is_dir():
        raise UnusableError(f"{file} cannot be written: there is no folder {parent}")
    with output_lock(file):
        if file.is_dir():
            raise ConflictError(f"{file} is a folder: name a file in it")
        if file.exists() and not overwrite:
            raise ConflictError(f"{file} is there already: name another, or say --overwrite")
        return _write(settings, file, progress)


def _write(
    settings: Settings, file: Path, progress: Callable[[float, float | None], None]
) -> BackedUp:
    began = datetime.now(UTC)
    with space_needed(file.parent), _working_folder(file.parent, ".backup-") as folder:
        partial, copied = folder / "tar", folder / _DATABASE
        with closing(Database(settings.database)) as source:
            snapshot(source, copied, progress)
        with closing(Database(copied)) as database:
            with database.write() as session:
                remove_unfinished(session)  # their bytes are not here
            with database.read() as session:
                uploads = [
                    Path(one.path)
                    for _, one in located_files(session, str(settings.uploads_folder))
                ]
                models = {m.fingerprint: Path(m.name) for m in list_models(session)}
            database.empty_log()
        tuned = {key: path for key, path in models.items() if _is_tuned(path)}
        parts = {
            f"{_MODELS}/{key[:16]}/{part.relative_to(path.parent).as_posix()}": part
            for key, path in tuned.items()
            for part in (sorted(path.rglob("*")) if path.is_dir() else [path])
            if part.is_file()
        }
        total = sum(map(_size, (copied, *uploads, *parts.values())))
        with tarfile.TarFile(make_file(partial), "w", copybufsize=_BLOCK) as tar:
            writer = _Writer(tar, adding_up(progress, total))
            writer.add(_DATABASE, copied)
            for path in uploads:
                writer.add(f"{_UPLOADS}/{path.name}", path, may_be_gone=True)
            for name, path in parts.items():
                writer.add(name, path)
            writer.put(_SETTINGS, _as_environment(settings))
            listed = {
                "format": _FORMAT,
                "created_at": began.isoformat(),
                "program": version("emotion-search"),
                "uploads": str(settings.uploads_folder),
                "models": {key: path.name for key, path in tuned.items()},
                "files": writer.files,
            }
            writer.put(_LIST, json.dumps(listed, indent=1).encode())
        publish(partial, file)
    return _described(listed)


@contextmanager
def _working_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A folder beside what is made, for a copy of the database; those of killed runs go after a
    day, for they hold what ``forget`` does not erase there."""
    for left in parent.glob(f"{prefix}*{_WORKING}"):
        if time.time() - left.stat().st_mtime > _LEFT_S:
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix=prefix, suffix=_WORKING) as folder:
        yield Path(folder)


def restore(
    settings: Settings, file: str | Path, *, dry_run: bool = False, progress: Progress = unwatched
) -> BackedUp:
    """Make an archive of a backup, where the settings say; everything is checked first.

    Args:
        file: the backup, or its address in a bucket.
        dry_run: check alone.
        progress: called with bytes read, then, of another kind of database, with rows written.

    Raises:
        InvalidInputError: no backup, a damaged one, or there is an archive already.
        DatabaseError: the database cannot be used.
        StorageFullError: no space is left.
    """
    home = settings.home
    with _opened(file) as (tar, listed):
        seen = adding_up(progress, _described(listed).size)
        if dry_run:
            for name, noted in listed["files"].items():
                _extract(tar, name, noted, None, seen)
            return _described(listed)
        with closing(Database(settings.database)) as target:
            if not is_empty(target):
                raise ConflictError(f"{target} holds an archive already; restore elsewhere")
            make_folder(home)
            with space_needed(home), _working_folder(home, ".restore-") as folder:
                for name, noted in listed["files"].items():
                    _extract(tar, name, noted, folder / name, seen)
                restored = folder / _DATABASE
                _adopt(restored, listed, home)
                for part in (_UPLOADS, _MODELS, _SETTINGS):
                    if (folder / part).exists():
                        _merge(folder / part, home / part)
                if target.file is not None and not target.file.exists():
                    _publish(restored, target.file)
                else:
                    with closing(Database(restored)) as source:
                        copy_archive(source, target, progress)
    return _described(listed)


def _is_tuned(path: Path) -> bool:
    """Whether a model's name is the path of one that is here and was tuned, not downloaded."""
    if not path.is_absolute() or not path.exists():
        return False
    if path.suffix == ".safetensors":
        return True
    card = path / "README.md"
    return card.is_file() and card.read_text(encoding="utf-8", errors="replace").startswith(_CARD)


def _size(path: Path) -> int:
    """The bytes of a file; 0 where it was erased meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _as_environment(settings: Settings) -> bytes:
    """The settings that are not the defaults, as variables; not where the archive is, nor its
    model, which it knows, nor the bucket of uploads, in which a copy must not erase."""
    left_out = {"home", "database_url", "model", "uploads"} | (
        {"index"} if is_address(settings.index) else set()
    )
    noted = settings.model_dump(exclude=left_out, exclude_defaults=True)
    return "".join(f"EMOTION_SEARCH_{k.upper()}={value}\n" for k, value in noted.items()).encode()


def _adopt(database: Path, listed: Mapping[str, Any], home: Path) -> None:
    """Bring a database that comes from another home up to date and to its files here."""
    with closing(Database(database)) as opened:
        opened.migrate()
        with opened.write() as session:
            move_paths(session, Location, listed["uploads"], str(home / _UPLOADS))
            for key, name in listed["models"].items():
                rename_model(session, key, str(home / _MODELS / key[:16] / name))
        opened.empty_log()


def _publish(database: Path, file: Path) -> None:
    """Put a database in its place, whole or not at all, and no log beside it that is another's."""
    make_folders(file.parent)
    partial = unfinished(file)
    try:
        shutil.copyfile(database, partial)
        for end in ("-wal", "-shm"):
            Path(f"{file}{end}").unlink(missing_ok=True)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def _merge(part: Path, into: Path) -> None:
    if part.is_dir():
        shutil.copytree(part, into, dirs_exist_ok=True, copy_function=os.replace)
    else:
        part.replace(into)


def _described(listed: Mapping[str, Any]) -> BackedUp:
    files = listed["files"]
    return BackedUp(
        created_at=datetime.fromisoformat(listed["created_at"]),
        uploads=sum(name.startswith(f"{_UPLOADS}/") for name in files),
        models=len(listed["models"]),
        size=sum(one["size"] for one in files.values()),
    )


class _Writer:
    """Adds members to a tar file, and notes size and sha256 of each in ``files``."""

    def __init__(self, tar: tarfile.TarFile, seen: Callable[[float], None]) -> None:
        self._tar, self._seen = tar, seen
        self.files: dict[str, dict[str, Any]] = {}

    def add(self, name: str, path: Path, *, may_be_gone: bool = False) -> None:
        """A file; one that was erased meanwhile may be left out."""
        try:
            with path.open("rb") as content:
                self._write(name, content, os.fstat(content.fileno()).st_size)
        except FileNotFoundError:
            if not may_be_gone:
                raise

    def put(self, name: str, data: bytes) -> None:
        """A member with this content."""
        self._write(name, io.BytesIO(data), len(data))

    def _write(self, name: str, content: IO[bytes], size: int) -> None:
        member = tarfile.TarInfo(name)
        member.size = size
        hashed = _Hashed(content, self._seen)
        self._tar.addfile(member, hashed)
        self.files[name] = {"size": size, "sha256": hashed.digest.hexdigest()}


class _Hashed:
    """A file that hashes what is read of it; ``seen`` is called with how many bytes more it is."""

    def __init__(self, file: IO[bytes], seen: Callable[[float], None]) -> None:
        self._file, self._seen, self.digest = file, seen, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        self._seen(len(data))
        return data


@contextmanager
def _opened(file: str | Path) -> Iterator[tuple[tarfile.TarFile, dict[str, Any]]]:
    """A backup, and the list of what is in it.

    Raises:
        InvalidInputError: it is none, or is not whole.
    """
    try:
        with opened(str(file)) as (path, _), tarfile.open(path, "r:") as tar:
            content = tar.extractfile(_LIST)
            assert content is not None
            listed = json.load(content)
            if listed["format"] != _FORMAT:
                raise UnusableError(f"{file} is of a newer emotion-search; upgrade it")
            _described(listed)
            yield tar, listed
    except FileNotFoundError as error:
        raise UnusableError(f"{error.filename}: no such file") from error
    except OSError as error:
        if not is_object(str(file)) or error.filename != str(file):
            raise
        raise StorageError(f"{file} cannot be read: {error.strerror}") from error
    except (tarfile.TarError, KeyError, ValueError, TypeError, AssertionError) as error:
        raise UnusableError(f"{file} is no backup, or is not whole ({error})") from error


def _extract(
    tar: tarfile.TarFile,
    name: str,
    noted: Mapping[str, Any],
    target: Path | None,
    seen: Callable[[float], None],
) -> None:
    """Read a member and compare it with its checksum; write it where a target is given.

    Raises:
        ValueError: it is another, or is to lie outside of the home.
    """
    parts = PurePosixPath(name).parts
    if parts[0] not in (_DATABASE, _SETTINGS, _UPLOADS, _MODELS) or ".." in parts:
        raise ValueError(f"{name} belongs in no backup")
    content = tar.extractfile(name)
    if content is None:
        raise ValueError(f"{name} is no file")
    hashed = _Hashed(content, seen)
    if target is not None:
        make_folder(target.parent)
    with make_file(target).open("wb") if target else io.BytesIO() as out:
        while block := hashed.read(_BLOCK):
            if target:
                out.write(block)
    if hashed.digest.hexdigest() != noted["sha256"]:
        raise ValueError(f"the checksum of {name} is wrong")
