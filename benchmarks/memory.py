"""Peak memory of an ingest against the number of clips and the length of a recording, as a picture.

    python benchmarks/memory.py --audio ../shared/data/emodb --svg docs/memory.svg

Every point is an ingest in a process of its own, with the built-in model; its decoders, which are
other processes, are left out. Short files are one utterance each, all of them different; the long
recordings have an utterance every twelve seconds and faint noise between.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.ingest import run, short_files  # noqa: E402
from benchmarks.machine import describe  # noqa: E402
from emotion_search.engine.audio.file import SAMPLE_RATE, decode  # noqa: E402

_EVERY = 12 * SAMPLE_RATE
_WIDTH, _HEIGHT, _TOP = 340, 260, 500  # of a panel, pixels; MiB at its top


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


def panel(left: int, title: str, points: list[tuple[str, float]]) -> str:
    """Bars of MiB from zero, with their figures."""
    step = _WIDTH / len(points)
    parts = [f'<text x="{left}" y="24" font-weight="bold">{title}</text>']
    for level in range(0, _TOP + 1, 100):
        y = 40 + _HEIGHT * (1 - level / _TOP)
        parts.append(
            f'<line x1="{left}" x2="{left + _WIDTH}" y1="{y:.0f}" y2="{y:.0f}" stroke="#ddd"/>'
            f'<text x="{left - 6}" y="{y + 4:.0f}" text-anchor="end" fill="#666">{level}</text>'
        )
    for i, (name, value) in enumerate(points):
        x, tall = left + step * (i + 0.5), _HEIGHT * value / _TOP
        y = 40 + _HEIGHT - tall
        parts.append(
            f'<rect x="{x - step * 0.3:.0f}" y="{y:.0f}" width="{step * 0.6:.0f}"'
            f' height="{tall:.0f}" fill="#3b6ea5"/>'
            f'<text x="{x:.0f}" y="{y - 5:.0f}" text-anchor="middle">{value:.0f}</text>'
            f'<text x="{x:.0f}" y="{60 + _HEIGHT}" text-anchor="middle">{name}</text>'
        )
    return "".join(parts)


def picture(panels: list[tuple[str, list[tuple[str, float]]]]) -> str:
    """The panels beside each other, as SVG."""
    width = (_WIDTH + 60) * len(panels) + 20
    drawn = "".join(panel(50 + i * (_WIDTH + 60), *one) for i, one in enumerate(panels))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT + 80}"'
        f' font-family="sans-serif" font-size="13">'
        f'<rect width="100%" height="100%" fill="white"/>{drawn}</svg>\n'
    )


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
                make = ["--make", kind, str(number), "--audio", str(options.audio)]
                # Not here: the peak of a process begins at its parent's.
                command = [sys.executable, __file__, *make, "--svg", str(folder)]
                subprocess.run(command, check=True)
                seconds, peak, clips = run("ingest", folder, "acoustic")
            name = f"{number / 60:g} h" if kind == "minutes" and number >= 60 else f"{number:,}"
            name += " min" if kind == "minutes" and number < 60 else ""
            points.append((name, peak))
            print(f"{name:>8}{clips:>8} clips{seconds:>8.1f} s{peak:>8.0f} MiB", flush=True)
        if points:
            panels.append((title, points))
    if options.svg:
        options.svg.write_text(picture(panels))


if __name__ == "__main__":
    main()
