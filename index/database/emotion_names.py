"""Emotion names: noun, adjective, Chinese word and three-letter code (CREMA-D, IEMOCAP) of one
emotion, so that each finds the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

_ALSO = {
    "angry": ("anger", "ang", "生气", "愤怒"),
    "bored": ("boredom", "无聊"),
    "calm": ("calmness", "平静"),
    "contemptuous": ("contempt", "轻蔑"),
    "disgusted": ("disgust", "dis", "厌恶"),
    "fearful": ("fear", "afraid", "fea", "恐惧", "害怕"),
    "happy": ("happiness", "joy", "hap", "开心", "高兴"),
    "neutral": ("neutrality", "neu", "中立", "中性"),
    "other": ("其他",),
    "sad": ("sadness", "难过", "悲伤"),
    "surprised": ("surprise", "sur", "pleasant_surprise", "吃惊", "惊讶"),
    "unknown": ("unk", "<unk>"),
}
_COMMON = {also: name for name, others in _ALSO.items() for also in others}


def common(name: str) -> str:
    """The name that an emotion goes by here: ``anger`` and ``Angry`` are ``angry``; any other
    name is itself, in lower case."""
    key = name.strip().lower()
    return _COMMON.get(key, key)


def spellings(names: Iterable[str]) -> tuple[str, ...]:
    """Each name as it is, and the others of the same emotion, in lower case, capitalised and in
    capitals."""
    found: dict[str, None] = {}
    for name in names:
        one = common(name)
        found[name] = None
        for other in (one, *_ALSO.get(one, ())):
            found |= dict.fromkeys((other, other.capitalize(), other.upper()))
    return tuple(found)


def one_spelling(labels: Sequence[str]) -> list[str]:
    """Labels of emotions with one name for each emotion: the one that most of its labels have."""
    counts = Counter(labels)
    names = sorted(counts, key=lambda name: (counts[name], name))  # the last of an emotion stays
    chosen = {common(name): name for name in names}
    return [chosen[common(label)] for label in labels]
