"""Saved indexes: files stamped with what they hold, published whole, thrown away when in doubt."""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from index.errors import EmotionSearchError, StorageFullError
from index.flat import FlatIndex
from index.quantised import QuantisedIndex
from index.rows import RowWriter, StoredRows
from index.vectors import VectorIndex

log = logging.getLogger(__name__)

_FORMAT = 3
_LOCK_S = 60.0
_ABANDONED_S = 86_400.0  # after which a half-made file belongs to nobody


@dataclass(frozen=True)
class Stamp:
    """What a saved index holds: of which archive, model and space, how far, how much, and what the
    index tells of itself."""

    archive: str
    model: str
    space: str
    kind: str
    dimension: int
    revision: int
    count: int
    details: Mapping[str, Any]


class IndexCache:
    """The folder of saved indexes of one archive and model.

    ``current.json`` names the index file in force with its size and checksum; replacing it is
    what publishes a new one, so readers see the old index or the new, never half of one.
    """

    def __init__(self, folder: Path, *, archive: str, model: str) -> None:
        self._folder = folder / archive / model[:16]
        self._archive, self._model = archive, model

    def load(self, space: str) -> tuple[VectorIndex, int] | None:
        """The saved index of a space (its fingerprint) and the index's revision; None where there
        is none fit for use.

        A torn or foreign file is set aside with a notice: the index is then rebuilt.
        """
        current = self._folder / "current.json"
        try:
            if not current.exists():
                return None
            with self._locked():
                try:
                    return self._read(current, space)
                except (OSError, ValueError, KeyError, TypeError, EmotionSearchError) as error:
                    log.warning("the saved index is unusable (%s); building it anew", error)
                    current.replace(current.with_suffix(".broken"))
        except (OSError, Timeout) as error:
            log.warning("the saved index in %s cannot be used (%s)", self._folder, error)
        return None

    def save(self, index: VectorIndex, revision: int, space: str) -> None:
        """Publish ``index`` of a space (its fingerprint) as it stands at ``revision``.

        Raises:
            StorageFullError: it cannot be written; the one in force stays.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._locked():
                self._publish(index, revision, space)
        except (OSError, RuntimeError, Timeout) as error:  # RuntimeError: FAISS's failed write
            raise StorageFullError(
                f"the index cannot be saved in {self._folder}: {error}"
            ) from error

    def saved(self) -> tuple[Stamp, int] | None:
        """The stamp of the saved index, of whatever space, and its size in bytes; None where there
        is none that can be read."""
        try:
            record = json.loads((self._folder / "current.json").read_text())
            if record["format"] == _FORMAT:
                return Stamp(**record["stamp"]), int(record["size"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return None

    def clear(self) -> None:
        """Remove the saved index, and the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def row_writer(self) -> RowWriter:
        """What a new index may put its vectors into; ``save`` publishes them with the index."""
        for left in self._folder.glob("making-*"):  # of a process that was killed
            if time.time() - left.stat().st_mtime > _ABANDONED_S:
                left.unlink(missing_ok=True)
        return RowWriter(self._folder / f"making-{uuid.uuid4().hex}.f32")

    def _locked(self) -> FileLock:
        """Savers and loaders, of whatever process, take turns."""
        return FileLock(self._folder / ".lock", timeout=_LOCK_S, thread_local=False)

    def _publish(self, index: VectorIndex, revision: int, space: str) -> None:
        for left in self._folder.glob("saving-*"):  # of a process that was killed
            left.unlink(missing_ok=True)
        temporary = self._folder / f"saving-{uuid.uuid4().hex}.faiss"
        index.save(temporary)
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
        checksum = _checksum(temporary)
        rows = index.rows
        if rows is not None and not rows.path.name.startswith("vectors-"):
            rows.move(self._folder, f"vectors-{uuid.uuid4().hex}.f32")
        final = self._folder / f"index-{revision}-{checksum:08x}.faiss"
        record = {
            "format": _FORMAT,
            "file": final.name,
            "size": temporary.stat().st_size,
            "crc32": checksum,
            "rows": rows.path.name if rows is not None else None,
            "stamp": asdict(stamp),
        }
        _sync(temporary)
        temporary.replace(final)
        pointer = self._folder / f"saving-{uuid.uuid4().hex}.json"
        pointer.write_text(json.dumps(record))
        _sync(pointer)
        pointer.replace(self._folder / "current.json")
        kept = {final.name} if rows is None else {final.name, rows.path.stem}
        for old in (*self._folder.glob("index-*.faiss"), *self._folder.glob("vectors-*")):
            if not {old.name, old.stem} & kept:
                old.unlink(missing_ok=True)

    def _read(self, current: Path, space: str) -> tuple[VectorIndex, int] | None:
        record = json.loads(current.read_text())
        if record["format"] != _FORMAT:
            raise ValueError(f"format {record['format']}")
        stamp = Stamp(**record["stamp"])
        if (stamp.archive, stamp.model) != (self._archive, self._model):
            raise ValueError("it belongs to another archive or model")
        if stamp.space != space:
            return None  # the space was changed since
        path = self._folder / Path(record["file"]).name
        if path.stat().st_size != record["size"] or _checksum(path) != record["crc32"]:
            raise ValueError("its checksum is wrong")
        index: VectorIndex
        if stamp.kind == FlatIndex.kind:
            index = FlatIndex.load(path)
        else:
            index = QuantisedIndex.load(path, stamp.details)
            if record["rows"] is not None:
                index.rows = StoredRows(self._folder / Path(record["rows"]).name, stamp.dimension)
        if (index.dimension, index.count) != (stamp.dimension, stamp.count):
            raise ValueError("it does not hold what its stamp says")
        return index, stamp.revision


def _checksum(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            value = zlib.crc32(block, value)
    return value


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
