"""What migrations share: kinds of columns, and the stored scores of clips, read in parts.

Migrations of released versions go by it: it is added to, and not changed.
"""

import json
from collections.abc import Iterator

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)

_ROWS = 2000


def reference(
    name: str, target: str, *, primary_key: bool = False, nullable: bool = False
) -> sa.Column[int]:
    """A foreign key whose row goes with what it points at."""
    key = sa.ForeignKey(target, ondelete="CASCADE")
    return sa.Column(name, BIG_ID, key, primary_key=primary_key, nullable=nullable)


def stored_scores(
    connection: sa.Connection,
) -> Iterator[tuple[int, list[str], list[tuple[int, NDArray[np.float32]]]]]:
    """Id and classes of each model that has some, and clips with their scores under it, float32
    (classes,), some at a time; clips without scores are left out."""
    query = sa.text(
        "SELECT clip_id, scores FROM embeddings"
        " WHERE model_id = :model AND clip_id > :after ORDER BY clip_id LIMIT :most"
    )
    for model, classes in connection.execute(sa.text("SELECT id, classes FROM models")).all():
        names = json.loads(classes) if isinstance(classes, str) else classes
        of_part = {"model": model, "after": 0, "most": _ROWS}
        while names and (rows := connection.execute(query, of_part).all()):
            of_part["after"] = rows[-1][0]
            yield model, names, [(clip, np.frombuffer(data, "<f4")) for clip, data in rows if data]
