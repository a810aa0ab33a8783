"""Examples of a search as the client takes them, and the query and files that they make."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, SupportsIndex

from emotion_search.engine.client.http import as_text

Example = SupportsIndex | str | Path | Mapping[str, Any]
"""A clip's id, an audio file (by its path), or what the service takes, such as
``{"recording": 7, "start": 1.5}``, ``{"vector": […]}`` or ``{"text": "an angry customer"}``."""


def query_of(
    positive: Any, negative: Any, options: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Any]]:
    """The query as JSON, and the files that go with it."""
    query: dict[str, Any] = {
        name: as_text(value) for name, value in options.items() if value is not None
    }
    files: list[Any] = []
    for part, name, examples in (
        ("file", "positive", positive),
        ("negative_file", "negative", negative),
    ):
        several = isinstance(examples, Iterable) and not isinstance(examples, (str, Path, Mapping))
        query[name] = []
        for one in examples if several else [examples]:
            if isinstance(one, (str, Path)):
                files.append((part, (Path(one).name, Path(one).read_bytes())))
            elif isinstance(one, Mapping):
                query[name].append(dict(one))
            else:
                query[name].append({"clip": operator.index(one)})
    return query, files
