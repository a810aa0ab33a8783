"""The power goes at random instants: nothing promised is lost, nothing erased is back, nothing is
half there.

    python -m benchmarks.power_loss --points 500

Each program works on a file system that records what it does (``tests.power``). For each point
of that record the home is made as a loss of power there would leave it, opened, and compared with
what the program had been promised until then.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from benchmarks.machine import describe
from emotion_search.engine.api.http.problems import explain
from emotion_search.engine.api.learn import learn
from emotion_search.engine.archive.check import check
from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.embedders.acoustic.model import read_weights
from emotion_search.engine.embedders.registry import load_embedder
from emotion_search.engine.files.scan import find_audio
from emotion_search.engine.finetune.tune import Plan
from emotion_search.engine.library.library import Library
from emotion_search.engine.service.jobs import Jobs, Upload
from emotion_search.engine.settings import Settings
from emotion_search.index.database.connection import Database
from emotion_search.index.database.files import find_by_sha256
from emotion_search.index.database.jobs import unfinished_jobs
from emotion_search.index.database.recordings import Annotations
from emotion_search.index.database.schema import SCHEMA_VERSION
from emotion_search.index.errors import DatabaseError, ModelUnavailableError
from tests.archives import fill
from tests.conftest import ROOT, files_with, write_wav
from tests.power import Recording, mark, read_record, recorded

KINDS = ("ingest", "upload", "index", "imports", "tuned", "migrate")
_ROWS = 20  # of one import


def settings_in(home: Path) -> Settings:
    return Settings(home=home, model="acoustic", index="quantised", tune_at=0)


def jobs_of(library: Library) -> Jobs:
    made = Jobs(library, explain=explain, learn=learn, at_once=1, most=99, longest=60)
    made.start()
    return made


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def forget(library: Library, mount: Path, digest: str) -> None:
    """Erase a recording, and put into the record that it is erased."""
    with library.database.read() as session:
        recording = find_by_sha256(session, digest)
    assert recording is not None
    mark(mount, f"forgetting-{digest}")
    library.forget(recording)
    mark(mount, f"forgot-{digest}")


def ingest(mount: Path, audio: list[Path]) -> None:
    home = mount / "home"
    with Library.open(settings_in(home), create=True) as library:
        mark(mount, "opened")
        for path in audio:
            library.ingest(find_audio([str(path)]).files)
            mark(mount, f"have-{sha256(path)}")
        forget(library, mount, sha256(audio[0]))
        library.export(mount / "home" / "out.csv")
        mark(mount, f"exported-{len(audio) - 1}")
        library.reembed("voice")
        mark(mount, "reembedded")
        library.use("voice")
        mark(mount, "used")


def upload(mount: Path, audio: list[Path]) -> None:
    home = mount / "home"
    with Library.open(settings_in(home), create=True) as library:
        mark(mount, "opened")
        jobs = jobs_of(library)
        for path in audio:
            with path.open("rb") as content:
                job, _ = jobs.submit(Upload(content, path.name))
            mark(mount, f"have-{sha256(path)}")
            while not jobs.board.get(job.id).finished:
                time.sleep(0.05)
        jobs.stop(20)
        for path in audio[:2]:
            forget(library, mount, sha256(path))
        library.save_index()


def index(mount: Path, _: list[Path]) -> None:
    home = mount / "home"
    with Library.open(settings_in(home), create=True) as library:
        fill(library.database, vectors())
        mark(mount, "opened")
        library.settings = library.settings.model_copy(update={"model": None})
        library.rebuild_index()
        mark(mount, "rebuilt")
        for number in (7, 8):
            library.forget(number)
            mark(mount, f"gone-{number}")
        library.rebuild_index()


def imports(mount: Path, _: list[Path]) -> None:
    home = mount / "home"
    with (
        Library.open(settings_in(home), create=True) as library,
        tempfile.TemporaryDirectory() as place,
    ):
        mark(mount, "opened")
        for number in range(4):
            np.save(Path(place, "x.npy"), vectors()[number * _ROWS :][:_ROWS])
            rows = [{"id": f"{number}-{i}", "start": 0, "end": 1} for i in range(_ROWS)]
            Path(place, "x.jsonl").write_text("\n".join(map(json.dumps, rows)))
            library.import_embeddings(Path(place, "x.npy"), Path(place, "x.jsonl"), model="mine")
            mark(mount, f"imported-{number}")


def tuned(mount: Path, _: list[Path]) -> None:
    """A model is tuned, again in place of itself, and a classifier trained."""
    home = mount / "home"
    with (
        Library.open(settings_in(home), create=True) as library,
        tempfile.TemporaryDirectory() as place,
    ):
        mark(mount, "opened")
        annotations = {}
        for number in range(20):
            manner, speaker = ("anger", "sadness")[number % 2], number // 2
            samples = speak(manner, speaker=speaker, seed=number, seconds=0.5)
            path = write_wav(Path(place, f"{number}.wav"), samples)
            annotations[str(path)] = Annotations(speaker=str(speaker), labels={"emotion": manner})
        library.ingest(find_audio(list(annotations), annotations).files)
        for time_ in range(2):
            plan = Plan(layers=1, epochs=1, patience=1, batch=4, seed=time_)
            library.finetune("acoustic", mount / "models" / "mine", plan, overwrite=time_ > 0)
            mark(mount, f"tuned-{time_}")
        library.train("emotion")
        mark(mount, "trained")


def migrate(mount: Path, _: list[Path]) -> None:
    first = sorted((ROOT / "tests" / "data").glob("archive-*.tar.xz"))[0]
    with tarfile.open(first) as packed:
        packed.extractall(mount, filter="data")
    os.sync()
    for path in (mount, *mount.rglob("*")):
        number = os.open(path, os.O_RDONLY)
        os.fsync(number)
        os.close(number)
    mark(mount, "opened")
    database = Database(mount / "home" / "archive.db")
    database.migrate()
    database.close()
    mark(mount, "migrated")
    with Library.open(Settings(home=mount / "home")) as library:
        library.save_index()


def vectors() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(300, 16)).astype(np.float32)


def assert_kept(kind: str, home: Path, promised: list[str]) -> None:
    """What was promised holds in a home that a loss of power left."""
    if "opened" not in promised:
        return
    last = dict(one.split("-", 1) for one in promised if "-" in one)
    of = {name: [o.split("-", 1)[1] for o in promised if o.startswith(f"{name}-")] for name in last}
    if kind == "migrate":
        database = Database(home / "archive.db")
        assert "migrated" not in promised or database.schema_version() == SCHEMA_VERSION
        database.migrate()
        database.close()
    settings = settings_in(home).model_copy(update={"model": None})
    with Library.open(settings) as library:
        assert [vars(one) for one in check(library)] == []
        forgotten = set(of.get("forgot", []))
        waiting = {}
        place = home / "uploads" / "incoming" / "place"
        if place.exists():
            with library.database.read() as session:
                for job in unfinished_jobs(session, place.read_text()):
                    file = home / "uploads" / "incoming" / job.stored
                    waiting[sha256(file)] = job
        for digest in of.get("have", []):
            with library.database.read() as session:
                there = find_by_sha256(session, digest) is not None
            if digest in forgotten:
                assert not there, "what was erased is back"
                assert not list((home / "uploads").glob(f"{digest}.*")), "erased bytes are back"
            elif digest not in of.get("forgetting", []):
                assert there or digest in waiting, "what was promised is lost"
        for digest in forgotten:  # nor in the queue
            assert digest not in waiting
        assert "trained" not in promised or library.classifiers()
        if kind == "imports":
            count = library.status().counts.clips
            assert count in range(len(of.get("imported", [])) * _ROWS, 4 * _ROWS + 1, _ROWS)
        if kind == "tuned":
            folder = home.parent / "models" / "mine"
            try:
                load_embedder(str(folder / "model.safetensors"), library.settings)
            except ModelUnavailableError:
                assert "tuned" not in last, "a tuned model is lost"
            if "tuned" in last:
                about, _ = read_weights(folder / "model.safetensors")
                seed = about["about"]["tuned"]["seed"]
                assert f"seed {seed};" in (folder / "README.md").read_text(), "files of two models"
                assert seed >= int(last["tuned"]), "it is an earlier one"
        if "exported" in last:
            lines = (home / "out.csv").read_text().splitlines()
            assert len(lines) == int(last["exported"]) + 1
        if "used" in promised:
            model = library.model()
            assert model is not None
            assert model.name == "voice"
        if kind == "index":
            counts = library.status().counts.clips
            assert 300 - 2 <= counts <= 300 - len(of.get("gone", []))
            for number in of.get("gone", []):
                assert files_with(home, vectors()[int(number) - 1]) == []
        if library.model() is not None and library.status().counts.clips:
            assert library.verify_index().is_sound


def record(kind: str, place: Path, audio: list[Path]) -> Recording:
    """What the program does on the file system."""
    mount, backing = place / "mount", place / f"backing-{kind}"
    mount.mkdir(exist_ok=True)
    backing.mkdir()
    with recorded(mount, backing, place / kind):
        code = (
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); from pathlib import Path;"
            f" from benchmarks.power_loss import {kind};"
            f" {kind}(Path({str(mount)!r}), [Path(p) for p in {[str(p) for p in audio]!r}])"
        )
        subprocess.run([sys.executable, "-c", code], check=True)
    return read_record(place / kind)


def run(kind: str, points: int, seed: int, place: Path) -> Counter[str]:
    """The faults that were found at so many points, by what they are."""
    audio = [
        write_wav(place / "audio" / f"{i}.wav", speak("anger", speaker=i, seed=i, seconds=1.0))
        for i in range(4)
    ]
    done = record(kind, place, audio)
    rng = random.Random(seed)
    faults: Counter[str] = Counter()
    mount = place / "mount"
    first = next(i for i, step in enumerate(done.steps) if step == ("mark", "opened"))
    for _ in range(points):
        at = rng.randint(first + 1, len(done.steps))
        shutil.rmtree(mount, ignore_errors=True)
        mount.mkdir()
        done.after(at, mount, rng)
        try:
            assert_kept(kind, mount / "home", done.marks(at))
        except (AssertionError, DatabaseError, OSError) as error:
            faults[f"{kind}: {type(error).__name__} {str(error).splitlines()[:1]}"] += 1
            print(kind, "step", at, "of", len(done.steps), repr(error)[:400], flush=True)
    return faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--what", choices=KINDS, action="append")
    options = parser.parse_args()
    print(describe("sqlalchemy"))
    kinds = options.what or KINDS
    for kind in kinds:
        with tempfile.TemporaryDirectory() as place:
            points = options.points // len(kinds)
            begun = time.monotonic()
            faults = run(kind, points, options.seed, Path(place))
            took = time.monotonic() - begun
            print(f"{kind}: {points} points, {sum(faults.values())} faults ({took:.0f} s)")


if __name__ == "__main__":
    main()
