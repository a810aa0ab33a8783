"""A call of an hour on two channels, made of real utterances: what ingest finds of them.

    python -m benchmarks.call --audio ../shared/data/emodb

Agent and customer take turns, each on a channel of their own, with pauses of 1 to 6 s; the true
spans are known (the corpus' files begin and end with a little silence of their own). Printed: how
much of the utterances the clips cover, how far the ends of clips that hold one utterance lie from
its own, and whether an utterance finds its own clip by its sound, among all clips of its channel.
Seconds and peak memory are those of the ingest's own process, decoders left out, with the model
loaded before.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.machine import describe, measured, peak
from emotion_search.engine.audio.channels import parse_channels
from emotion_search.engine.audio.file import SAMPLE_RATE, decode
from emotion_search.engine.files.scan import Scan
from emotion_search.engine.ingest.options import IngestOptions
from emotion_search.engine.library.library import Library
from emotion_search.engine.settings import Settings
from emotion_search.index.database.clips import ClipDetails
from emotion_search.index.database.filters import ClipFilter

NAMES = ("agent", "customer")


@dataclass(frozen=True)
class Utterance:
    """An utterance: who speaks (0 agent, 1 customer), from when to when (seconds), the emotion, and
    the file that it is from."""

    channel: int
    start: float
    end: float
    label: str
    path: Path


def make(audio: Path, file: Path, minutes: float) -> list[Utterance]:
    """Write a call and return its utterances: the agent's neutral, the customer's as they come."""
    with (audio / "labels.csv").open() as table:
        rows = list(csv.DictReader(table))
    sides = (
        [r for r in rows if r["label"] == "neutral"],
        [r for r in rows if r["label"] != "neutral"],
    )
    random, utterances, at = np.random.default_rng(0), [], 0
    with soundfile.SoundFile(file, "w", SAMPLE_RATE, 2) as out:
        while at < minutes * 60 * SAMPLE_RATE:
            side = len(utterances) % 2
            row = sides[side][int(random.integers(len(sides[side])))]
            speech = decode(audio / row["path"])
            pause = round(random.uniform(1, 6) * SAMPLE_RATE)
            block = 1e-4 * random.normal(size=(len(speech) + pause, 2))
            block[: len(speech), side] += speech
            out.write(block.astype(np.float32))
            span = at / SAMPLE_RATE, (at + len(speech)) / SAMPLE_RATE
            utterances.append(Utterance(side, *span, row["label"], audio / row["path"]))
            at += len(block)
    return utterances


def overlap(utterance: Utterance, clip: ClipDetails) -> float:
    """Seconds that they share; 0 on different channels."""
    if clip.channel != utterance.channel:
        return 0.0
    return max(0.0, min(utterance.end, clip.end) - max(utterance.start, clip.start))


def judge(library: Library, utterances: list[Utterance], queries: int) -> dict[str, float]:
    """How well the archive's clips agree with the utterances."""
    clips = sorted(library.clips(limit=100_000), key=lambda clip: clip.start)
    best = [max(clips, key=lambda clip: overlap(one, clip)) for one in utterances]
    lengths = np.array([one.end - one.start for one in utterances])
    shared = np.array([[overlap(one, clip) for clip in clips] for one in utterances])
    covered, whole = shared.sum(axis=1) / lengths, shared.max(axis=1) / lengths
    alone = [sum(overlap(one, clip) > 0.3 for one in utterances) == 1 for clip in best]
    starts = [
        abs(one.start - clip.start)
        for one, clip, a in zip(utterances, best, alone, strict=True)
        if a
    ]
    ends = [
        abs(one.end - clip.end) for one, clip, a in zip(utterances, best, alone, strict=True) if a
    ]
    empty = sum(all(overlap(one, clip) == 0 for one in utterances) for clip in clips)
    rows = np.random.default_rng(1).choice(
        len(utterances), min(queries, len(utterances)), replace=False
    )
    own, first, label = 0, 0, []
    for i in rows:
        one = utterances[i]
        wanted = ClipFilter(channels=(NAMES[one.channel],))
        hits = [hit.clip for hit in library.search(one.path, limit=10, wanted=wanted)]
        twins = {best[j].id for j, other in enumerate(utterances) if other.path == one.path}
        own += any(hit.id in twins for hit in hits)
        first += hits[0].id in twins
        if one.channel == 1:
            of_hits = [
                max(utterances, key=lambda other, hit=hit: overlap(other, hit)).label
                for hit in hits
            ]
            label.append(float(np.mean([found == one.label for found in of_hits])))
    customer = [one.label for one in utterances if one.channel == 1]
    shares = np.unique(customer, return_counts=True)[1] / len(customer)
    return {
        "utterances": len(utterances),
        "clips": len(clips),
        "clips without any utterance": empty,
        "utterances found (half covered)": int((covered >= 0.5).sum()),
        "utterances nine tenths covered": float((covered >= 0.9).mean()),
        "utterances nine tenths in one clip": float((whole >= 0.9).mean()),
        "share of spoken time in clips": float(np.average(covered, weights=lengths)),
        "start: median error, s": float(np.median(starts)),
        "start: 95th percentile, s": float(np.quantile(starts, 0.95)),
        "end: median error, s": float(np.median(ends)),
        "end: 95th percentile, s": float(np.quantile(ends, 0.95)),
        "queries": len(rows),
        "own clip is the first hit": first / len(rows),
        "own clip is among ten": own / len(rows),
        "same emotion among ten (customer)": float(np.mean(label)),
        "chance of that": float((shares**2).sum()),
    }


def work(file: Path, home: Path, model: str) -> None:
    """Ingest in this process; print clips, seconds, and MiB of the model and at the peak."""
    settings = Settings(home=home, model=model)
    with Library.open(settings, create=True) as library:
        library.embedder().embed([np.zeros(SAMPLE_RATE, np.float32)])
        loaded = peak()
        began = time.perf_counter()
        channels = parse_channels(",".join(f"{name}={i}" for i, name in enumerate(NAMES)))
        library.ingest(Scan([str(file)]), IngestOptions(channels))
        seconds = time.perf_counter() - began
    print(json.dumps([seconds, loaded, peak()]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--audio", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--model", default="voice")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--work", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(*options.work, options.model)
        return
    print(describe("torch", "numpy", "soundfile"))
    with tempfile.TemporaryDirectory() as place:
        file, home = Path(place, "call.flac"), Path(place, "home")
        utterances = make(options.audio.resolve(), file, options.minutes)
        print(f"model {options.model}, {options.minutes:g} min, {file.stat().st_size >> 20} MiB\n")
        command = ("-m", "benchmarks.call", "--work", str(file), str(home))
        seconds, loaded, most = json.loads(measured(*command, "--model", options.model)[2])
        found = {"seconds of ingest": seconds, "MiB, model loaded": loaded, "MiB, peak": most}
        with Library.open(Settings(home=home, model=options.model)) as library:
            found |= judge(library, utterances, options.queries)
    for name, value in found.items():
        print(
            f"{name:<38}{value:>9.0f}"
            if value == int(value) and value > 1
            else f"{name:<38}{value:>9.3f}"
        )


if __name__ == "__main__":
    main()
