"""How near the turning points that a trend finds lie to the true ones.

    python -m benchmarks.trend --manifest ../shared/data/emodb/labels.csv --html trend.html

Clips of one speaker's emotion after the other, in blocks of 30 to 60 s with pauses between the
clips, become recordings of ten minutes; neighbouring blocks differ in emotion. They are ingested
and their trends taken as a user would. A true turning point counts as found if one was found within
``--near`` seconds, each used once; the rest are false.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import soxr

from benchmarks.machine import describe
from emotion_search.engine.audio.file import SAMPLE_RATE, decode
from emotion_search.engine.files.scan import find_audio
from emotion_search.engine.library.library import Library
from emotion_search.engine.settings import load_settings
from emotion_search.engine.trends.curve import Options
from emotion_search.engine.trends.recording import recording_trend


def chain(
    rows, folder: Path, name: str, seed: int, minutes: float, noise: float | None
) -> tuple[Path, list[float]]:
    """A recording, and the seconds at which its emotion changes; with ``noise`` (dB below the
    speech) as a telephone would have it: 8 kHz, mu-law."""
    random = np.random.default_rng(seed)
    speakers = sorted({row["speaker"] for row in rows})
    parts, turns, at, last = [], [], 0.0, None
    speaker = speakers[random.integers(len(speakers))]
    while at < 60 * minutes:
        mine = [row for row in rows if row["speaker"] == speaker]
        emotions = sorted({row["label"] for row in mine} - {last})
        last = emotions[random.integers(len(emotions))]
        if at:
            turns.append(at)
        until = at + random.uniform(30, 60)
        own = [row for row in mine if row["label"] == last]
        while at < until:
            clip = decode(folder / own[random.integers(len(own))]["path"])
            pause = random.normal(0, 1e-4, round(random.uniform(0.3, 1.5) * SAMPLE_RATE))
            parts += [clip, pause.astype(np.float32)]
            at += (len(clip) + len(pause)) / SAMPLE_RATE
    samples = np.concatenate(parts)
    if noise is None:
        soundfile.write(f"{name}.flac", samples, SAMPLE_RATE)
        return Path(f"{name}.flac"), turns
    narrow = soxr.resample(samples, SAMPLE_RATE, 8000)
    narrow += random.normal(0, narrow.std() / 10 ** (noise / 20), len(narrow))
    soundfile.write(f"{name}.wav", narrow, 8000, subtype="ULAW")
    return Path(f"{name}.wav"), turns


def matched(true: list[float], found: list[float], near: float) -> list[float]:
    """Seconds from each true turning point that was found to the one found for it."""
    pairs = sorted((abs(t - f), t, f) for t in true for f in found if abs(t - f) <= near)
    used: set[tuple[str, float]] = set()
    errors = []
    for error, t, f in pairs:
        if ("t", t) not in used and ("f", f) not in used:
            used |= {("t", t), ("f", f)}
            errors.append(error)
    return errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--recordings", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--near", type=float, default=15.0)
    parser.add_argument("--window", type=float, nargs="*", default=[15.0, 5.0])
    parser.add_argument("--penalty", type=float, nargs="*", default=[5.0])
    parser.add_argument(
        "--telephone", type=float, metavar="DB", help="spoil the sound: noise, mu-law"
    )
    parser.add_argument("--model", default="voice")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--html", type=Path, help="the first recording's trend, as a picture")
    options = parser.parse_args()
    with options.manifest.open() as file:
        rows = list(csv.DictReader(file))
    print(describe("torch", "numpy", "scipy"))
    print(f"model {options.model}, {options.recordings} recordings of {options.minutes:g} min,")
    if options.telephone is not None:
        print(f"8 kHz, mu-law, noise {options.telephone:g} dB below the speech,")
    print(f"blocks of 30-60 s; a turning point is found within {options.near:g} s\n")
    print("window  penalty   true  found  recall  precision     F1   median off  90 % within")
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        truth = dict(
            chain(
                rows,
                options.manifest.parent,
                f"{folder}/call-{n}",
                options.seed + n,
                options.minutes,
                options.telephone,
            )
            for n in range(options.recordings)
        )
        for window in options.window:
            settings = load_settings(
                home=folder / f"home{window}", model=options.model, window=window
            )
            with Library.open(settings, create=True) as library:
                library.ingest(find_audio([str(path) for path in truth]).files)
                for penalty in options.penalty:
                    errors, true, found = [], 0, 0
                    for path, turns in truth.items():
                        trend = recording_trend(
                            library.database, library.model(), path, Options(penalty=penalty)
                        )
                        times = [turn.time for turn in trend.channels[0].turns]
                        errors += matched(turns, times, options.near)
                        true, found = true + len(turns), found + len(times)
                    recall, precision = len(errors) / true, len(errors) / max(found, 1)
                    both = 2 * recall * precision / max(recall + precision, 1e-9)
                    off, most = (np.quantile(errors, q) if errors else np.nan for q in (0.5, 0.9))
                    print(
                        f"{window:4g} s  {penalty:7g}  {true:5}  {found:5}  {recall:6.2f}"
                        f"  {precision:9.2f}  {both:5.2f}  {off:9.2f} s  {most:9.2f} s"
                    )
                if options.html is not None and window == options.window[-1]:
                    from emotion_search.engine.pages.page import shown, write_page
                    from emotion_search.engine.pages.trend import recording_figure

                    path, turns = next(iter(truth.items()))
                    figure = recording_figure(
                        recording_trend(library.database, library.model(), path, Options())
                    )
                    for turn in turns:
                        figure.add_vline(turn, line_dash="dot", row=1, col=1)
                    title = f"Emotion in {path.name}; dotted: where it truly changes"
                    write_page(options.html, title, [shown(figure)])


if __name__ == "__main__":
    main()
