"""Filter values that an archive does not know, with the nearest ones that it does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session

from emotion_search.index.database.emotion_names import spellings
from emotion_search.index.database.filters import EMOTION, ClipFilter
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.schema import Clip, Label, Prediction, Recording
from emotion_search.index.errors import NotFoundError

_FEW = 12  # values that are listed where none is near

Texts = InstrumentedAttribute[str] | InstrumentedAttribute[str | None]


def unknown_values(session: Session, model: ModelInfo | None, wanted: ClipFilter) -> list[str]:
    """A sentence for each value that no clip can have, where another of its filter is known.

    Args:
        model: the archive's, of whose classes emotions are.

    Raises:
        NotFoundError: no value of some filter is known, so that no clip can pass.
    """
    named = not any(one.isdecimal() for one in wanted.channels)  # others are numbers
    channels = wanted.channels if named else ()
    found = [
        _unknown(session, "source", wanted.sources, [Recording.source]),
        _unknown(session, "speaker", wanted.speakers, [Recording.speaker, Clip.speaker]),
        _unknown(session, "channel", channels, [Clip.channel_name]),
        _unknown(session, "label", wanted.labels, [Label.value], wanted.task),
        _unknown(session, "prediction", wanted.predicted, [Prediction.value], wanted.task),
    ]
    if model is not None:
        classes = set(model.classes)
        no_class = [one for one in wanted.emotions if classes.isdisjoint(spellings([one]))]
        found.append(_sentences("emotion", wanted.emotions, no_class, classes))
    return [sentence for some in found for sentence in some]


def _unknown(
    session: Session,
    name: str,
    values: Sequence[str],
    columns: Sequence[Texts],
    task: str | None = None,
) -> list[str]:
    """The sentences about values of which these columns, of rows of a task, have none."""
    queries = [select(column).where(column.is_not(None)) for column in columns]
    if task is not None:
        name = f"{task} {name}"
        queries = [query.filter_by(task=task) for query in queries]
    unknown = []
    for value in values:
        spelled = spellings([value]) if task == EMOTION else [value]
        there = (
            query.where(column.in_(spelled)).limit(1)
            for query, column in zip(queries, columns, strict=True)
        )
        if all(session.scalar(query) is None for query in there):
            unknown.append(value)
    if not unknown:
        return []
    known = {text for query in queries for text in session.scalars(query.distinct()) if text}
    return _sentences(name, values, unknown, known)


def _sentences(
    name: str, values: Sequence[str], unknown: Sequence[str], known: Iterable[str]
) -> list[str]:
    made = [_sentence(name, value, sorted(known)) for value in unknown]
    if unknown and len(unknown) == len(values):
        raise NotFoundError("; ".join(made))
    return made


def _sentence(name: str, value: str, known: Sequence[str]) -> str:
    near = {name.casefold(): one for one in known for name in spellings([one])}
    nearest = {near[one]: None for one in get_close_matches(value.casefold(), near)}
    if nearest:
        return f"no clip has {name} {value}; did you mean {' or '.join(nearest)}?"
    there = f"; there are {', '.join(known)}" if 0 < len(known) <= _FEW else ""
    return f"no clip has {name} {value}{there}"
