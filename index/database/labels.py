"""Labels that people gave to clips: writing them, counting them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session, aliased

from emotion_search.index.database.bulk import chunks, insert_or_replace, known_clips
from emotion_search.index.database.changes import note_changed
from emotion_search.index.database.emotion_names import one_spelling
from emotion_search.index.database.nearest import nearest
from emotion_search.index.database.schema import Clip, Label
from emotion_search.index.database.spans import ClipSpan, Span, span_key
from emotion_search.index.database.text import clean
from emotion_search.index.errors import NotFoundError
from emotion_search.index.vectors.arrays import Ids


def spans_of(session: Session, recording_id: int) -> dict[ClipSpan, int]:
    """Ids of the recording's clips by their spans."""
    return spans_of_each(session, [recording_id])[recording_id]


def spans_of_each(session: Session, recordings: Collection[int]) -> dict[int, dict[ClipSpan, int]]:
    """Ids of the clips of each of the recordings by their spans."""
    found: dict[int, dict[ClipSpan, int]] = {recording: {} for recording in recordings}
    query = select(Clip.recording_id, Clip.id, Clip.channel, Clip.start, Clip.end)
    for some in chunks(list(found)):
        rows = session.execute(query.where(Clip.recording_id.in_(some)))
        for recording, clip, channel, start, end in rows:
            found[recording][span_key(channel, start, end)] = clip
    return found


def label_clips(session: Session, ids: Collection[int], labels: Mapping[str, str]) -> None:
    """Give each of the clips these labels: value by task."""
    rows = [
        {"clip_id": clip_id, "task": task, "value": value}
        for clip_id in ids
        for task, value in labels.items()
    ]
    insert_or_replace(session, Label, rows)


def spans_without_clip(session: Session, recording_id: int, spans: Sequence[Span]) -> list[Span]:
    """Those of the spans that no clip of the recording is."""
    if not spans:
        return []
    clips = spans_of(session, recording_id)
    return [one for one in spans if span_key(one.channel, one.start, one.end) not in clips]


def agreed_labels(session: Session, recording_id: int) -> dict[str, str]:
    """Labels that every clip of the recording has alike: value by task."""
    of_it = Clip.recording_id == recording_id
    clips = session.scalar(select(func.count()).select_from(Clip).where(of_it))
    query = (
        select(Label.task, func.min(Label.value), func.max(Label.value), func.count())
        .join(Clip, Clip.id == Label.clip_id)
        .where(of_it)
        .group_by(Label.task)
    )
    return {
        task: first
        for task, first, last, labelled in session.execute(query)
        if first == last and labelled == clips
    }


def set_labels(
    session: Session, labels: Sequence[tuple[int, str, str | None]], *, strict: bool = False
) -> list[int]:
    """Set labels of clips: id, task, and value (None takes it away); returns unknown ids, whose
    labels are ignored.

    Raises:
        NotFoundError: ``strict``, and there are unknown ids; nothing is set.
    """
    ids = sorted({clip for clip, _, _ in labels})
    known = known_clips(session, ids)
    unknown = [clip for clip in ids if clip not in known]
    if unknown and strict:
        shown = ", ".join(map(str, unknown[:10])) + (", …" if len(unknown) > 10 else "")
        raise NotFoundError(f"no clip {shown} in this archive")
    last = {
        (clip, clean("task", task)): value and clean("label", value)
        for clip, task, value in labels
        if clip in known
    }
    rows = [{"clip_id": c, "task": t, "value": v} for (c, t), v in last.items() if v is not None]
    insert_or_replace(session, Label, rows)
    for (clip, task), value in last.items():
        if value is None:
            session.execute(delete(Label).where(Label.clip_id == clip, Label.task == task))
    note_changed(session, known)
    return unknown


def labelled_ids(session: Session, task: str) -> Ids:
    """Ids of the clips that a person labelled under the task: int64, ascending."""
    query = select(Label.clip_id).where(Label.task == task)
    ids = np.fromiter(session.scalars(query), dtype=np.int64)
    ids.sort()
    return ids


def list_tasks(session: Session) -> dict[str, int]:
    """Number of labels by task, tasks in alphabetical order."""
    query = select(Label.task, func.count()).group_by(Label.task).order_by(Label.task)
    return {task: int(n) for task, n in session.execute(query)}


def label_pairs(session: Session, task: str, other: str) -> dict[tuple[str, str], int]:
    """Number of clips by their label under one task and under another, of those that have both;
    emotions go by one name each.

    Raises:
        NotFoundError: no clip has a label under one of them.
    """
    for name in (task, other):
        if session.scalar(select(Label.clip_id).where(Label.task == name).limit(1)) is None:
            raise no_labels(session, name)
    one, two = aliased(Label), aliased(Label)
    query = (
        select(one.value, two.value, func.count())
        .join(two, two.clip_id == one.clip_id)
        .where(one.task == task, two.task == other)
        .group_by(one.value, two.value)
    )
    rows = session.execute(query).all()
    names = one_spelling([value for row in rows for value in row[:2]])
    found: dict[tuple[str, str], int] = {}
    for row, pair in zip(rows, zip(names[::2], names[1::2], strict=True), strict=True):
        found[pair] = found.get(pair, 0) + int(row[2])
    return found


def no_labels(session: Session, task: str) -> NotFoundError:
    """The error where no clip has a label under a task: with the tasks that there are, and how
    labels are given."""
    near = nearest(task, list_tasks(session))
    return NotFoundError(
        f"no clip has a label under the task {task}{near}; give labels in a manifest,"
        f" or by: emotion-search label --task {task}"
    )


def list_labels(session: Session, task: str) -> dict[str, int]:
    """Number of clips by the labels of a task, most first."""
    query = (
        select(Label.value, func.count())
        .where(Label.task == task)
        .group_by(Label.value)
        .order_by(func.count().desc(), Label.value)
    )
    return {value: int(n) for value, n in session.execute(query)}
