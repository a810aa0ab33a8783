"""Requests made from the service's own document, and damaged uploads: never a 5xx.

python -m benchmarks.fuzz --examples 200 --uploads 1000
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from benchmarks.machine import describe
from benchmarks.mutations import mutated
from emotion_search.engine.audio.synthetic_voices import speak
from tests.api.serving import Served, served
from tests.formats import ENCODED, WRITTEN, write_as

CHECKS = [content_type_conformance, response_schema_conformance, status_code_conformance]


def fill(server: Served, folder: Path) -> None:
    """Give the archive something to find."""
    with httpx.Client(base_url=server.address, timeout=60) as http:
        for i, manner in enumerate(["anger", "neutral", "sadness", "happiness"] * 3):
            path = write_as(folder / str(i), speak(manner, speaker=i, seed=i, seconds=1.0), "wav")
            answer = http.post(
                "/v1/recordings?wait=true",
                files={"file": (path.name, path.read_bytes())},
                data={"label": manner, "speaker": f"voice{i % 3}", "metadata": "a=b"},
            )
            answer.raise_for_status()


def make_key(server: Served) -> dict[str, str]:
    """The header of a new key that may do everything."""
    command = [*server.base, "key", "create", "--name", "fuzz", "--scope", "admin"]
    made = subprocess.run(command, env=server.environment, capture_output=True, check=True)
    time.sleep(1.1)  # until the server looks again
    return {"Authorization": f"Bearer {made.stdout.decode().strip()}"}


def from_document(
    server: Served, examples: int, headers: dict[str, str]
) -> tuple[Counter[int], list[str]]:
    """Statuses of generated requests, valid and not, and what was wrong with answers."""
    schema = schemathesis.openapi.from_url(f"{server.address}/openapi.json")
    statuses: Counter[int] = Counter()
    wrong: list[str] = []
    profile = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    operations = [result.ok() for result in schema.get_all_operations()]
    operations.sort(key=lambda one: one.method.lower() == "delete")  # last: others need the archive
    for operation in operations:
        for mode in schemathesis.GenerationMode:

            def once(case: schemathesis.Case) -> None:
                answer = case.call(timeout=60, headers=headers)
                statuses[answer.status_code] += 1
                if answer.status_code >= 500:
                    wrong.append(f"{case.method} {case.path}: {answer.status_code} {answer.text}")
                try:
                    case.validate_response(answer, checks=CHECKS)
                except BaseExceptionGroup as failures:
                    wrong.append(f"{case.method} {case.path}: {failures.exceptions}")

            try:
                profile(given(case=operation.as_strategy(generation_mode=mode))(once))()
            except Exception as error:  # noqa: BLE001 - nothing invalid to be made of it
                print(f"  {operation.label} ({mode.value}): {type(error).__name__}", flush=True)
    return statuses, wrong


def uploads(
    server: Served, folder: Path, count: int, seed: int, headers: dict[str, str]
) -> tuple[Counter[int], list[str]]:
    """Statuses of damaged files sent to each of the routes that take files."""
    random = np.random.default_rng(seed)
    voice = 0.5 * speak("anger", speaker=0, seed=0, seconds=0.7)
    wholes = [
        write_as(folder / "whole", voice, ending).read_bytes() for ending in [*WRITTEN, *ENCODED]
    ]
    statuses: Counter[int] = Counter()
    wrong: list[str] = []
    with httpx.Client(base_url=server.address, timeout=90, headers=headers) as http:
        for i in range(count):
            content = mutated(wholes[i % len(wholes)], random)
            name = "".join(map(chr, random.integers(1, 0x2FF, 12)))
            path = ("/v1/search", "/v1/recordings?wait=true", "/v1/predict")[i % 3]
            answer = http.post(path, files={"file": (name, content)})
            statuses[answer.status_code] += 1
            if answer.status_code >= 500:
                wrong.append(f"upload {i} to {path}: {answer.status_code} {answer.text}")
    return statuses, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=200, help="Of each route, and kind.")
    parser.add_argument("--uploads", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(describe("schemathesis", "fastapi", "uvicorn"))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with served(place / "home") as server:
            fill(server, place)
            headers = make_key(server)
            wrong = []
            for name, run in (
                ("from the document", partial(from_document, server, options.examples, headers)),
                (
                    "damaged uploads",
                    partial(uploads, server, place, options.uploads, options.seed, headers),
                ),
            ):
                began = time.monotonic()
                statuses, faults = run()
                wrong += faults
                counts = ", ".join(f"{n} x {status}" for status, n in sorted(statuses.items()))
                took = time.monotonic() - began
                print(f"{name}: {statuses.total()} requests in {took:.0f} s: {counts}")
            alive = httpx.get(f"{server.address}/readyz").status_code == 200
            tracebacks = server.log.read_text().count("Traceback")
    for fault in wrong[:20]:
        print(fault[:600])
    print(f"answers that were wrong {len(wrong)}, tracebacks {tracebacks}, still ready: {alive}")
    sys.exit(bool(wrong or tracebacks or not alive))


if __name__ == "__main__":
    main()
