"""Spectra of the clips to train on, each as it is and as augmented variants, in files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from emotion_search.engine.audio.file import SAMPLE_RATE, SHORTEST, Samples, decode
from emotion_search.engine.embedders.voice.model import LONGEST, VERSION
from emotion_search.engine.embedders.voice.spectrum import log_mel
from emotion_search.engine.files.scan import facts
from emotion_search.engine.training.augment import augment
from emotion_search.engine.training.corpora import LabelledClip
from emotion_search.index.errors import AudioError, InvalidInputError

_CHUNK = 64


class ClipRows:
    """Rows of numbers of every clip, read from a file as they are needed.

    Args:
        path: of the file: float16, (rows of all clips, width).
        places: int64, (clips, 2): where a clip's rows begin, and how many it has.

    Attributes:
        rows: of all clips.
        sizes: how many rows each clip has, (clips,).
    """

    def __init__(self, path: Path, places: NDArray[np.int64]) -> None:
        self._begins, self.sizes = places.T
        self.rows = np.memmap(path, np.float16, "r").reshape(int(self.sizes.sum()), -1)

    def of(self, clip: int) -> NDArray[np.float16]:
        """Float16, (rows, width), of one clip."""
        begin = self._begins[clip]
        return np.asarray(self.rows[begin : begin + self.sizes[clip]])


def prepare(
    clips: Sequence[LabelledClip], folder: Path, *, variants: int, seed: int, processes: int
) -> list[ClipRows]:
    """Variant 0 of the clips, as they are, and ``variants`` augmented ones: of each its first
    ``LONGEST`` seconds.

    A variant that the folder holds already, of the same clips and seed, is taken from there. Clips
    are the same by path, size and time of change.

    Raises:
        InvalidInputError: a clip cannot be read or decoded; names it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    named = "".join(f"{clip.path}\n{_state(clip.path)}\n" for clip in clips)
    key = hashlib.sha256(f"voice {VERSION}\n{seed}\n{named}".encode()).hexdigest()[:12]
    return [
        _variant(clips, folder / f"{key}-{number}", number, seed, processes)
        for number in range(variants + 1)
    ]


def _variant(
    clips: Sequence[LabelledClip], stem: Path, number: int, seed: int, processes: int
) -> ClipRows:
    starts_path, rows_path = stem.with_suffix(".npy"), stem.with_suffix(".f16")
    if not starts_path.exists():
        paths = [clip.path for clip in clips]
        starts = [0]
        make = partial(_spectrum_of, paths=paths, number=number, seed=seed)
        with (
            rows_path.open("wb") as file,
            ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool,
        ):
            for rows in pool.map(make, range(len(clips)), chunksize=_CHUNK):
                file.write(rows.tobytes())
                starts.append(starts[-1] + len(rows))
        temporary = starts_path.with_suffix(".tmp.npy")
        np.save(temporary, np.array(starts, dtype=np.int64))
        temporary.replace(starts_path)  # it is whole from here on
    starts_of = np.load(starts_path)
    return ClipRows(rows_path, np.column_stack([starts_of[:-1], np.diff(starts_of)]))


def _spectrum_of(i: int, paths: Sequence[Path], number: int, seed: int) -> NDArray[np.float16]:
    torch.set_num_threads(1)
    samples = _samples(paths[i])
    if number:
        random = np.random.default_rng([seed, number, i])

        def other() -> Samples:
            return _long_enough(_samples(paths[int(random.integers(len(paths)))]))

        samples = augment(samples, random, others=other)
    kept = _long_enough(samples)[: int(LONGEST * SAMPLE_RATE)]
    with torch.inference_mode():
        return log_mel(torch.from_numpy(kept)).T.numpy().astype(np.float16)


def _state(path: Path) -> str:
    try:
        seen = facts(path)
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read ({error.strerror})") from error
    return f"{seen.size} {seen.mtime_ns}"


def _samples(path: Path) -> Samples:
    try:
        return decode(path, end=LONGEST)
    except (AudioError, OSError) as error:
        raise InvalidInputError(f"{path} {error}") from error


def _long_enough(samples: Samples) -> Samples:
    return np.pad(samples, (0, max(0, SHORTEST - len(samples))))
