"""Mono decoding of one file in a worker process: all its channels mixed down, or one of them."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

from emotion_search.engine.audio.file import SAMPLE_RATE, Samples
from emotion_search.engine.audio.workers import Block, Decoders, Ended
from emotion_search.index.errors import AudioError


@dataclass(eq=False)
class MonoFile:
    """As ``AudioFile``, without opening the file in this process.

    Attributes:
        longest: seconds that it may have; None for any.
        channel: the one that is decoded, counted from 0; None for all of them mixed.
        duration, notices: seconds, and what somebody should know who reads it, once ``blocks``
            has come to its end.
    """

    decoders: Decoders
    path: Path
    _: KW_ONLY
    longest: float | None = None
    channel: int | None = None
    duration: float = 0.0
    notices: list[str] = field(default_factory=list)

    def blocks(self) -> Generator[Samples, None, None]:
        """Its samples in order: float32, (n,), 16 kHz.

        Raises:
            AudioError: it cannot be decoded, or is longer than it may be.
        """
        size = 0
        with contextlib.closing(
            self.decoders.read(self.path, [self.channel], sha256="")
        ) as messages:
            for message in messages:
                if isinstance(message, Block):
                    size += len(message.tracks[0])
                    if self.longest is not None and size > self.longest * SAMPLE_RATE:
                        raise AudioError(
                            f"is longer than {self.longest:g} s, the most that is taken here"
                        )
                    yield message.tracks[0]
                elif isinstance(message, Ended):
                    self.duration, self.notices = message.duration, [*message.notices]
                    if self.channel is None and message.channels > 1:
                        self.notices.append(
                            f"its {message.channels} channels are mixed; one side of a call alone"
                            " is what ingest --channels 1 takes"
                        )
