"""Files and folders that are written into a bucket: made here, and stored once they are whole."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emotion_search.engine.files.disk import space_needed
from emotion_search.engine.files.objects import listed, put_object
from emotion_search.index.database.addresses import is_object
from emotion_search.index.errors import ConflictError, StorageError

_LAST = "about.json"  # of a folder: where that is, all is


@contextmanager
def output_at(target: str | Path, *, overwrite: bool) -> Iterator[Path]:
    """A path to write a file or folder at: ``target``, or of an address a temporary one, whose
    content is stored there when the block ends. Where the block raises, nothing is.

    Raises:
        ConflictError: something is at the address; a folder there is never overwritten.
        StorageError: it cannot be written to.
        StorageFullError: no space is left in the temporary folder.
    """
    if not is_object(str(target)):
        yield Path(target)
        return
    url = str(target).rstrip("/")
    with space_needed(Path(tempfile.gettempdir())), tempfile.TemporaryDirectory() as folder:
        try:
            there = next(listed(url, may_be_empty=True), None)
            if there is not None and not (overwrite and there.path == url):
                way = ", or say --overwrite" if there.path == url else ""
                raise ConflictError(f"{url} exists; choose another name{way}")
            made = Path(folder) / url.rpartition("/")[2]
            yield made
            if made.is_file():
                put_object(url, made)
                return
            parts = [path for path in made.rglob("*") if path.is_file()]
            for path in sorted(parts, key=lambda path: (path.name == _LAST, path)):
                put_object(f"{url}/{path.relative_to(made).as_posix()}", path)
        except OSError as error:
            if error.filename is None or not is_object(str(error.filename)):
                raise
            raise StorageError(f"{error.filename} cannot be written: {error.strerror}") from error
