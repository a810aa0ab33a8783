"""The counts and failures of an ingest, while it runs and at its end."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

from emotion_search.engine.audio.channels import MIXED
from emotion_search.index.database.spans import Span

_STAYS = (
    "it was here already, and its clips stay as they were cut then; to have them cut anew, erase it"
    " and send it again with again=true"
)


@dataclass
class IngestReport:
    """What an ingest did.

    Attributes:
        recordings, clips: added.
        known: files seen before, unchanged; those without speech among them.
        duplicates: files under a new name whose bytes were known.
        moved: files under a new name, of a recording that is no longer where it was seen.
        silent: files in which nobody speaks, found in this run.
        recut: known recordings that were cut anew.
        grown: known recordings whose file goes on where it ended before.
        otherwise: known recordings that are cut under other options, and were left so.
        forgotten: files whose content was erased before, and that were passed over.
        failed: path and reason of each file that could not be used.
        lost: path and span of each clip that somebody gave and that the recording does not hold.
        mixed: recordings of several channels, all mixed down though nobody said so.
        notices: path and text of what somebody should know who reads a file that was added.
        duration: seconds of audio added.
        reached, expected: of an ingest of a single file, its seconds that are embedded, and of its
            whole by its header (None: that does not say).
        stopped: it ended early because it was asked to.
    """

    recordings: int = 0
    clips: int = 0
    known: int = 0
    duplicates: int = 0
    moved: int = 0
    silent: int = 0
    recut: int = 0
    grown: int = 0
    otherwise: int = 0
    forgotten: int = 0
    mixed: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    lost: list[tuple[str, Span]] = field(default_factory=list)
    notices: list[tuple[str, str]] = field(default_factory=list)
    duration: float = 0.0
    reached: float = 0.0
    expected: float | None = None
    stopped: bool = False

    def __iadd__(self, more: IngestReport) -> IngestReport:
        """Add what another part of the same ingest did; where this one stands remains."""
        for one in fields(self):
            if one.name not in ("reached", "expected", "stopped"):
                total = getattr(self, one.name)
                total += getattr(more, one.name)
                setattr(self, one.name, total)
        return self

    @property
    def added(self) -> int:
        """Files that an ingest knows once this one is written."""
        done = self.recordings + self.duplicates + self.moved + self.silent
        return done + self.recut + self.grown

    def after(self, before: IngestReport) -> IngestReport:
        """The report of both, where ``before`` broke off and this one went through the same files
        from the first on, so that it knows what the other added."""
        both = replace(self, known=max(0, self.known - before.added))
        for name in ("recordings", "clips", "duplicates", "moved", "silent", "recut", "grown"):
            setattr(both, name, getattr(self, name) + getattr(before, name))
        both.mixed, both.duration = self.mixed + before.mixed, self.duration + before.duration
        both.notices = list(dict.fromkeys([*before.notices, *self.notices]))
        return both

    @property
    def texts(self) -> list[str]:
        """What somebody should know who sent the one file that was added."""
        stays = [_STAYS] if self.otherwise else []
        return [text for _, text in self.notices] + ([f"its {MIXED}"] if self.mixed else []) + stays

    @property
    def files(self) -> int:
        """Files dealt with so far."""
        return self.added + self.known + self.forgotten + len(self.failed)
