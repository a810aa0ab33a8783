"""Recutting: a recording of the archive gets other clips, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from emotion_search.index.database.bulk import chunks
from emotion_search.index.database.changes import note_changed
from emotion_search.index.database.embeddings import add_tombstones
from emotion_search.index.database.labels import agreed_labels, label_clips, spans_of
from emotion_search.index.database.recordings import NewClip, add_clips
from emotion_search.index.database.schema import Clip, Recording
from emotion_search.index.database.spans import ClipSpan, span_key


@dataclass(frozen=True)
class Cut:
    """A recording as it is cut: how, in words, and the ids of its clips by span."""

    how: str | None
    clips: Mapping[ClipSpan, int]


def current_cut(session: Session, recording_id: int) -> Cut | None:
    """How a recording is cut; None if there is no such recording."""
    row = session.execute(select(Recording.cut).where(Recording.id == recording_id)).one_or_none()
    return None if row is None else Cut(row[0], spans_of(session, recording_id))


def recut_recording(
    session: Session,
    model_id: int,
    recording_id: int,
    clips: Sequence[NewClip],
    kept: Mapping[ClipSpan, str | None],
    how: str,
    *,
    anew: bool = False,
) -> int | None:
    """Give a recording these clips in place of those that it has; returns how many were added.

    Clips of ``kept`` spans stay as they are, with id, embedding and labels. Labels that all clips
    had alike are given to the new ones; those of clips that go, go with them.

    Args:
        clips: the others, embedded.
        kept: spans that the recording has already, and what their channel is called now.
        how: the new way of cutting, in words.
        anew: clips go in place of those of the same spans.

    Returns:
        None, with nothing done, if the recording was removed or cut anew by another process at
        the same time, so that a span of ``kept`` is not there any more.
    """
    before = current_cut(session, recording_id)
    if before is None or not kept.keys() <= before.clips.keys():
        return None
    stay = kept.keys() if anew else before.clips.keys()
    fresh = [clip for clip in clips if span_key(clip.channel, clip.start, clip.end) not in stay]
    names = {span_key(c.channel, c.start, c.end): c.channel_name for c in clips} | dict(kept)
    agreed, who = agreed_labels(session, recording_id), _speakers(session, recording_id)
    gone = sorted(
        clip_id for span, clip_id in before.clips.items() if span not in names or span not in stay
    )
    add_tombstones(session, gone)
    for some in chunks(gone):
        session.execute(delete(Clip).where(Clip.id.in_(some)))
    for name in set(names.values()):
        ids = [before.clips[span] for span in before.clips if span in names and names[span] == name]
        for some in chunks(ids):
            session.execute(update(Clip).where(Clip.id.in_(some)).values(channel_name=name))
    note_changed(session, Clip.recording_id == recording_id)
    if fresh:
        added = add_clips(session, model_id, [(recording_id, clip) for clip in fresh])
        _go_on_speaking(session, added, who)
        label_clips(session, added, agreed)
    session.execute(update(Recording).where(Recording.id == recording_id).values(cut=how))
    return len(fresh)


def _speakers(session: Session, recording_id: int) -> dict[int | None, str | None]:
    """Who speaks on each channel, where clips have speakers of their own and those agree."""
    query = select(Clip.channel, func.min(Clip.speaker)).where(Clip.recording_id == recording_id)
    one = func.count(func.distinct(Clip.speaker)) == 1
    rows = session.execute(query.group_by(Clip.channel).having(one))
    return {row[0]: row[1] for row in rows}


def _go_on_speaking(
    session: Session, clips: Sequence[int], who: Mapping[int | None, str | None]
) -> None:
    for channel, speaker in who.items():
        on = Clip.channel.is_not_distinct_from(channel)
        for some in chunks(clips):
            session.execute(update(Clip).where(Clip.id.in_(some), on).values(speaker=speaker))
