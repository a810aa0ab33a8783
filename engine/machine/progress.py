"""How long work reports how far it is."""

from collections.abc import Callable

Progress = Callable[[float, float | None], None]
"""Called with how much is done, and of how much (None where that is not known)."""


def unwatched(_done: float, _total: float | None) -> None:
    """The ``Progress`` of work whose progress nobody asks for."""
