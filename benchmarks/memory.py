"""Peak memory of an ingest against the number of clips and the length of a recording, as a picture.

    python -m benchmarks.memory --audio ../shared/data/emodb --svg docs/memory.svg

Every point is an ingest in a process of its own, with the built-in model; its decoders, which are
other processes, are left out. Short files are one utterance each, all of them different; the long
recordings have an utterance every twelve seconds and faint noise between.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from matplotlib import pyplot

from benchmarks.ingest import run, short_files
from benchmarks.machine import describe, measured
from emotion_search.engine.audio.file import SAMPLE_RATE, decode

_EVERY = 12 * SAMPLE_RATE


def long_file(audio: Path, path: Path, minutes: int) -> None:
    """A recording of so many minutes."""
    spoken = [decode(file) for file in sorted(audio.glob("*.flac"))[:100]]
    random = np.random.default_rng(0)
    path.parent.mkdir(parents=True)
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 1) as out:
        for i in range(minutes * 60 * SAMPLE_RATE // _EVERY):
            block = 1e-4 * random.normal(size=_EVERY).astype(np.float32)
            speech = spoken[i % len(spoken)][:_EVERY]
            block[: len(speech)] += speech
            out.write(block)


def draw(panels: list[tuple[str, list[tuple[str, float]]]], path: Path) -> None:
    """Bars of MiB from zero, with their figures, the panels beside each other."""
    figure, axes = pyplot.subplots(1, len(panels), figsize=(8, 3.4), sharey=True, squeeze=False)
    for axis, (title, points) in zip(axes[0], panels, strict=True):
        axis.bar_label(axis.bar(*zip(*points, strict=True)), fmt="%.0f")
        axis.set_title(title)
        axis.margins(y=0.1)  # for the figures
    figure.tight_layout()
    with pyplot.rc_context({"svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--audio", type=Path)
    parser.add_argument("--clips", type=int, nargs="*", default=[1000, 2000, 5000, 10_000])
    parser.add_argument("--minutes", type=int, nargs="*", default=[6, 60, 240, 600])
    parser.add_argument("--svg", type=Path)
    parser.add_argument("--make", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        kind, number = options.make[0], int(options.make[1])
        if kind == "clips":
            short_files(options.audio, options.svg, number)
        else:
            long_file(options.audio, options.svg / "x.flac", number)
        return
    print(describe("torch", "numpy", "faiss-cpu"))
    panels = []
    for kind, numbers, title in (
        ("clips", options.clips, "MiB at the peak, by clips"),
        ("minutes", options.minutes, "MiB at the peak, by length of one recording"),
    ):
        points = []
        for number in numbers:
            with tempfile.TemporaryDirectory() as place:
                folder = Path(place, "files")
                make = ("--make", kind, str(number), "--audio", str(options.audio))
                # Not here: the peak of a process begins at its parent's.
                measured("-m", "benchmarks.memory", *make, "--svg", str(folder))
                seconds, peak, clips = run("ingest", folder, "voice")
            name = f"{number / 60:g} h" if kind == "minutes" and number >= 60 else f"{number:,}"
            name += " min" if kind == "minutes" and number < 60 else ""
            points.append((name, peak))
            print(f"{name:>8}{clips:>8} clips{seconds:>8.1f} s{peak:>8.0f} MiB", flush=True)
        if points:
            panels.append((title, points))
    if options.svg:
        draw(panels, options.svg)


if __name__ == "__main__":
    main()
