"""Frames of an archive's clips as files, embedded again from the recordings."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from emotion_search.engine.audio.file import SAMPLE_RATE
from emotion_search.engine.audio.workers import Decoders
from emotion_search.engine.embedders.base import Embedder
from emotion_search.engine.files.npy import NpyWriter
from emotion_search.engine.ingest.reread import clip_source, decode_clips
from emotion_search.engine.machine.threads import ahead
from emotion_search.engine.transfer.export import Exported, published, write_about
from emotion_search.engine.transfer.formats import csv_file
from emotion_search.index.database.clips import ClipDetails, list_clips
from emotion_search.index.database.connection import Database
from emotion_search.index.database.coverage import MissingClip
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.labels import list_tasks
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.errors import AudioError

_PAGE = 500


def export_frames(
    database: Database,
    model: ModelInfo,
    embedder: Embedder,
    decoders: Decoders,
    output: Path,
    *,
    wanted: ClipFilter | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write the frames of the clips that pass the filter to a folder: ``frames/CLIP.npy`` (float32,
    (frames, dim), 50 a second), ``clips.csv`` (of the clips that were written) and ``about.json``.

    Each clip is embedded by itself, as in an ingest: the mean of its frames is its embedding.
    A recording is decoded once for all its clips.

    Raises:
        InvalidInputError: the model has no frames; ``output`` is there already.
        StorageFullError: no space is left; nothing half-written is kept.
    """
    embedder.frames(np.zeros(SAMPLE_RATE, np.float32))  # says so at once if the model has none
    done = Exported(output)
    wanted = wanted or ClipFilter()
    with published(output, database, overwrite=overwrite) as partial:
        (partial / "frames").mkdir(parents=True)
        with database.read() as session:
            known = list(list_tasks(session))
        with csv_file(partial / "clips.csv", model, known) as write:
            after = 0
            while True:
                with database.read() as session:
                    clips = list_clips(session, model, wanted, limit=_PAGE, after_id=after)
                if not clips:
                    break
                after = clips[-1].id
                failed: dict[int, str] = {}
                for _, some in groupby(clips, lambda clip: clip.recording_id):
                    failed |= _recording(database, list(some), embedder, decoders, partial)
                done.failed += sorted(failed.items())
                whole = [clip for clip in clips if clip.id not in failed]
                write(whole, np.empty((0, 0), np.float32))
                done.clips += len(whole)
        write_about(partial, model, done.clips, "frame")
    return done


def _recording(
    database: Database,
    clips: Sequence[ClipDetails],
    embedder: Embedder,
    decoders: Decoders,
    folder: Path,
) -> dict[int, str]:
    """Write the frames of some clips of a recording; returns those that failed, and why."""
    wanted = tuple(MissingClip(one.id, one.channel, one.start, one.end) for one in clips)
    with database.read() as session:
        source = clip_source(session, clips[0].recording_id, wanted)
    missing = {clip.id for clip in clips}
    reason = "its span is not in the file"
    try:
        decoded = decode_clips(source, decoders)
        for number, frames in ahead(lambda one: (one.id, embedder.frames(one.samples)), decoded):
            with NpyWriter(folder / "frames" / f"{number}.npy", embedder.dimension) as out:
                out.append(frames.vectors)
            missing.discard(number)
    except AudioError as error:
        reason = str(error)
    return dict.fromkeys(missing, reason)
