"""Who speaks: in a whole recording, on each of its channels, in single spans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, select, union_all, update
from sqlalchemy.orm import Session, aliased

from emotion_search.index.database.bulk import chunks
from emotion_search.index.database.schema import SPEAKER, Clip, Recording
from emotion_search.index.database.spans import Side, Span, span_key


def named_speakers(
    clips: Sequence[Sequence[Any]],
    speaker: str | None,
    sides: Mapping[int, Side],
    spans: Sequence[Span],
    now: Sequence[str | None] | None = None,
) -> list[str | None]:
    """Who speaks in each of the clips of a recording: channel, start and end of each; see
    ``set_speakers``.

    Args:
        now: who speaks where nothing names anybody; ``speaker`` if left out.
    """
    own = {span_key(o.channel, o.start, o.end): o.speaker for o in spans if o.speaker is not None}
    mixed = side_of(sides, None)
    found: list[str | None] = []
    for row, (channel, start, end) in enumerate(clips):
        side = mixed if channel is None else sides.get(channel)
        of_side = side.speaker if side else None
        usual = speaker if now is None else now[row]
        found.append(own.get(span_key(channel, start, end), of_side or usual))
    return found


def set_speakers(
    session: Session,
    recording_id: int,
    speaker: str | None,
    sides: Mapping[int, Side],
    spans: Sequence[Span],
) -> bool:
    """Set who speaks in the clips of a recording; whether that changed anything.

    The recording has a speaker where all its clips have the same, else each clip its own.

    Args:
        speaker: of the whole recording, but for what follows; None for unknown.
        sides: by channel. Where there are any, they tell of all channels.
        spans: those that name a speaker; other clips stay as they are.
    """
    query = select(Clip.id, Clip.channel, Clip.start, Clip.end, SPEAKER)
    query = query.join(Recording, Recording.id == Clip.recording_id)
    rows = session.execute(query.where(Clip.recording_id == recording_id)).all()
    own = any(one.speaker is not None for one in spans)
    now = [row[4] for row in rows] if own and speaker is None and not sides else None
    voices_of = named_speakers([row[1:4] for row in rows], speaker, sides, spans, now)
    wanted = {row[0]: voice for row, voice in zip(rows, voices_of, strict=True)}
    if all(wanted[row[0]] == row[4] for row in rows):
        return False
    voices = set(wanted.values())
    several = len(voices) > 1
    of_all = None if several else next(iter(voices))
    session.execute(update(Recording).where(Recording.id == recording_id).values(speaker=of_all))
    for voice in voices:
        ids = [clip for clip, who in wanted.items() if who == voice]
        for some in chunks(ids):
            own_voice = voice if several else None
            session.execute(update(Clip).where(Clip.id.in_(some)).values(speaker=own_voice))
    return True


def side_of(sides: Mapping[int, Side], channel: int | None) -> Side | None:
    """What is known of a channel; of all mixed down (None) where it is the same of each."""
    if channel is not None:
        return sides.get(channel)
    first = next(iter(sides.values()), None)
    return first if all(side == first for side in sides.values()) else None


def speaks(*speakers: str) -> ColumnElement[bool]:
    """Whether one of these speaks in a clip, of which and of whose recording a query is; answered
    by the indexes of speakers."""
    recording, clip = aliased(Recording), aliased(Clip)
    whole = select(recording.id).where(recording.speaker.in_(speakers))
    parts = select(clip.recording_id).where(clip.speaker.in_(speakers))
    return and_(Recording.id.in_(union_all(whole, parts)), SPEAKER.in_(speakers))
