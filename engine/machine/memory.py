"""Memory limits: freed memory returned to the system (glibc), oneDNN's kernel cache bounded."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import cache

_KERNELS = "64"


def bound_kernel_cache() -> None:
    """Let oneDNN keep a few dozen compiled kernels, not the thousand of its default.

    It compiles one for each layer and each length of a clip, of which an archive has as many as
    clips: nearly none is met again, and a thousand of them take tens of megabytes. Call it before
    the first use of a model; a value that the environment gives already stands
    (``ONEDNN_PRIMITIVE_CACHE_CAPACITY``; oneDNN's developer guide, "Primitive Cache").
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", _KERNELS)


def release_free_memory() -> None:
    """Give memory back to the system that was freed but is kept for later, where glibc keeps it.

    Tensors of every size leave gaps that add up over a long ingest. Takes milliseconds.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # another C library, another system
        return None
    return trim
