"""How long work reports how far it is."""

from collections.abc import Callable

Progress = Callable[[float, float | None], None]
"""Called with how much is done, and of how much (None where that is not known)."""


def unwatched(_done: float, _total: float | None) -> None:
    """The ``Progress`` of work whose progress nobody asks for."""


def adding_up(progress: Progress, total: float) -> Callable[[float], None]:
    """Called with how much more is done, tells ``progress`` how much that is in all."""
    done = 0.0

    def add(more: float) -> None:
        nonlocal done
        done += more
        progress(done, total)

    return add


def share(progress: Progress, start: float, end: float) -> Progress:
    """The progress of a part of the work, which is from ``start`` to ``end`` of it, of 0 to 1."""

    def update(done: float, total: float | None) -> None:
        progress(start + (end - start) * done / total if total else start, 1.0)

    return update
