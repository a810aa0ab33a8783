"""Emotion names: noun, adjective and Chinese word of one emotion, so that filters find either."""

from __future__ import annotations

from collections.abc import Iterable

_ALSO = {
    "angry": ("anger", "生气", "愤怒"),
    "bored": ("boredom", "无聊"),
    "calm": ("calmness", "平静"),
    "contemptuous": ("contempt", "轻蔑"),
    "disgusted": ("disgust", "厌恶"),
    "fearful": ("fear", "afraid", "恐惧", "害怕"),
    "happy": ("happiness", "joy", "开心", "高兴"),
    "neutral": ("neutrality", "中立", "中性"),
    "other": ("其他",),
    "sad": ("sadness", "难过", "悲伤"),
    "surprised": ("surprise", "吃惊", "惊讶"),
    "unknown": ("unk", "<unk>"),
}
_COMMON = {also: name for name, others in _ALSO.items() for also in others}


def common(name: str) -> str:
    """The name that an emotion goes by here: ``anger`` and ``Angry`` are ``angry``; any other
    name is itself, in lower case."""
    key = name.strip().lower()
    return _COMMON.get(key, key)


def spellings(names: Iterable[str]) -> tuple[str, ...]:
    """Each name as it is, and the others of the same emotion, in lower case and capitalised."""
    found: dict[str, None] = {}
    for name in names:
        one = common(name)
        found[name] = None
        for other in (one, *_ALSO.get(one, ())):
            found |= {other: None, other.capitalize(): None}
    return tuple(found)
