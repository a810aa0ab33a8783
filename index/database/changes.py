"""Change log of clips: revisions of what is known of them beside their embeddings.

Searches keep labels, predictions, clusters, emotions, sources and the like in memory (see
``columns``). Whatever changes one of them notes it here, in the same transaction; revisions are
handed out in commit order, as those of embeddings are.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, outerjoin, select, update
from sqlalchemy.orm import Session

from emotion_search.index.database.bulk import chunks
from emotion_search.index.database.schema import Archive, Clip, Model


def archive_revision(session: Session) -> str:
    """A text that is another one whenever embeddings, the space, the model that serves or what is
    known of clips changed."""
    query = select(Model.id, Model.revision, Model.space_version, Archive.revision).select_from(
        outerjoin(Archive, Model, Model.id == Archive.active_model_id)
    )
    return "-".join(str(number or 0) for number in session.execute(query).one())


def note_changed(session: Session, clips: Collection[int] | ColumnElement[bool]) -> None:
    """Let every search read anew what is known of these clips: ids, or a condition on ``Clip``.

    Clips that came in the same transaction need none of it.
    """
    revision = session.execute(
        update(Archive).values(revision=Archive.revision + 1).returning(Archive.revision)
    ).scalar_one()
    if isinstance(clips, ColumnElement):
        conditions = [clips]
    else:
        conditions = [Clip.id.in_(some) for some in chunks(sorted(clips))]
    for condition in conditions:
        session.execute(
            update(Clip)
            .where(condition)
            .values(revision=revision)
            .execution_options(synchronize_session=False)
        )
