"""Chained Ogg, as of stations that stream and of files that were joined, and joined AMR, read link
by link: codec, rate and channels of each are its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import numpy as np
import soxr

from emotion_search.engine.audio.ffmpeg import Source
from emotion_search.engine.audio.headers import find
from emotion_search.engine.audio.samples import Samples

_BEGIN = re.compile(rb"OggS\x00[\x02\x06]")  # a page that begins a stream: RFC 3533
_AMR = re.compile(rb"#!AMR(?:-WB)?\n")  # how a file begins: RFC 4867, 5.1
_HEAD = 27  # bytes of a page before the lengths of what is in it


class Chain(Source):
    """A sound track of such a file, in the rate and channels of its first link; see ``Source``."""

    def __init__(self, path: Path, links: list[tuple[int, int]], track: int = 0) -> None:
        self._links, self._track = links, track
        super().__init__(path, track, links[0])

    def blocks(self) -> Iterator[Samples]:
        """As ``Source.blocks``, of all links."""
        yield from super().blocks()
        for link in self._links[1:]:
            with closing(Source(self._path, self._track, link)) as source:
                for block in _resampled(source, self.sample_rate):
                    alike = block.shape[1] == self.channels
                    mixed = block if alike else block.mean(axis=1, keepdims=True)
                    yield mixed if alike else np.repeat(mixed, self.channels, axis=1)

    def span(self, first: int, count: int) -> Iterator[Samples]:
        """As ``Source.span``, by decoding all before it."""
        at = 0
        for block in self.blocks():
            part = block[max(0, first - at) : max(0, first + count - at)]
            if len(part):
                yield part
            at += len(block)
            if at >= first + count:
                return


def _resampled(source: Source, rate: int) -> Iterator[Samples]:
    """The blocks of a source at another rate."""
    if source.sample_rate == rate:
        yield from source.blocks()
        return
    stream = soxr.ResampleStream(source.sample_rate, rate, source.channels, dtype="float32")
    for block in source.blocks():
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.empty((0, source.channels), np.float32), last=True)


def links_of(path: Path) -> list[tuple[int, int]]:
    """First byte and end of each link of a chained Ogg file, or of joined AMR; of others none."""
    begins, after = [], -1
    with path.open("rb") as file:
        magic = file.read(9)
        if _AMR.match(magic):
            return _cut(path, _joined(path))
        if magic[:4] != b"OggS":
            return []
        at = find(path, 0, _BEGIN)
        while at is not None:
            file.seek(at)
            if len(head := file.read(_HEAD)) < _HEAD:
                break
            lengths = file.read(head[-1])
            if at != after:  # the tracks of one link begin in pages next to each other
                begins.append(at)
            after = at + len(head) + len(lengths) + sum(lengths)
            at = find(path, after, _BEGIN)
    return _cut(path, begins)


def _joined(path: Path) -> list[int]:
    begins = [0]
    while (at := find(path, begins[-1] + 1, _AMR)) is not None:
        begins.append(at)
    return begins


def _cut(path: Path, begins: list[int]) -> list[tuple[int, int]]:
    return list(pairwise([*begins, path.stat().st_size])) if len(begins) > 1 else []
