"""Every format that is read: how near the embedding of an encoded clip is to that of the WAV.

python -m benchmarks.formats --clip ../shared/data/emodb/03a01Fa.flac
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.machine import describe
from emotion_search.engine.audio.file import decode
from emotion_search.engine.embedders.registry import load_embedder
from emotion_search.engine.settings import load_settings
from tests.formats import ENCODED, WRITTEN, write_as


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--model", default="acoustic")
    options = parser.parse_args()
    embedder = load_embedder(options.model, load_settings())
    samples = decode(options.clip)
    true = embedder.embed([samples]).vectors[0]
    print(describe("soundfile", "av"))
    print(f"model {options.model}, {options.clip.name}, {len(samples) / 16_000:.2f} s\n")
    print(f"{'format':<12}{'encoded as':<32}{'seconds':>8}{'cosine':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for ending in [*WRITTEN, *ENCODED]:
            decoded = decode(write_as(Path(folder, "clip"), samples, ending))
            vector = embedder.embed([decoded]).vectors[0]
            cosine = vector @ true / np.linalg.norm(vector) / np.linalg.norm(true)
            how = ENCODED.get(ending) or (*WRITTEN[ending].values(), "")
            text = " ".join(map(str, how))
            print(f"{ending:<12}{text:<32}{len(decoded) / 16_000:>8.2f}{cosine:>9.4f}")


if __name__ == "__main__":
    main()
