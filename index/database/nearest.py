"""Did you mean: the known names that are nearest to one that is not known, or all of a few."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from difflib import get_close_matches

from emotion_search.index.database.emotion_names import spellings

_FEW = 12  # names that are listed where none is near


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: ``; did you mean support?``, or of a few known
    names ``; there are …``, or nothing. A name is near by its words and other names of its emotion,
    too."""
    names = sorted(known)
    near: dict[str, list[str]] = defaultdict(list)
    for one in names:
        for text in {*spellings([one]), *re.findall(r"\w{3,}", one)}:
            near[text.casefold()].append(one)
    found = {one: None for text in get_close_matches(name.casefold(), near) for one in near[text]}
    if found:
        return f"; did you mean {' or '.join(list(found)[:3])}?"
    return f"; there are {', '.join(names)}" if 0 < len(names) <= _FEW else ""
