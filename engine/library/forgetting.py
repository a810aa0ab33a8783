"""Library methods: erasing recordings, those of an age among them, and their files."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from emotion_search.engine.files.objects import gone_among, is_gone, remove_object
from emotion_search.engine.files.scan import unchanged
from emotion_search.engine.library.index import Indexed
from emotion_search.engine.settings import parse_age
from emotion_search.index.database.addresses import is_object
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.forgotten import note_forgotten
from emotion_search.index.database.recording_details import (
    all_locations,
    get_recording,
    locations_of,
    recordings_to_forget,
)
from emotion_search.index.database.recordings import remove_recording
from emotion_search.index.errors import InvalidInputError, NotFoundError


class Forgetting(Indexed):
    """Methods of ``Library`` that erase."""

    def recordings(
        self,
        wanted: ClipFilter | None = None,
        *,
        older: datetime | None = None,
        ingested_before: datetime | None = None,
        missing: bool = False,
    ) -> list[int]:
        """Ids of the recordings of which some clip passes the filter, ascending.

        Args:
            older: only those recorded before then, or where that is unknown taken in before then.
            ingested_before: only those taken in before then.
            missing: only those whose audio is at none of the places where it was seen any more.
        """
        with self.database.read() as session:
            found = recordings_to_forget(
                session, wanted or ClipFilter(), older=older, ingested_before=ingested_before
            )
            places = [one for one in all_locations(session) if one[3]] if missing else []
        if missing:
            lost = set(gone_among(path for _, _, path, _ in places if path is not None))
            there = {recording for recording, _, path, _ in places if path and path not in lost}
            without = {one[0] for one in places} - there
            found = [one for one in found if one in without]
        return found

    def expired(self) -> list[int]:
        """Ids of the recordings that are beyond the age that the settings allow, ascending.

        Raises:
            InvalidInputError: the settings name none.
        """
        if self.settings.retention is None:
            raise InvalidInputError("no age is set: EMOTION_SEARCH_RETENTION=90d, say")
        return self.recordings(older=datetime.now(UTC) - parse_age(self.settings.retention))

    def forget_expired(self) -> int:
        """Erase the recordings that are ``expired``; how many those were, 0 if no age is set."""
        return len(self.forget_each([] if self.settings.retention is None else self.expired()))

    def forget_each(self, ids: Sequence[int]) -> list[int]:
        """Erase recordings, and ``settle`` once; the ids of those that there were."""
        erased = []
        try:
            for recording in sorted(set(ids)):
                with suppress(NotFoundError):  # another process may do the same
                    self.forget(recording, settle=False)
                    erased.append(recording)
        finally:
            if ids:
                self.settle()
        return erased

    def forget(self, recording_id: int, *, settle: bool = True) -> list[str]:
        """Erase a recording: rows, vectors, labels, index entries, and bytes if it was uploaded.
        A salted hash of its content is kept, by which an ingest passes it over.

        Args:
            settle: ``settle`` then, whatever came of it; not worth it before the last of many.

        Returns:
            The paths it was known by; files of the user's own are left alone.

        Raises:
            NotFoundError: no such recording.
            StorageError: it is erased, but for its bytes in a bucket; a server removes those later.
        """
        try:
            with self.database.read() as session:
                sha256 = get_recording(session, recording_id).sha256
            with self.uploads.lock(sha256):
                with self.database.write() as session:
                    paths = remove_recording(session, recording_id)
                    note_forgotten(session, sha256)
                self.uploads.remove(sha256, paths)
        finally:  # a call before this one may have ended between its commit and here
            if settle:
                self.settle()
        return paths

    def remove_files(self, recording_id: int) -> tuple[list[str], list[tuple[str, str]]]:
        """Remove the files, of whomever, that hold a recording's bytes, before it is forgotten;
        which those were, and path and reason of each that is still there.

        Raises:
            NotFoundError: no such recording.
        """
        removed: list[str] = []
        left: list[tuple[str, str]] = []
        with self.database.read() as session:
            sha256 = get_recording(session, recording_id).sha256
            places = locations_of(session, recording_id)
        for place in places:
            if is_gone(place.path):
                continue
            if not unchanged(place.path, place, sha256):
                left.append((place.path, "holds something else now"))
                continue
            if Path(place.path).is_symlink():
                left.append((place.path, "is a link; remove it and what it leads to yourself"))
                continue
            try:
                remove_object(place.path) if is_object(place.path) else Path(place.path).unlink()
                removed.append(place.path)
            except OSError as error:
                left.append((place.path, f"cannot be removed ({error.strerror})"))
        return removed, left
