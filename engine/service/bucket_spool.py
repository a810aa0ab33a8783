"""The spool of uploads in a bucket: any server takes their jobs, on leases that run out with it."""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import dataclass
from typing import BinaryIO

from emotion_search.engine.archive.archive import Archive
from emotion_search.engine.archive.uploads import ABANDONED_S, BucketUploads, storage_needed
from emotion_search.engine.files.objects import drop_object, listed, put_object
from emotion_search.engine.service.spool import Hashing, Hold, Incoming, Received
from emotion_search.engine.service.upkeep import Upkeep
from emotion_search.index.database.connection import Database
from emotion_search.index.database.jobs import lease_job, release_job, renew_jobs
from emotion_search.index.database.slices import LEASE_S, worker_name
from emotion_search.index.errors import DatabaseError

log = logging.getLogger(__name__)


class BucketIncoming(Incoming):
    """The uploads of a bucket that are not taken in yet, by whichever server; their jobs are on
    lease, which is renewed from ``open`` until ``close``."""

    worker: str

    def __init__(self, uploads: BucketUploads, database: Database) -> None:
        super().__init__(uploads, database)
        self._root = uploads.incoming("")
        self.place = uploads.place()
        self.worker = worker_name()
        self._upkeep = Upkeep({self._renew: LEASE_S / 4})

    def open(self) -> None:
        """Begin to renew leases."""
        self._upkeep.start()

    def close(self) -> None:
        """Renew leases no longer."""
        self._upkeep.stop()

    def receive(self, content: BinaryIO) -> Received:
        """Store what is read to its end.

        Raises:
            StorageError: it cannot be stored.
        """
        stored, reading = uuid.uuid4().hex, Hashing(content)
        with storage_needed():
            if put_object(self._root + stored, iter(reading)):
                log.warning("%s keeps versions, also of what is forgotten", self._root)
        return Received(stored, self._hold(stored), *reading.found())

    def take(self, stored: str) -> Hold | None:
        """An upload whose job is on lease to us from now on; None where another has it."""
        with self._database.write() as session:
            return self._hold(stored) if lease_job(session, stored, self.worker) else None

    def abandoned(self) -> list[str]:
        """Uploads that came an hour ago or longer: rubbish, if no job needs them."""
        before = (time.time() - ABANDONED_S) * 1e9
        with storage_needed():
            found = listed(self._root, may_be_empty=True)
            return [one.path.rpartition("/")[2] for one in found if one.mtime_ns < before]

    def remove(self, stored: str) -> None:
        """Remove an upload that no job needs."""
        self._hold(stored).drop()

    def _hold(self, stored: str) -> Hold:
        return _Lease(self._root + stored, self._database, self.worker)

    def _renew(self) -> None:
        with self._database.write_beside() as session:
            renew_jobs(session, self.worker)


def incoming_of(archive: Archive) -> Incoming:
    """The uploads of an archive that are not taken in yet."""
    if isinstance(archive.uploads, BucketUploads):
        return BucketIncoming(archive.uploads, archive.database)
    return Incoming(archive.uploads, archive.database)


@dataclass
class _Lease:
    """A lease on the job of an upload in a bucket. What cannot be done now is made up for: leases
    run out, and what no job needs is removed later."""

    address: str
    database: Database
    worker: str

    def release(self) -> None:
        try:
            with self.database.write() as session:
                release_job(session, self.address.rpartition("/")[2], self.worker)
        except DatabaseError as error:
            log.warning("%s", error)

    def drop(self) -> None:
        try:
            drop_object(self.address)
        except OSError as error:
            log.warning("%s is not removed: %s", self.address, error.strerror)
