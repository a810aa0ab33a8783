"""Registry of the kinds of index, and the choice of the one that suits an archive.

To add a kind: write its class in a file beside this one (a ``VectorIndex``; see ``base.py``), then
name it here, in ``KindName`` and in ``kinds``. Building, saving, loading, settings and commands
know kinds only through these.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from emotion_search.index.vectors.base import VectorIndex

KindName = Literal["flat", "quantised", "engine"]

IndexKind = KindName | Literal["auto"]
"""What may be asked for; ``auto`` goes by size. The engine is asked for by its address."""

OUTGROWN = 1.5
"""By how much an archive outgrows what its index was trained on."""


def kinds() -> dict[str, type[VectorIndex]]:
    """The kinds by name, those for fewer clips first; the first takes any number."""
    # FAISS is imported where an index is made or read, not by whoever names a kind.
    from emotion_search.index.vectors.external import EngineIndex
    from emotion_search.index.vectors.flat import FlatIndex
    from emotion_search.index.vectors.quantised import QuantisedIndex

    return {"flat": FlatIndex, "quantised": QuantisedIndex, "engine": EngineIndex}


def kind_for(asked: IndexKind, count: int) -> type[VectorIndex]:
    """The kind that suits so many clips: the one asked for, if it can be made of so few."""
    possible = {name: kind for name, kind in kinds().items() if count >= kind.fewest}
    if asked != "auto" and asked in possible:
        return possible[asked]
    fitting = [kind for kind in possible.values() if count <= kind.most]
    return fitting[0] if fitting else list(possible.values())[-1]


def is_outgrown(index: VectorIndex, asked: IndexKind) -> bool:
    """Whether the index should be made anew: of another kind, or trained on more vectors. One that
    suits larger archives goes on to serve, unless another kind is asked for."""
    suiting = kind_for(asked, index.count)
    if index.kind != suiting.kind:
        return asked == suiting.kind or index.count > index.most
    return index.count > OUTGROWN * index.trained_on


def is_large(count: int) -> bool:
    """Whether making an index of so many clips takes long: more than suit the first kind."""
    return count > next(iter(kinds().values())).most


def is_address(text: str) -> bool:
    """Whether a text is to name an engine."""
    return re.match(r"milvus\+https?://", text) is not None


def without_secret(text: str) -> str:
    """The address of an engine without user, password and token."""
    return re.sub(r"//.*@", "//***@", text)
