"""Library methods: where recordings lie; files that vanished, and folders that were moved."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace

from emotion_search.engine.archive.archive import Archive
from emotion_search.engine.files.objects import gone_among, is_gone, listed
from emotion_search.engine.files.scan import facts, unchanged
from emotion_search.index.database import files as rows
from emotion_search.index.database.addresses import is_object
from emotion_search.index.database.bulk import chunks
from emotion_search.index.database.files import FileFacts
from emotion_search.index.database.schema import Failure
from emotion_search.index.errors import AbsentError, UnusableError


@dataclass
class Relocated:
    """What a relocation did.

    Attributes:
        moved: number of files that are known at their new place now.
        left: path under the old folder, and why it stays what it was.
    """

    moved: int = 0
    left: list[tuple[str, str]] = field(default_factory=list)


class Placing(Archive):
    """Methods of ``Library`` about the places of files."""

    def vanished(self) -> list[str]:
        """Paths at which recordings were seen, and where nothing is any more."""
        with self.database.read() as session:
            paths = [file.path for _, file in rows.located_files(session)]
        return gone_among(paths)

    def drop_vanished(self) -> int:
        """Forget the paths that ``vanished``; their recordings stay. Returns how many."""
        found = self.vanished()
        with self.database.write() as session:
            return rows.drop_locations(session, found)

    def relocate(self, old: str, new: str, *, dry_run: bool = False) -> Relocated:
        """Files of a folder are in another one now: note where, without hashing what has the same
        size and time of change.

        Args:
            old: the folder, or address in a bucket, before; absolute.
            new: where it is now; absolute.
            dry_run: look only.

        Raises:
            InvalidInputError: ``new`` is no folder, or nothing is known below ``old``.
            OSError: ``new`` is an address that cannot be listed.
        """
        old, new = (
            one.rstrip("/") if is_object(one) else os.path.abspath(one)  # noqa: PTH100
            for one in (old, new)
        )
        if is_object(new):
            next(listed(new), None)
        elif not os.path.isdir(new):  # noqa: PTH112
            raise UnusableError(f"{new} is no folder")
        with self.database.read() as session:
            known = list(rows.located_files(session, old))
        if not known:
            raise AbsentError(f"no recording is known to lie in {old}")
        done = Relocated()
        found: list[tuple[str, str, FileFacts]] = []
        for sha256, file in known:
            there = new + file.path[len(old) :]
            if unchanged(there, replace(file, path=there), sha256):
                found.append((sha256, file.path, facts(there)))
            else:
                why = "is not there" if is_gone(there) else "holds something else"
                done.left.append((file.path, f"{there} {why}"))
        done.moved = len(found)
        if dry_run:
            return done
        for some in chunks(found):
            left = gone_among(path for _, path, _ in some)
            with self.database.write() as session:
                rows.drop_locations(session, left)
                rows.add_locations(
                    session,
                    [
                        (recording, file)
                        for sha256, _, file in some
                        if (recording := rows.find_by_sha256(session, sha256)) is not None
                    ],
                )
        with self.database.write() as session:
            rows.move_paths(session, Failure, old, new)
        return done
