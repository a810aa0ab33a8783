"""Ingest beside the bare embedder, memory by number of files, a long call beside short ones.

    python -m benchmarks.ingest --audio ../shared/data/emodb

Files are made from the folder's speech: every one other bytes. Each ingest runs in a process of its
own, with the model loaded before the clock starts. The bare embedder gets the same clips, decoded,
in the same batches, on the same threads, in a process of its own too.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.machine import describe, measured, peak
from emotion_search.engine.audio.file import SAMPLE_RATE, decode
from emotion_search.engine.machine.threads import one_thread_each

PAUSE = np.zeros(SAMPLE_RATE * 3 // 2, np.float32)


def short_files(audio: Path, folder: Path, number: int) -> None:
    """``number`` files of one utterance each, all of them different."""
    spoken = [decode(path) for path in sorted(audio.glob("*.flac"))]
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for i in range(number):
        clip = spoken[i % len(spoken)]
        noisy = clip + 1e-4 * random.normal(size=len(clip)).astype(np.float32)
        soundfile.write(folder / f"{i:06}.flac", noisy, SAMPLE_RATE)


def calls(audio: Path, folder: Path, number: int, minutes: float) -> None:
    """``number`` calls of so many minutes: utterances with pauses between them."""
    spoken = [decode(path) for path in sorted(audio.glob("*.flac"))]
    folder.mkdir(parents=True)
    random = np.random.default_rng(1)
    for i in range(number):
        with soundfile.SoundFile(folder / f"{i}.flac", "w", SAMPLE_RATE, 1) as file:
            while file.frames < minutes * 60 * SAMPLE_RATE:
                file.write(spoken[int(random.integers(len(spoken)))])
                file.write(PAUSE + 1e-4 * random.normal(size=len(PAUSE)).astype(np.float32))


def run(role: str, folder: Path, model: str) -> tuple[float, float, int]:
    """Seconds, peak MiB and clips of this program in a ``role``, in a process of its own."""
    one_thread_each()  # as the program has it; the process takes it over
    command = ("--role", role, "--folder", str(folder), "--model", model)
    seconds, most, clips = measured("-m", "benchmarks.ingest", *command)[2].split()
    return float(seconds), float(most), int(clips)


def work(role: str, folder: Path, model: str) -> None:
    """Do what ``run`` wants, and print its figures."""
    from emotion_search.engine.files.scan import Scan
    from emotion_search.engine.ingest.pipeline import BATCH_S
    from emotion_search.engine.library.library import Library
    from emotion_search.engine.settings import load_settings

    with tempfile.TemporaryDirectory() as home:
        settings = load_settings(home=home, database_url=f"sqlite:///{home}/a.db", model=model)
        with Library.open(settings, create=True) as library:
            embedder = library.embedder()
            embedder.embed([np.zeros(SAMPLE_RATE, np.float32)])
            if role == "ingest":
                began = time.perf_counter()
                count = library.ingest(Scan([str(folder)])).clips
                seconds = time.perf_counter() - began
            else:
                clips = [decode(path) for path in sorted(folder.glob("*.flac"))]
                count, batch, began = len(clips), [], time.perf_counter()
                for clip in clips:
                    batch.append(clip)
                    if sum(map(len, batch)) >= BATCH_S * SAMPLE_RATE:
                        embedder.embed(batch)
                        batch = []
                if batch:
                    embedder.embed(batch)
                seconds = time.perf_counter() - began
    print(seconds, peak(), count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--audio", type=Path)
    parser.add_argument("--model", default="voice")
    parser.add_argument("--files", type=int, nargs=2, default=(1000, 10_000))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rates-only", action="store_true", help="nothing but the first table")
    parser.add_argument("--role", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        work(options.role, options.folder, options.model)
        return
    print(describe("torch", "numpy", "soundfile", "av"))
    print(f"model {options.model}\n")
    with tempfile.TemporaryDirectory() as place:
        few, many = options.files
        short_files(options.audio, Path(place, "few"), few)
        rates: dict[str, list[float]] = {"ingest": [], "bare": []}
        for _ in range(options.rounds):
            for role, found in rates.items():
                seconds, most, count = run(role, Path(place, "few"), options.model)
                found.append(count / seconds)
                print(f"{role:<8}{count:>7} clips{seconds:>8.1f} s{most:>8.0f} MiB", flush=True)
        ratio = np.median(rates["ingest"]) / np.median(rates["bare"])
        print(f"ingest beside the bare embedder, median: {ratio:.2f}\n")
        if options.rates_only:
            return
        short_files(options.audio, Path(place, "many"), many)
        for name in ("few", "many"):
            seconds, most, count = run("ingest", Path(place, name), options.model)
            print(f"ingest  {count:>7} clips{seconds:>8.1f} s{most:>8.0f} MiB", flush=True)
        calls(options.audio, Path(place, "long"), 1, 60)
        calls(options.audio, Path(place, "short"), 10, 6)
        print()
        for _ in range(options.rounds):
            for name, text in (("long", "one hour"), ("short", "ten times six minutes")):
                seconds, most, count = run("ingest", Path(place, name), options.model)
                print(f"{text:<24}{count:>5} clips{seconds:>8.1f} s{most:>8.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
