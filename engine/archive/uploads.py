"""Where the bytes of uploads are: in the home, or in a bucket that several servers share."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from emotion_search.engine.audio.file import EXTENSIONS
from emotion_search.engine.files import objects
from emotion_search.engine.files.disk import upload_lock
from emotion_search.engine.settings import Settings
from emotion_search.index.database.models import UUID
from emotion_search.index.disk.permissions import make_file
from emotion_search.index.disk.sync import publish, remove
from emotion_search.index.errors import StorageError

ABANDONED_S = 3600.0
"""Seconds after which nobody is about to take in an upload that neither job nor recording has."""
_HASH = re.compile(r"[0-9a-f]{64}")
_KEPT = re.compile(r"([0-9a-f]{64})\.([0-9a-f]{32})\.[0-9a-f]{8}\.\w+$")


class HomeUploads:
    """Uploads in a folder of the home: under their hash, and as ``incoming`` until they are taken
    in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self) -> str | None:
        """By what the database knows this place; None where nothing, or none, is written."""
        with suppress(OSError, UnicodeDecodeError):
            found = self.place_file.read_text()
            return found if UUID.fullmatch(found) else None
        return None

    @property
    def place_file(self) -> Path:
        """Where that is written."""
        return self.folder / "incoming" / "place"

    def incoming(self, stored: str) -> str:
        """Path of an upload that is not taken in yet."""
        return str(self.folder / "incoming" / stored)

    def lock(
        self, sha256: str, *, patience: float = 30.0, stop: Event | None = None
    ) -> AbstractContextManager[None]:
        """Within, the bytes with this hash are ours; see ``upload_lock``."""
        return upload_lock(self.folder, sha256, patience=patience, stop=stop)

    def keep(self, path: str, sha256: str, name: str) -> str:
        """The bytes of an upload under a name that is kept, whole or not at all; the path."""
        kept = self.folder / (sha256 + _ending(name))
        partial = self.folder / f"{sha256}.partial"
        try:
            shutil.copyfile(path, make_file(partial))
            publish(partial, kept)
        finally:
            partial.unlink(missing_ok=True)
        return str(kept)

    def remove(self, sha256: str, paths: Iterable[str]) -> None:
        """Remove bytes that are kept, all that have this hash; ``paths`` are where they were."""
        remove(self.folder.glob(f"{sha256}.*"))

    def in_home(self) -> dict[str, list[Path]]:
        """Files of the home that are uploads which were taken in, by their hash."""
        found: dict[str, list[Path]] = {}
        for path in self.folder.glob("*.*"):
            if path.suffix != ".partial" and _HASH.fullmatch(path.stem):
                found.setdefault(path.stem, []).append(path)
        return found

    def require(self) -> None:
        """Raise StorageError where uploads cannot be stored and read; of a home, never."""


@dataclass(frozen=True)
class Kept:
    """An upload that is kept in a bucket: where, its hash, and its name before it was taken in."""

    path: str
    sha256: str
    stored: str


class BucketUploads(HomeUploads):
    """Uploads in a bucket; earlier ones in the home are removed, too, when they are forgotten.

    Each attempt to take one in keeps an object of its own, so that no attempt, of whatever server,
    removes what another relies on.
    """

    def __init__(self, folder: Path, address: str) -> None:
        super().__init__(folder)
        self.root = address.rstrip("/")

    def place(self) -> str:
        """By what the database knows this bucket: the same for all servers."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, self.root))

    def incoming(self, stored: str) -> str:
        """Address of an upload that is not taken in yet."""
        return f"{self.root}/incoming/{stored}"

    def lock(
        self, sha256: str, *, patience: float = 30.0, stop: Event | None = None
    ) -> AbstractContextManager[None]:
        """Nothing: identity by content makes of equal bytes one recording."""
        return nullcontext()

    def keep(self, path: str, sha256: str, name: str) -> str:
        """The bytes of an upload as an object that is kept, copied by the server of the bucket."""
        stored = path.rpartition("/")[2]
        kept = f"{self.root}/{sha256}.{stored}.{uuid.uuid4().hex[:8]}{_ending(name)}"
        with storage_needed():
            objects.copy_object(path, kept)
        return kept

    def remove(self, sha256: str, paths: Iterable[str]) -> None:
        """Remove bytes that are kept at ``paths``; those in the home as ever.

        Raises:
            StorageError: they are there still.
        """
        super().remove(sha256, paths)
        with storage_needed():
            for path in paths:
                if path.startswith(f"{self.root}/"):
                    objects.drop_object(path)

    def kept(self) -> Iterator[Kept]:
        """The uploads that are kept."""
        with storage_needed():
            for one in objects.listed(f"{self.root}/", may_be_empty=True):
                name = one.path.removeprefix(f"{self.root}/")
                if (found := _KEPT.match(name)) is not None:
                    yield Kept(one.path, found[1], found[2])

    def require(self) -> None:
        """Check that the bucket answers."""
        with storage_needed():
            objects.require_bucket(f"{self.root}/")


def uploads_of(settings: Settings) -> HomeUploads:
    """Where the settings have uploads."""
    folder = settings.uploads_folder
    return BucketUploads(folder, settings.uploads) if settings.uploads else HomeUploads(folder)


@contextmanager
def storage_needed() -> Iterator[None]:
    """Within, an error of object storage is ours.

    Raises:
        StorageError: there was one.
    """
    try:
        yield
    except OSError as error:
        raise StorageError(f"uploads in {error.filename}: {error.strerror}") from error


def _ending(name: str) -> str:
    suffix = Path(name).suffix.lower()
    return suffix if suffix in EXTENSIONS else ".audio"
