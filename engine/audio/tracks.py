"""Files with several sound tracks: the first in which somebody speaks."""

from __future__ import annotations

import itertools
from contextlib import closing
from pathlib import Path

import soxr

from emotion_search.engine.audio.chain import Chain, links_of
from emotion_search.engine.audio.ffmpeg import Source
from emotion_search.engine.audio.samples import SAMPLE_RATE
from emotion_search.engine.audio.speech import LEAST_S, spoken
from emotion_search.index.errors import AudioError

_BLOCKS = 60  # of each track, of up to ten seconds
_MOST = 16  # tracks that are listened to


def open_track(path: Path, number: int | None = None) -> tuple[Source, list[str]]:
    """The sound track of this ``number``, from 1; where it is None, as ``_open_spoken`` says.

    Raises:
        AudioError: as ``Source``, or there is no such track.
    """
    if number is None:
        return _open_spoken(path)
    with closing(_source(path)) as first:
        total = first.tracks
    if number > total:
        raise AudioError(f"has no sound track {number} (it has {total}, counted from 1)")
    return _source(path, number - 1), []


def _open_spoken(path: Path) -> tuple[Source, list[str]]:
    """The first track of a file in which somebody speaks in its first ten minutes, or its first
    where nobody does in any; and, of several, a notice of which one it is.

    Raises:
        AudioError: as ``Source``.
    """
    source = _source(path)
    if source.tracks == 1:
        return source, []
    total = source.tracks
    source.close()
    for number in range(min(total, _MOST)):
        try:
            if _speaks(path, number):
                notice = f"of its {total} sound tracks number {number + 1} is taken: it has speech"
                return _source(path, number), [notice]
        except AudioError:  # what of it is taken is judged when it is read
            continue
    return _source(path), [f"of its {total} sound tracks the first is taken: none has speech"]


def _speaks(path: Path, number: int) -> bool:
    source = _source(path, number)
    resampler = soxr.ResampleStream(source.sample_rate, SAMPLE_RATE, 1, dtype="float32")
    try:
        some = itertools.islice(source.blocks(), _BLOCKS)
        mixed = (resampler.resample_chunk(block.mean(axis=1, keepdims=True)) for block in some)
        return spoken(block[:, 0] for block in mixed) >= LEAST_S
    finally:
        source.close()


def _source(path: Path, track: int = 0) -> Source:
    links = links_of(path)
    return Chain(path, links, track) if links else Source(path, track)
