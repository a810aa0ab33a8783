"""Damaged archives: whether that is found, and whether commands answer as before or say the cure.

python -m benchmarks.damage
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from unittest import mock

from fastapi.testclient import TestClient
from typer.testing import CliRunner

from benchmarks.damages import KINDS
from benchmarks.machine import describe
from benchmarks.power_loss import jobs_of
from emotion_search.cli import app
from emotion_search.engine.api.app import create_app
from emotion_search.engine.audio.synthetic_voices import MANNERS, speak
from emotion_search.engine.library.library import Library
from emotion_search.engine.quality import tune
from emotion_search.engine.service.jobs import Upload
from emotion_search.engine.service.uploads import UploadFields, take_in
from emotion_search.engine.settings import Settings
from emotion_search.index.database.alerts import NewAlert, add_alert
from emotion_search.index.database.recordings import Annotations
from emotion_search.index.database.webhooks import add_webhook
from emotion_search.index.errors import EmotionSearchError
from emotion_search.index.vectors.space import Method
from tests.conftest import write_wav

CHECKS = ("check --audio", "index verify")
COMMANDS = (
    "status",
    "search --clip 1 --json --limit 5",
    "search --clip 7 --json --limit 5 --exact --speaker s1",
    "list clips --json",
    "list labels",
    "evaluate --json",
    "trend --by week --json",
    "trend 4 --json",
    "list recordings --json",
    "list labels --json",
    "show 4 --json",
    "classifiers --json",
    "cluster --name moods --json --seed 1",
    "jobs list --json",
    "export --output {out}/out.csv",
    "ingest {out}/../new.wav",
)
UNEQUAL = (
    "status",
    "ingest",
    "jobs",
    "cluster",
    "GET",
)  # of which the output tells sizes and times
HEAVY = [  # modules that processes of all kinds begin with
    *(
        "benchmarks.damages",
        "emotion_search.cli",
        "emotion_search.engine.api.app",
        "faiss",
        "torch",
    ),
    *("sklearn.linear_model", "sklearn.cluster", "scipy.stats", "soxr", "tests.conftest"),
]
REQUESTS = (
    *("stats", "tasks", "labels?task=emotion", "models", "failures", "clips?limit=500", "clips/4"),
    *("clips?sort=happy", "clips?emotion=angry", "clips/4/audio", "recordings?limit=500"),
    *("recordings/4", "recordings/4/clips", "recordings/4/trend", "trends", "classifiers"),
    *("map", "clusterings", "compare?clip=1&clip=4", "evaluation", "jobs", "webhooks", "alerts"),
)


def make(home: Path) -> None:
    """An archive of uploads, with labels, a space, a classifier and a quantised index."""
    settings = Settings(home=home, model="acoustic", index="quantised", tune_at=0)
    with (
        mock.patch.object(tune, "FEWEST", 10),
        tempfile.TemporaryDirectory() as place,
        Library.open(settings, create=True) as library,
    ):
        for number in range(40):
            manner, speaker = list(MANNERS)[number % len(MANNERS)], number // len(MANNERS)
            samples = speak(manner, speaker=speaker, seed=number, seconds=0.7)
            path = write_wav(Path(place, f"{number}.wav"), samples)
            labels = {"emotion": manner}
            day = datetime(2026, 1, 1 + number // 4, tzinfo=UTC)
            about = Annotations(speaker=f"s{speaker}", labels=labels, recorded_at=day)
            fields = UploadFields(about)
            take_in(library, path, name=path.name, fields=fields)
        jobs = jobs_of(library)
        job, _ = jobs.submit(Upload(BytesIO(path.read_bytes()), path.name))
        while not jobs.board.get(job.id).finished:
            time.sleep(0.02)
        jobs.stop(20)
        library.tune(method=Method.CENTRED)
        library.train("emotion")
        library.classify("emotion")
        with library.database.write() as session:
            add_alert(session, NewAlert("anger", "angry>0.9", "share", "day", {"source": ["desk"]}))
            add_webhook(session, "https://hooks.example/a", "s" * 32, ["job.ended"])
        library.rebuild_index()


def answers(whole: Path, name: str, seed: int) -> dict[str, tuple[int, str, list[str]]]:
    """Exit code, output and lines on stderr of each command on an archive so damaged."""
    found = {}
    home, out = whole.with_name("home"), whole.with_name("out")
    for command in (*CHECKS, *COMMANDS):
        for folder in (home, out):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole, home)
        out.mkdir()
        if name:
            KINDS[name](home, random.Random(f"{seed} {name}"))
        done = CliRunner().invoke(app, [*command.format(out=out).split(), "--home", str(home)])
        errors = done.stderr.splitlines()
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            reported = isinstance(done.exception, EmotionSearchError | OSError)
            errors.append(f"{'error: ' if reported else 'Traceback '}{done.exception!r}")
        made = "".join(sorted(path.read_text() for path in out.iterdir()))
        found[command] = (done.exit_code, done.stdout + made, errors)
    return found | asked(home)


def asked(home: Path) -> dict[str, tuple[int, str, list[str]]]:
    """The same of requests, on the archive as the last command left it."""
    found = {}
    try:
        service = create_app(Settings(home=home, allowed_hosts="testserver"))
        with TestClient(service, raise_server_exceptions=False) as client:
            for request in REQUESTS:
                answer = client.get(f"/v1/{request}")
                problem = answer.headers["content-type"] == "application/problem+json"
                code = int(answer.status_code >= 400)
                reported = problem and answer.status_code != 500
                errors = [f"{'error:' if reported else 'Traceback'} {answer.text}"] * code
                found[f"GET {request}"] = (code, answer.text, errors)
    except Exception as error:  # noqa: BLE001 - it does not start
        reported = isinstance(error, EmotionSearchError)
        return {"GET": (1, "", [f"{'error:' if reported else 'Traceback'} {error!r}"])}
    return found


def judged(
    found: dict[str, tuple[int, str, list[str]]], expected: dict[str, tuple[int, str, list[str]]]
) -> tuple[list[str], list[str], list[str]]:
    """By which commands the damage is found; which failed in another way than by one line with the
    cure; and which answered something else."""
    seen, failed, other = [], [], []
    for command in dict.fromkeys((*CHECKS, *COMMANDS, *found)):
        code, output, errors = found.get(command, (-1, "", ["the process died"]))
        lines = [line for line in errors if line.startswith("error: ")]
        if code not in (0, 1, 2) or "Traceback" in " ".join(errors) or (code and len(lines) != 1):
            failed.append(f"{command}: exit {code}, {errors[-1:]}")
        elif command in CHECKS:
            seen += [command.split()[0]] * bool(code)
        elif code == 0 and command.split()[0] not in UNEQUAL and output != expected[command][1]:
            other.append(command)
    return seen, failed, other


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--what", nargs="*", help="Kinds that begin so.", default=[""])
    options = parser.parse_args()
    os.environ["EMOTION_SEARCH_INDEX"] = "quantised"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(HEAVY)
    print(describe("sqlalchemy", "faiss-cpu"))
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "whole")
        make(whole.with_name("home"))  # where it is damaged, for paths of uploads are absolute
        whole.with_name("home").rename(whole)
        write_wav(Path(folder, "new.wav"), speak("anger", speaker=9, seed=9, seconds=1.0))
        expected = answers(whole, "", 0)
        failed = {command: told for command, told in expected.items() if told[0]}
        assert not failed, failed
        for name in [one for one in KINDS if one.startswith(tuple(options.what))]:
            with ProcessPoolExecutor(1, context) as process:  # which may die of it
                try:
                    found = process.submit(answers, whole, name, options.seed).result(600)
                except BrokenProcessPool:
                    found = {}
            seen, failed, other = judged(found, expected)
            silent = [] if seen else other
            counts += Counter(
                damaged=1, found=bool(seen), failed=bool(failed), other=bool(other)
            ) + Counter({"other and not found": bool(silent)})
            what = f"FAILED {failed}" if failed else f"other answers {other}" if other else ""
            print(f"{name:<45} {'+'.join(seen) or '-':<12} {what}", flush=True)
    print(dict(counts))


if __name__ == "__main__":
    main()
