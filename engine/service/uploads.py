"""Taking uploads into the archive; their bytes are kept in the home, or in a bucket."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from emotion_search.engine.archive.uploads import BucketUploads
from emotion_search.engine.audio.channels import UNASKED, Channels, parse_channels
from emotion_search.engine.files.disk import space_needed, upload_lock
from emotion_search.engine.files.scan import FoundFile, facts, sha256_of, unchanged
from emotion_search.engine.ingest.options import IngestOptions
from emotion_search.engine.ingest.pipeline import UNREADABLE
from emotion_search.engine.ingest.report import IngestReport
from emotion_search.engine.library.library import Library
from emotion_search.index.database import files as rows
from emotion_search.index.database.addresses import is_object
from emotion_search.index.database.bulk import chunks
from emotion_search.index.database.forgotten import are_forgotten
from emotion_search.index.database.jobs import over_uploads, stored_uploads
from emotion_search.index.database.recording_details import get_recording, locations_of
from emotion_search.index.database.recordings import Annotations, annotate, check_sides
from emotion_search.index.database.spans import Side
from emotion_search.index.disk.sync import remove
from emotion_search.index.errors import (
    AudioError,
    BusyError,
    EmotionSearchError,
    ForgottenError,
    StorageError,
)

_SILENT = "has no speech in it"


class InterruptedUploadError(EmotionSearchError):
    """The upload was not taken in because it was asked to stop; nothing of it is kept."""


@dataclass(frozen=True)
class UploadFields:
    """What a sender gives with an upload.

    Attributes:
        annotations: of the recording.
        channels: which become clips.
        again: take it in although it was forgotten.
    """

    annotations: Annotations = field(default_factory=Annotations)
    channels: Channels = UNASKED
    again: bool = False

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        given = self.annotations
        speakers = {str(channel): side.speaker for channel, side in given.sides.items()}
        return {
            "source": given.source,
            "speaker": given.speaker,
            "recorded_at": given.recorded_at.isoformat() if given.recorded_at else None,
            "labels": dict(given.labels),
            "metadata": dict(given.metadata),
            **({"channels": str(self.channels)} if self.channels.asked else {}),
            **({"speakers": speakers} if speakers else {}),
            **({"again": True} if self.again else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> UploadFields:
        """What ``as_json`` gave."""
        moment = data["recorded_at"]
        annotations = Annotations(
            source=data["source"],
            speaker=data["speaker"],
            recorded_at=datetime.fromisoformat(moment) if moment else None,
            labels=data["labels"],
            metadata=data["metadata"],
            sides={int(channel): Side(who) for channel, who in data.get("speakers", {}).items()},
        )
        channels = parse_channels(data["channels"]) if "channels" in data else UNASKED
        return cls(annotations, channels, data.get("again", False))


def take_in(
    library: Library,
    file: str | Path,
    *,
    name: str,
    fields: UploadFields | None = None,
    sha256: str | None = None,
    longest: float | None = None,
    progress: Callable[[IngestReport], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> tuple[int, bool]:
    """The id of the recording in ``file``, whose bytes are kept, and whether it is new.

    The same bytes from several senders at once are taken in once.

    Args:
        file: path or, with uploads in a bucket, address; it stays where it is.
        name: what the sender called it; never used as a path.
        fields: annotations and channels; none, and all mixed, where left out.
        sha256: of its bytes; None to have it computed.
        longest: seconds beyond which it is refused.
        progress: called with a report while it is embedded, or where it stays as it was cut.
        stop: once set, the ingest ends, and nothing of it is kept unless it was complete.

    Raises:
        InterruptedUploadError: it was stopped.
        AudioError: it cannot be used as audio; nothing of it is kept.
        ForgottenError: it was erased before, and is not taken back.
        StorageFullError: no space is left; nothing of it is kept.
        StorageError: the bucket cannot be used.
    """
    sha256 = sha256 or sha256_of(file)
    fields = fields or UploadFields()
    uploads = library.uploads
    with ExitStack() as stack:
        stack.enter_context(space_needed(uploads.folder))
        try:
            stack.enter_context(uploads.lock(sha256, patience=float("inf"), stop=stop))
        except BusyError as error:
            raise InterruptedUploadError(f"{name} was interrupted; send it again") from error
        with library.database.read() as session:
            known = rows.find_by_sha256(session, sha256)
            places = locations_of(session, known) if known is not None else []
            if known is not None and (there := get_recording(session, known)).sample_rate:
                check_sides(fields.annotations, there.channels)
                cut = there.cut or ""
                if fields.channels.asked and not cut.endswith(f"channels {fields.channels}"):
                    progress(IngestReport(otherwise=1))
        if known is not None:
            again = None
            if not any(unchanged(place.path, place, sha256) for place in places):
                again = facts(uploads.keep(str(file), sha256, name))  # nowhere else any more
            with library.database.write() as session:
                if again is not None:
                    rows.add_locations(session, [(known, again)])
                annotate(session, {known: fields.annotations})
            return known, False
        kept = uploads.keep(str(file), sha256, name)
        recording_id = None
        try:
            annotations = replace(fields.annotations, name=name)
            found = FoundFile(facts(kept), annotations, None if is_object(kept) else sha256)
            options = IngestOptions(
                fields.channels, again=fields.again, longest=longest, save_index=False
            )
            report = library.ingest([found], options, progress=progress, stop=stop)
            with library.database.write() as session:
                recording_id = rows.find_by_sha256(session, sha256)
                if recording_id is None:  # the sender gets the error; a note would name our copy
                    rows.remove_failures(session, [found.path])
            if recording_id is None:
                if report.stopped and not report.failed:
                    raise InterruptedUploadError(f"{name} was interrupted; send it again")
                if report.forgotten:
                    raise ForgottenError(f"{name} was forgotten before; again=true takes it back")
                reason = report.failed[0][1] if report.failed else _SILENT
                if reason.startswith(UNREADABLE):  # our disk's fault, and the upload is kept
                    kind = StorageError if is_object(kept) else EmotionSearchError
                    raise kind(f"{name} {reason}")
                raise AudioError(f"{name} {reason}")
            return recording_id, report.recordings == 1
        finally:
            if recording_id is None:
                uploads.remove(sha256, [kept])


def remove_orphans(library: Library) -> int:
    """Remove kept bytes of what was forgotten, and copies that were never finished; how many. A
    process that died leaves them, or another server on the same database that erased the recording.
    Others that no recording has stay: the database may be an earlier one, put back, that never knew
    them; ``check`` names them.
    """
    folder, found = library.settings.uploads_folder, library.uploads.in_home()
    removed = 0
    for path in folder.glob("*.partial"):
        with suppress(BusyError), upload_lock(folder, path.stem, patience=0):
            removed += remove([path])
    with library.database.read() as session:
        known = rows.ids_of_hashes(session, list(found))
        orphans = are_forgotten(session, found.keys() - known.keys())
    removed += sum(_remove_orphan(library, one, found[one]) for one in orphans)
    return removed + _orphans_in_bucket(library)


def _orphans_in_bucket(library: Library) -> int:
    """Remove objects of jobs that are over, or of what was forgotten, which no recording has; how
    many. Of others this may be a copy of the database that never knew them."""
    uploads, removed = library.uploads, 0
    if not isinstance(uploads, BucketUploads):
        return 0
    for some in chunks(list(uploads.kept())):
        names, hashes = [one.stored for one in some], {one.sha256 for one in some}
        with library.database.read() as session:
            known = rows.known_files(session, [one.path for one in some])
            needed = stored_uploads(session, uploads.place(), names)
            over, forgotten = over_uploads(session, names), are_forgotten(session, hashes)
        for one in some:
            useless = one.stored in over or one.sha256 in forgotten
            if useless and one.path not in known and one.stored not in needed:
                uploads.remove(one.sha256, [one.path])
                removed += 1
    return removed


def _remove_orphan(library: Library, sha256: str, paths: list[Path]) -> int:
    """Remove the bytes unless somebody takes them in now, or has done so meanwhile."""
    try:
        with upload_lock(library.settings.uploads_folder, sha256, patience=0):
            with library.database.read() as session:
                if rows.find_by_sha256(session, sha256) is not None:
                    return 0
            return remove(paths)
    except BusyError:
        return 0
