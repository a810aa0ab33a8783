"""Saved indexes: files stamped with what they hold, published whole, thrown away when in doubt."""

from __future__ import annotations

import json
import logging
import os
import zlib
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from index.errors import EmotionSearchError, StorageFullError
from index.flat import FlatIndex

log = logging.getLogger(__name__)

_FORMAT = 1


@dataclass(frozen=True)
class Stamp:
    """What a saved index holds: of which archive and model, how far, how much."""

    archive: str
    model: str
    dimension: int
    revision: int
    count: int


class IndexCache:
    """The folder of saved indexes of one archive and model.

    ``current.json`` names the index file in force with its size and checksum; replacing it is
    what publishes a new one, so readers see the old index or the new, never half of one.
    """

    def __init__(self, folder: Path, *, archive: str, model: str) -> None:
        self._folder = folder / archive / model[:16]
        self._archive, self._model = archive, model

    def load(self) -> tuple[FlatIndex, int] | None:
        """The saved index and its revision; None where there is none fit for use.

        A torn or foreign file is set aside with a notice: the index is then rebuilt.
        """
        current = self._folder / "current.json"
        if not current.exists():
            return None
        try:
            return self._read(current)
        except (OSError, ValueError, KeyError, TypeError, EmotionSearchError) as error:
            log.warning("the saved index is unusable (%s); building it anew", error)
            self._set_aside(current)
            return None

    def save(self, index: FlatIndex, revision: int) -> None:
        """Publish ``index`` as it stands at ``revision``.

        Raises:
            StorageFullError: it cannot be written; the one in force stays.
        """
        temporary = self._folder / f"saving-{os.getpid()}.faiss"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            index.save(temporary)
            stamp = Stamp(self._archive, self._model, index.dimension, revision, index.count)
            checksum = _checksum(temporary)
            final = self._folder / f"index-{revision}-{checksum:08x}.faiss"
            record = {
                "format": _FORMAT,
                "file": final.name,
                "size": temporary.stat().st_size,
                "crc32": checksum,
                "stamp": asdict(stamp),
            }
            _sync(temporary)
            temporary.replace(final)
            pointer = self._folder / f"current-{os.getpid()}.json"
            pointer.write_text(json.dumps(record))
            _sync(pointer)
            pointer.replace(self._folder / "current.json")
        except (OSError, RuntimeError) as error:  # RuntimeError is FAISS's for a failed write
            with suppress(OSError):
                temporary.unlink()
            raise StorageFullError(
                f"the index cannot be saved in {self._folder}: {error}"
            ) from error
        for old in self._folder.glob("index-*.faiss"):
            if old.name != final.name:
                old.unlink(missing_ok=True)

    def _read(self, current: Path) -> tuple[FlatIndex, int]:
        record = json.loads(current.read_text())
        if record["format"] != _FORMAT:
            raise ValueError(f"format {record['format']}")
        stamp = Stamp(**record["stamp"])
        if (stamp.archive, stamp.model) != (self._archive, self._model):
            raise ValueError("it belongs to another archive or model")
        path = self._folder / Path(record["file"]).name
        if path.stat().st_size != record["size"] or _checksum(path) != record["crc32"]:
            raise ValueError("its checksum is wrong")
        index = FlatIndex.load(path)
        if (index.dimension, index.count) != (stamp.dimension, stamp.count):
            raise ValueError("it does not hold what its stamp says")
        return index, stamp.revision

    def _set_aside(self, current: Path) -> None:
        try:
            current.replace(current.with_suffix(".broken"))
        except OSError:
            log.warning("%s cannot be set aside", current)


def _checksum(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            value = zlib.crc32(block, value)
    return value


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
