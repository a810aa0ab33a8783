"""Arrays in files of any length, in memory that does not grow with it: ``.npy``, row by row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_search.index.disk.sync import publish, unfinished
from emotion_search.index.errors import UnusableError, reason


def mapped(path: Path) -> NDArray[Any]:
    """The array of a ``.npy``, mapped.

    Raises:
        InvalidInputError: it is none (an ``.npz`` is not), or holds Python objects.
    """
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise UnusableError(f"{path} is not a readable .npy file: {reason(error)}") from error


class NpyWriter:
    """A float32 ``.npy`` that grows; it has its name once it is whole.

    As a context manager it publishes the file at the end, and leaves nothing where the block
    raised.

    Args:
        path: the file's name in the end.
        width: columns of the array.
    """

    def __init__(self, path: Path, width: int) -> None:
        self._path, self._width = path, width
        self._partial = unfinished(path)
        self._out = self._partial.open("wb")
        self.rows = 0
        self._header()

    def append(self, rows: NDArray[np.float32]) -> None:
        """Add rows (n, width)."""
        assert rows.ndim == 2
        assert rows.shape[1] == self._width
        self._out.write(np.ascontiguousarray(rows, "<f4").tobytes())
        self.rows += len(rows)

    def __enter__(self) -> NpyWriter:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with self._out:
            if kind is None:
                self._out.seek(0)
                self._header()
        if kind is None:
            publish(self._partial, self._path)
        else:
            self._partial.unlink(missing_ok=True)

    def _header(self) -> None:
        """Write the header; numpy leaves room in it for the first axis to grow."""
        shape = (self.rows, self._width)
        np.lib.format.write_array_header_1_0(
            self._out, {"descr": "<f4", "fortran_order": False, "shape": shape}
        )
