"""Demo: search over a temporary archive of synthetic voices."""

from __future__ import annotations

import csv
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import soundfile

from emotion_search.engine.audio.file import SAMPLE_RATE
from emotion_search.engine.audio.synthetic_voices import MANNERS, speak
from emotion_search.engine.files.manifest import read_manifest
from emotion_search.engine.files.scan import find_audio
from emotion_search.engine.library.library import Library
from emotion_search.engine.settings import load_settings
from emotion_search.index.errors import UnusableError
from emotion_search.index.search import Hit

_SPEAKERS = 8
_UTTERANCES = 2


def run_demo(audio: Path | None) -> Iterator[str | list[Hit]]:
    """Lines to print, and the hits; made while they are read.

    Raises:
        InvalidInputError: ``audio`` holds no usable audio.
    """
    home = Path(tempfile.mkdtemp(prefix="emotion-search-demo-"))
    settings = load_settings(home=home, database_url=f"sqlite:///{home}/archive.db", model="voice")
    if audio is None:
        manifest = make_voices(home / "voices")
        rows = read_manifest(manifest).rows
        yield f"{len(rows)} synthetic utterances by {_SPEAKERS} voices made in {manifest.parent}"
        found = find_audio([str(manifest.parent)], rows)
    else:
        found = find_audio([str(audio)])
    with Library.open(settings, create=True) as lib:
        began = time.monotonic()
        report = lib.ingest(found.files)
        if report.clips < 2:
            raise UnusableError(f"{audio}: fewer than two usable audio files to compare")
        yield (
            f"{report.clips} clips ({report.duration:.0f} s) ingested by the built-in model"
            f" in {time.monotonic() - began:.1f} s"
            + (f", {len(report.failed)} files failed" if report.failed else "")
        )
        example = lib.clips(limit=1)[0]
        what = f"clip {example.id}, {Path(example.path or example.name).name}"
        yield f"\nWho else sounds like {what}" + (f" ({example.label})?" if example.label else "?")
        yield lib.search(
            example.id, limit=8, exclude_same="speaker" if example.speaker is not None else None
        )
    usual, archive = load_settings(home=home), f"--home {home}"
    if usual.database_url is not None:
        archive += f" --database {settings.database_url}"
    if usual.model is not None:
        archive += f" --model {settings.model}"
    program = "emotion-search"
    if shutil.which(program) is None:  # its environment is not activated
        program = shlex.quote(sys.argv[0])
    yield "\nNext:"
    clip = min(report.clips, 20)
    yield f"  {program} search {archive} --clip {clip}                 # ask with another clip"
    yield f"  {program} search {archive} YOUR.wav                  # ask with a file of your own"
    yield f"  {program} serve {archive}    # the API: http://127.0.0.1:8000/docs"
    yield f"  {program} ingest YOUR_FOLDER --model voice          # an archive of your own"
    yield f"The demo's archive stays until you delete it: rm -r {home}"


def make_voices(folder: Path) -> Path:
    """A manifest of utterances in every manner by several voices, made in ``folder`` as WAV."""
    folder.mkdir(parents=True)
    manifest = folder / "labels.csv"
    with manifest.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "speaker", "source"])
        for emotion in MANNERS:
            for speaker in range(_SPEAKERS):
                for number in range(_UTTERANCES):
                    name = f"{emotion}-voice{speaker}-{number}.wav"
                    samples = speak(emotion, speaker=speaker, seed=number)
                    soundfile.write(folder / name, samples, SAMPLE_RATE)
                    rows.writerow([name, emotion, f"voice{speaker}", "demo"])
    return manifest
