"""FunASR's own Emotion2vec class, without what importing FunASR does to a process."""

from __future__ import annotations

import contextlib
import pkgutil
import sys
from collections.abc import Iterator
from typing import Any

from emotion_search.engine.embedders.quiet import undisturbed


@contextlib.contextmanager
def emotion2vec_class() -> Iterator[Any]:
    """Within, the registered class ``Emotion2vec`` of FunASR, ready to be instantiated.

    ``import funasr`` walks and imports all its submodules: six seconds and half a gigabyte. Here
    only the modules that the class needs are imported, and forgotten again afterwards, so that a
    later ``import funasr`` by somebody else is whole.
    """
    if "funasr" in sys.modules:
        from funasr.models.emotion2vec.model import Emotion2vec

        yield Emotion2vec
        return
    with undisturbed(), _no_walk():
        try:
            from funasr.models.emotion2vec.model import Emotion2vec

            yield Emotion2vec
        finally:
            for name in [name for name in sys.modules if name.split(".")[0] == "funasr"]:
                del sys.modules[name]


@contextlib.contextmanager
def _no_walk() -> Iterator[None]:
    """Within, packages have no submodules to walk."""
    walk = pkgutil.walk_packages
    pkgutil.walk_packages = lambda *_, **__: iter(())
    try:
        yield
    finally:
        pkgutil.walk_packages = walk
