"""Limits that a decoder process sets itself: memory, files, processor time, no network."""

from __future__ import annotations

import contextlib
import ctypes
import os
import time
from pathlib import Path

try:
    import resource
except ImportError:  # Windows, where files are decoded in the program itself
    resource = None  # type: ignore[assignment]

_NO_NEW_PRIVILEGES = 38  # PR_SET_NO_NEW_PRIVS
_NEW_NETWORK, _NEW_USER = 0x40000000, 0x10000000  # CLONE_NEWNET, CLONE_NEWUSER
_FILES = 64  # open at once


def confine(memory: int) -> None:
    """Take from this process what decoding does not need, as far as the system lets it: a network,
    new privileges, writing files, core dumps, and more than ``memory`` bytes beyond what it has.

    Everything that it imports must be imported before.
    """
    import av  # noqa: F401 - loads FFmpeg

    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_NEW_NETWORK) and os.geteuid():  # root would lose its rights to files
            libc.unshare(_NEW_NETWORK | _NEW_USER)
        libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    _limit("RLIMIT_CORE", 0)
    _limit("RLIMIT_FSIZE", 0)
    _limit("RLIMIT_NOFILE", _FILES)
    with contextlib.suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        _limit("RLIMIT_AS", pages * os.sysconf("SC_PAGE_SIZE") + memory)


def allow_seconds(seconds: int) -> None:
    """Let this process be killed once it has used this much more processor time."""
    if resource is not None:
        until = int(time.process_time()) + seconds
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CPU, (until, hard))


def _limit(name: str, most: int) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        resource.setrlimit(getattr(resource, name), (most, most))
