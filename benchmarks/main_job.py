"""Query by example end to end, on labelled speech: ingest, cold search, precision at 10.

    python -m benchmarks.main_job --manifest ../shared/data/emodb/labels.csv

Quality is precision at 10: of the ten hits, the share with the query's own label, where the
query's own speaker is left out of the gallery; a mean over clips, and the macro mean over labels.
Chance is what ten clips drawn at random from the same galleries would reach. The built-in models
were trained on EMO-DB, so there their precision says nothing; see retrieval_quality.py.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

from benchmarks.machine import describe, measured
from emotion_search.engine.library.library import Library
from emotion_search.engine.settings import Settings

HITS = 10


def precision(home: Path, model: str) -> tuple[float, float, float, float]:
    """Precision at 10 and chance: each as the mean over clips and the macro mean over labels."""
    with Library.open(Settings(home=home, model=model)) as library:
        clips = library.clips(limit=1_000_000)
        found, chance = defaultdict(list), defaultdict(list)
        for clip in clips:
            hits = library.search(clip.id, limit=HITS, exclude_same="speaker")
            found[clip.label].append(statistics.mean(h.clip.label == clip.label for h in hits))
            gallery = Counter(c.label for c in clips if c.speaker != clip.speaker)
            chance[clip.label].append(gallery[clip.label] / gallery.total())

    def means(by_label: dict[str | None, list[float]]) -> tuple[float, float]:
        values = [value for rows in by_label.values() for value in rows]
        return statistics.mean(values), statistics.mean(map(statistics.mean, by_label.values()))

    return *means(found), *means(chance)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--model", default="voice")
    parser.add_argument("--runs", type=int, default=5, help="cold searches")
    options = parser.parse_args()
    with options.manifest.open() as file:
        rows = list(csv.DictReader(file))
    print(describe("torch", "numpy", "faiss-cpu"))
    print(f"{options.manifest}: {len(rows)} files; model {options.model}\n")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        program, place = ("-m", "emotion_search.cli"), ("--home", folder)
        ingest = (*program, "ingest", "--manifest", str(options.manifest), *place)
        seconds, peak, _ = measured(*ingest, "--model", options.model)
        again = measured(*ingest, "--model", options.model)[0]
        search = (*program, "search", "--clip", "1", *place)
        searches = [measured(*search)[0] for _ in range(options.runs)]
        with Library.open(Settings(home=home)) as library:
            audio = library.status().counts.duration
        clips, macro, chance, chance_macro = precision(home, options.model)
    table = [
        (
            "ingest, wall",
            f"{seconds:.1f} s for {audio:.0f} s of audio: {audio / seconds:.0f}x realtime",
        ),
        ("ingest, peak memory", f"{peak / 1e6:.0f} MB"),
        ("the same again", f"{again:.1f} s"),
        ("cold search --clip, median", f"{statistics.median(searches):.2f} s"),
        (f"P@{HITS} over clips", f"{clips:.3f} (chance {chance:.3f})"),
        (f"P@{HITS} macro over labels", f"{macro:.3f} (chance {chance_macro:.3f})"),
    ]
    for name, value in table:
        print(f"{name:<28} {value}")


if __name__ == "__main__":
    main()
