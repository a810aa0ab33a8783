"""How to ingest: what becomes clips, in what batches, and which known files are read again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from emotion_search.engine.audio.channels import MIX, Channels
from emotion_search.engine.audio.windows import FixedWindows, Segmenter, SpeechWindows
from emotion_search.index.database.recordings import Annotations
from emotion_search.index.database.spans import Span
from emotion_search.index.errors import InvalidInputError

GIVEN = "given"
"""How the description of a cut begins whose spans somebody gave."""


@dataclass(frozen=True)
class IngestOptions:
    """How to ingest.

    Attributes:
        window: seconds of the longest clip.
        hop: seconds from the start of one window to the next; None for no overlap. Only with
            ``segments`` ``fixed``.
        segments: ``speech`` cuts long recordings into stretches of speech, ``fixed`` into windows.
        channels: which become clips.
        batch: seconds of audio that are embedded and committed together.
        decoders: how many files are decoded at once.
        limit: most new files to take, those that fail not counted; None for all.
        dated: where nobody said when it was, take the date of the file's ``tags``, or failing
            that the ``file``'s time of change.
        rescan: hash files also where path, size and time of change are known.
        retry: listen again to files that are known to hold no speech.
        recut: cut known recordings anew that were cut under other options.
        longest: seconds beyond which a file is refused; None for any.
    """

    window: float = 15.0
    hop: float | None = None
    segments: Literal["speech", "fixed"] = "speech"
    channels: Channels = MIX
    batch: float = 120.0
    decoders: int = 2
    limit: int | None = None
    dated: Literal["tags", "file", "none"] = "tags"
    rescan: bool = False
    retry: bool = False
    recut: bool = False
    longest: float | None = None

    def segmenter(self) -> Segmenter:
        """What cuts one track."""
        if self.segments == "speech":
            return SpeechWindows(self.window)
        return FixedWindows(self.window, self.hop)

    @property
    def cut(self) -> str:
        """How recordings are cut into clips, in words for the archive."""
        hop = f" every {self.hop:g} s" if self.hop else ""
        return f"{self.segments} up to {self.window:g} s{hop}, channels {self.channels}"

    def given(self, said: Annotations) -> Annotations:
        """What is said of a file, its spans on the one channel that is taken where they name none.

        Raises:
            InvalidInputError: several are taken, so that nobody knows which one they mean.
        """
        if all(span.channel is not None for span in said.spans) or self.channels == MIX:
            return said
        tracks = self.channels.tracks
        if tracks is None or len(tracks) > 1:
            raise InvalidInputError(
                f"has spans without a channel, and --channels {self.channels} takes several: give"
                " the spans a channel, or take one"
            )
        only = tracks[0].channel
        spans = (
            one if one.channel is not None else replace(one, channel=only) for one in said.spans
        )
        return replace(said, spans=tuple(spans))

    def cut_for(self, spans: Sequence[Span]) -> str:
        """How a recording is cut for which these spans were given, if any."""
        if not spans:
            return self.cut
        told = sorted(f"{span.channel} {span.start:.3f} {span.end:.3f}" for span in spans)
        digest = hashlib.sha256("\n".join(told).encode()).hexdigest()
        return f"{GIVEN} {digest[:16]}"


def cut_otherwise(is_cut: str | None, wanted: str) -> bool:
    """Whether a recording that is cut like this ought to be cut anew to be as wanted.

    Spans that somebody gave stay until others are given.
    """
    if is_cut is not None and is_cut.startswith(GIVEN) and not wanted.startswith(GIVEN):
        return False
    return is_cut != wanted
