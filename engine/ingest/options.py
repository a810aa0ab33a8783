"""Options of an ingest: what becomes clips, which files are read, how recordings are cut."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from emotion_search.engine.audio.channels import MIX, UNASKED, Channels
from emotion_search.engine.audio.windows import FixedWindows, Segmenter, SpeechWindows
from emotion_search.engine.files.scan import FoundFile
from emotion_search.engine.settings import Settings, check_windows
from emotion_search.index.database.spans import Span
from emotion_search.index.errors import InvalidInputError, UnusableError

GIVEN = "given"
"""How the description of a cut begins whose spans came with the file."""


@dataclass(frozen=True)
class IngestOptions:
    """How to ingest.

    Attributes:
        channels: which become clips.
        segments: ``speech`` cuts long recordings into stretches of speech, ``fixed`` into windows;
            None for what the settings say.
        window: seconds of the longest clip; None for what the settings say.
        hop: seconds from the start of one ``fixed`` window to the next; None for what the settings
            say, or no overlap where ``segments`` is given.
        limit: most new files to take, those that fail not counted; None for all.
        dated: for recordings without a time, take the date of the file's ``tags``, or failing
            that the ``file``'s time of change.
        rescan: hash files also where path, size and time of change are known.
        retry: read files again that are known to hold no speech.
        recut: cut known recordings anew that were cut under other options.
        again: take content in that was forgotten.
        longest: seconds beyond which a file is refused; None for any.
        save_index: write the index to disk at the end; not worth it after a single file.
    """

    channels: Channels = UNASKED
    segments: Literal["speech", "fixed"] | None = None
    window: float | None = None
    hop: float | None = None
    limit: int | None = None
    dated: Literal["tags", "file", "none"] = "tags"
    rescan: bool = False
    retry: bool = False
    recut: bool = False
    again: bool = False
    longest: float | None = None
    save_index: bool = True

    def completed(self, settings: Settings) -> IngestOptions:
        """These, with what they leave to the settings.

        Raises:
            InvalidInputError: a window or hop that is too short, or a hop that does not go with
                segments and window.
        """
        hop = settings.hop if self.hop is None and self.segments is None else self.hop
        segments = self.segments or settings.segments
        window = settings.window if self.window is None else self.window
        if not (window >= 1 and (hop is None or hop > 0.1)):
            raise InvalidInputError("a window has at least 1 s, and a hop more than 0.1 s")
        check_windows(segments, window, hop)
        return replace(self, segments=segments, window=window, hop=hop)

    def segmenter(self) -> Segmenter:
        """Cuts one track; for ``completed`` options, as ``cut`` is."""
        assert self.window is not None
        if self.segments == "speech":
            return SpeechWindows(self.window)
        return FixedWindows(self.window, self.hop)

    @property
    def cut(self) -> str:
        """How recordings are cut into clips, in words for the archive."""
        hop = f" every {self.hop:g} s" if self.hop else ""
        return f"{self.segments} up to {self.window:g} s{hop}, channels {self.channels}"

    def with_channels(self, file: FoundFile) -> FoundFile:
        """The file, its spans on the one channel that is taken where they name none.

        Raises:
            InvalidInputError: several are taken, so that it is unknown which one they mean.
        """
        annotations = file.annotations
        if all(span.channel is not None for span in annotations.spans) or self.channels == MIX:
            return file
        tracks = self.channels.tracks
        if tracks is None or len(tracks) > 1:
            raise UnusableError(
                f"has spans without a channel, and --channels {self.channels} takes several: give"
                " the spans a channel, or take one"
            )
        only = tracks[0].channel
        spans = tuple(
            one if one.channel is not None else replace(one, channel=only)
            for one in annotations.spans
        )
        return replace(file, annotations=replace(annotations, spans=spans))

    def cut_for(self, spans: Sequence[Span]) -> str:
        """How a recording is cut whose annotations have these spans, if any."""
        if not spans:
            return self.cut
        lines = sorted(f"{span.channel} {span.start:.3f} {span.end:.3f}" for span in spans)
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        return f"{GIVEN} {digest[:16]}{self.channels.of_track}"


def cut_otherwise(is_cut: str | None, wanted: str) -> bool:
    """Whether a recording that is cut like this ought to be cut anew to be as wanted.

    Spans that came with a file stay until others are given.
    """
    if is_cut is not None and is_cut.startswith(GIVEN) and not wanted.startswith(GIVEN):
        return False
    return is_cut != wanted
