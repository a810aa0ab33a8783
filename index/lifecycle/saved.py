"""Saved indexes on disk: stamped with archive, model, space and revision, replaced atomically."""

from __future__ import annotations

import json
import logging
import os
import shutil
import uuid
import zlib
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from emotion_search.index.database.columns import Columns
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.disk.permissions import FILE, make_file, make_folder
from emotion_search.index.disk.sync import publish, remove, sync
from emotion_search.index.errors import EmotionSearchError, StorageFullError, reason
from emotion_search.index.vectors.base import VectorIndex
from emotion_search.index.vectors.kinds import kinds
from emotion_search.index.vectors.mapped_rows import RowWriter, StoredRows, remove_abandoned

log = logging.getLogger(__name__)

_UNFIT = (OSError, ValueError, KeyError, TypeError, EmotionSearchError)
"""What reading a file raises that is not what was saved."""
_FORMAT = 5
_LOCK_S = 60.0


@dataclass(frozen=True)
class Stamp:
    """What a saved index holds: of which archive, model and space, how far, how much, and the
    index's own details."""

    archive: str
    model: str
    space: str
    kind: str
    dimension: int
    revision: int
    count: int
    details: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class SavedIndex:
    """An index as it was saved: at which revision, and the columns of its clips, if they can be
    read."""

    index: VectorIndex
    revision: int
    columns: Columns | None


class IndexCache:
    """The folder of saved indexes of one archive and model.

    ``current.json`` names the index file in force with its size and checksum; replacing it is
    what publishes a new one, so readers see the old index or the new, never half of one.
    """

    def __init__(self, folder: Path, *, archive: str, model: str) -> None:
        self._folder = folder / archive / model[:16]
        self._archive, self._model = archive, model

    def load(self, model: ModelInfo, space: str) -> SavedIndex | None:
        """The saved index of a space (its fingerprint); None where there is none fit for use.

        A torn or foreign file is set aside with a notice: the index is then rebuilt.
        """
        current = self._folder / "current.json"
        try:
            if not current.exists():
                return None
            with self._locked():
                try:
                    return self._read(current, model, space)
                except _UNFIT as error:
                    log.warning("the saved index is unusable (%s); building it anew", reason(error))
                    current.replace(current.with_suffix(".broken"))
        except (OSError, Timeout) as error:
            log.warning("the saved index in %s cannot be used (%s)", self._folder, reason(error))
        return None

    def examine(self, model: ModelInfo, space: str) -> str | None:
        """What is wrong with the saved index of a space (its fingerprint), every byte of it read;
        None for nothing, or where there is none."""
        current = self._folder / "current.json"
        if not current.exists():
            return None
        try:
            with self._locked():
                found = self._read(current, model, space)
                if found is not None and found.columns is None:
                    return "the columns beside it cannot be read"
                rows = found.index.rows if found is not None else None
                damaged = len(rows.damaged()) if rows is not None else 0
        except (*_UNFIT, Timeout) as error:
            return str(error)
        return f"{damaged} of the vectors beside it are damaged" if damaged else None

    def save(
        self,
        index: VectorIndex,
        columns: Columns,
        revision: int,
        space: str,
        *,
        over_newer: bool = False,
    ) -> bool:
        """Publish ``index`` of a space (its fingerprint) as it stands at ``revision``, unless one
        of a later revision is in force: another process saved it in the meantime.

        Args:
            over_newer: also over one of a later revision, for the database went back.

        Returns:
            Whether the index may go on to be used; not where its vectors are gone, for another
            process published an index of its own in its place: load that one.

        Raises:
            StorageFullError: it cannot be written; the one in force stays.
        """
        try:
            make_folder(self._folder)
            with self._locked():
                remove_abandoned(self._folder)
                saved = self.saved()
                if saved is not None and saved[0].revision > revision and not over_newer:
                    return True
                return self._publish(index, columns, revision, space)
        except (OSError, RuntimeError) as error:  # RuntimeError: FAISS's failed write
            raise StorageFullError(
                f"the index cannot be saved in {self._folder}: {reason(error)}"
            ) from error

    def saved(self) -> tuple[Stamp, int] | None:
        """The stamp of the saved index, of whatever space, and its size in bytes; None where there
        is none of this archive and model that can be read."""
        try:
            record = json.loads((self._folder / "current.json").read_text())
            stamp = Stamp(**record["stamp"])
            mine = (stamp.archive, stamp.model) == (self._archive, self._model)
            if record["format"] == _FORMAT and mine:
                return stamp, int(record["size"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return None

    def is_empty(self) -> bool:
        """Whether there is no file that holds anything."""
        return not any(file.suffix != ".lock" for file in self._folder.glob("[!.]*"))

    def clear(self) -> None:
        """Remove the saved index, and the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._folder.parent.exists():
            sync(self._folder.parent)

    def row_writer(self) -> RowWriter | None:
        """What a new index may put its vectors into; ``save`` publishes them with the index. None,
        with a notice, where the folder cannot be written to."""
        try:
            make_folder(self._folder)
            with self._locked():  # or a saver might take what is begun for abandoned
                return RowWriter(self._folder)
        except OSError as error:
            log.warning(
                "vectors cannot be written beside the index (%s); it goes without", reason(error)
            )
            return None

    def _locked(self) -> AbstractContextManager[object]:
        """Savers and loaders, of whatever process, take turns; where nobody can save, there is
        nothing to wait for."""
        if not os.access(self._folder, os.W_OK):
            return nullcontext()
        return FileLock(self._folder / ".lock", timeout=_LOCK_S, mode=FILE, thread_local=False)

    def _publish(self, index: VectorIndex, columns: Columns, revision: int, space: str) -> bool:
        """Put the index in force; False, and nothing was done, where its vectors are gone."""
        self._remove("saving-*")  # of a process that was killed
        temporary = self._folder / f"saving-{uuid.uuid4().hex}.faiss"
        try:
            index.save(make_file(temporary))
            columns.save(make_file(temporary.with_suffix(".npz")))
            if index.rows is not None:
                try:
                    index.rows.publish(self._folder)
                except FileNotFoundError:
                    return False
            self._point_at(index, temporary, revision, space)
        finally:
            self._remove("saving-*")  # not whole: the disk is full
        return True

    def _point_at(self, index: VectorIndex, temporary: Path, revision: int, space: str) -> None:
        checksum = _checksum(temporary)
        final = self._folder / f"index-{revision}-{checksum:08x}.faiss"
        rows = index.rows
        stamp = Stamp(
            self._archive,
            self._model,
            space,
            index.kind,
            index.dimension,
            revision,
            index.count,
            index.details(),
        )
        record = {
            "format": _FORMAT,
            "file": final.name,
            "size": temporary.stat().st_size,
            "crc32": checksum,
            "columns_crc32": _checksum(temporary.with_suffix(".npz")),
            "rows": rows.path.name if rows is not None else None,
            "stamp": asdict(stamp),
        }
        publish(temporary.with_suffix(".npz"), final.with_suffix(".npz"))
        publish(temporary, final)
        pointer = self._folder / f"saving-{uuid.uuid4().hex}.json"
        signed = json.dumps({**record, "record_crc32": _crc32_of(record)})
        make_file(pointer).write_text(signed)
        publish(pointer, self._folder / "current.json")
        kept = {final.stem} if rows is None else {final.stem, rows.path.stem}
        there = (*self._folder.glob("index-*"), *self._folder.glob("vectors-*"))
        remove(old for old in there if old.stem not in kept)

    def _remove(self, pattern: str) -> None:
        for left in self._folder.glob(pattern):
            left.unlink(missing_ok=True)

    def _read(self, current: Path, model: ModelInfo, space: str) -> SavedIndex | None:
        record = json.loads(current.read_text())
        if record["format"] in range(_FORMAT):
            return None  # of an earlier version of the program
        if record["format"] != _FORMAT:
            raise ValueError(f"format {record['format']}")
        if record.pop("record_crc32") != _crc32_of(record):
            raise ValueError("the checksum of current.json is wrong")
        stamp = Stamp(**record["stamp"])
        if (stamp.archive, stamp.model) != (self._archive, self._model):
            raise ValueError("it belongs to another archive or model")
        if stamp.space != space:
            return None  # the space was changed since
        path = self._folder / Path(record["file"]).name
        if path.stat().st_size != record["size"] or _checksum(path) != record["crc32"]:
            raise ValueError("its checksum is wrong")
        index = kinds()[stamp.kind].load(path, stamp.details)
        if record["rows"] is not None:
            index.rows = StoredRows(self._folder / Path(record["rows"]).name, stamp.dimension)
        if (index.dimension, index.count) != (stamp.dimension, stamp.count):
            raise ValueError("it does not hold what its stamp says")
        try:
            if _checksum(path.with_suffix(".npz")) != record["columns_crc32"]:
                raise ValueError("their checksum is wrong")
            columns = Columns.load(path.with_suffix(".npz"), model)
        except (OSError, ValueError, KeyError) as error:
            log.warning("the saved columns are unusable (%s); reading them anew", error)
            return SavedIndex(index, stamp.revision, None)
        return SavedIndex(index, stamp.revision, columns)


def _checksum(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            value = zlib.crc32(block, value)
    return value


def _crc32_of(record: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(record, sort_keys=True).encode())
