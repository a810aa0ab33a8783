"""Library methods: recordings, clips, failures a page at a time; embeddings, tasks, labels."""

from __future__ import annotations

from datetime import datetime

from emotion_search.engine.archive.archive import Archive
from emotion_search.index.database.changes import archive_revision
from emotion_search.index.database.clips import ClipDetails, owner_of, vectors_of
from emotion_search.index.database.files import FailureDetails, list_failures
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.known_values import (
    ValueCount,
    ValueKind,
    count_values,
    unknown_values,
)
from emotion_search.index.database.labels import list_labels, list_tasks
from emotion_search.index.database.models import active_model
from emotion_search.index.database.recording_details import (
    RecordingDetails,
    clips_of_recording,
    find_recordings,
    locations_of,
    read_recording,
)
from emotion_search.index.database.slices import RunStatus, drop_run, list_runs
from emotion_search.index.errors import NotFoundError
from emotion_search.index.vectors.arrays import Vectors


class Listing(Archive):
    """Methods of ``Library`` that read single rows, or lists a page at a time."""

    def shared_ingests(self) -> list[RunStatus]:
        """The ingests that workers share, as they stand, latest first."""
        with self.database.read() as session:
            return list_runs(session)

    def drop_shared_ingest(self, run: int) -> None:
        """Forget a shared ingest, with what of it is not taken in yet.

        Raises:
            NotFoundError: no such one.
        """
        with self.database.write() as session:
            drop_run(session, run)

    def recording(self, recording_id: int) -> RecordingDetails:
        """One recording, with counts of its clips and labels.

        Raises:
            NotFoundError: no such recording.
        """
        with self.database.read() as session:
            return read_recording(session, recording_id)

    def paths(self, recording_id: int) -> list[str]:
        """Where the recording's bytes were seen, in alphabetical order."""
        with self.database.read() as session:
            return [one.path for one in locations_of(session, recording_id)]

    def find_recordings(
        self,
        wanted: ClipFilter,
        *,
        text: str = "",
        order: str = "newest",
        limit: int,
        skip: int = 0,
        after_id: int = 0,
    ) -> tuple[list[RecordingDetails], int]:
        """A page of recordings in order, and how many there are in all; see
        ``index.database.recording_details.find_recordings``."""
        with self.database.read() as session:
            return find_recordings(
                session,
                wanted,
                text=text,
                order=order,
                limit=limit,
                skip=skip,
                after_id=after_id,
            )

    def clip_page(self, recording_id: int, *, limit: int, after_id: int = 0) -> list[ClipDetails]:
        """Up to ``limit`` clips of a recording, by ascending id from beyond ``after_id``.

        Raises:
            NotFoundError: no such recording.
        """
        with self.database.read() as session:
            model = active_model(session)
            return clips_of_recording(session, model, recording_id, limit=limit, after_id=after_id)

    def embedding(self, clip_id: int) -> Vectors:
        """The stored embedding of a clip by the archive's model: float32 (dim,), not in any space.

        Raises:
            NotFoundError: no such clip, or it has no embedding of this model.
        """
        with self.database.read() as session:
            model = active_model(session)
            if model is None:
                raise NotFoundError(f"no clip {clip_id} in this archive")
            owner_of(session, clip_id)  # raises where there is no such clip at all
            vector: Vectors = vectors_of(session, model, [clip_id])[0]
            return vector

    def unknown_values(self, wanted: ClipFilter) -> list[str]:
        """A sentence for each value of a filter that no clip has, with the nearest that are there.

        Raises:
            NotFoundError: no clip has any of the values of one filter.
        """
        with self.database.read() as session:
            return unknown_values(session, active_model(session), wanted)

    def values(self, kind: ValueKind, wanted: ClipFilter | None = None) -> list[ValueCount]:
        """Sources, speakers, or labels under the filter's task of the clips that pass it, most
        clips first."""
        with self.database.read() as session:
            return count_values(session, kind, wanted or ClipFilter())

    def revision(self) -> str:
        """A text that is another one whenever something in the archive changed, but for failures
        and what nobody embedded yet."""
        with self.database.read() as session:
            return archive_revision(session)

    def tasks(self) -> dict[str, int]:
        """Number of labels by task, tasks in alphabetical order."""
        with self.database.read() as session:
            return list_tasks(session)

    def labels(self, task: str) -> dict[str, int]:
        """Number of clips by the labels of a task, most first."""
        with self.database.read() as session:
            return list_labels(session, task)

    def failures(
        self,
        *,
        limit: int | None = None,
        kind: str | None = None,
        until: datetime | None = None,
        skip: int = 0,
    ) -> list[FailureDetails]:
        """Files that could not be ingested or hold no speech (of one ``kind``, where it is given),
        latest first: up to ``limit`` of those of ``until`` and before, without the first ``skip``.
        """
        with self.database.read() as session:
            return list_failures(session, limit=limit, kind=kind, until=until, skip=skip)
