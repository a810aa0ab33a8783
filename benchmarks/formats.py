"""Every format, whole, streamed, joined, cut and renamed: seconds that are read, beside FFmpeg's
own program, and how near the embedding is to that of the WAV.

python -m benchmarks.formats --clip ../shared/data/emodb/03a01Fa.flac
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.machine import describe
from emotion_search.engine.audio.file import decode
from emotion_search.engine.embedders.registry import load_embedder
from emotion_search.engine.settings import load_settings
from emotion_search.index.errors import AudioError
from tests.formats import ENCODED, STREAMED, WRITTEN, stream_as, write_as

_KINDS = ("whole", "streamed", "joined", "cut", "renamed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--model", default="acoustic")
    options = parser.parse_args()
    embedder = load_embedder(options.model, load_settings())
    samples = np.tile(decode(options.clip), 3)
    true = embedder.embed([samples]).vectors[0]
    print(describe("soundfile", "av"))
    print(f"model {options.model}, {options.clip.name} three times, {len(samples) / 16_000:.2f} s")
    print("Seconds read here / by FFmpeg; joined with itself; cut at 60 % of its bytes\n")
    print(f"{'format':<10}{'cosine':>7}" + "".join(f"{kind:>16}" for kind in _KINDS))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for ending in [*WRITTEN, *ENCODED, *(STREAMED.keys() - WRITTEN.keys() - ENCODED.keys())]:
            files = _variants(folder, samples, ending)
            vector = embedder.embed([decode(files["whole"])]).vectors[0]
            cosine = vector @ true / np.linalg.norm(vector) / np.linalg.norm(true)
            seconds = [_seconds_read(files[kind]) if kind in files else "" for kind in _KINDS]
            print(f"{ending:<10}{cosine:>7.4f}" + "".join(f"{one:>16}" for one in seconds))


def _variants(folder: Path, samples: np.ndarray, ending: str) -> dict[str, Path]:
    """The file as it is written, and what may become of it."""
    made = {}
    if ending in STREAMED:
        made["streamed"] = stream_as(folder / "streamed", samples, ending)
    whole = made.get("streamed")
    if ending in WRITTEN or ending in ENCODED:
        whole = write_as(folder / "whole", samples, ending)
    assert whole is not None
    content = whole.read_bytes()
    changed = {"joined": content * 2, "cut": content[: len(content) * 6 // 10], "renamed": content}
    for kind, other in changed.items():
        name = ("wav" if ending == "mp3" else "mp3") if kind == "renamed" else ending
        made[kind] = folder / f"{kind}.{name}"
        made[kind].write_bytes(other)
    return {"whole": whole, **made}


def _seconds_read(path: Path) -> str:
    try:
        ours = f"{len(decode(path)) / 16_000:.2f}"
    except AudioError:
        ours = "refused"
    command = ["ffmpeg", "-v", "quiet", "-i", str(path), "-ar", "16000", "-ac", "1"]
    done = subprocess.run([*command, "-f", "f32le", "-"], capture_output=True, check=False)
    return f"{ours} / {len(done.stdout) / 4 / 16_000:.2f}"


if __name__ == "__main__":
    main()
