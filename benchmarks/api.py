"""HTTP overhead: a search by clip over the service, beside the same query in this process.

python -m benchmarks.api --clips 100000 --dimension 1024
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as the server of ``served`` has it

import numpy as np

from benchmarks.machine import describe, measured
from benchmarks.vectors import PART, clustered, fill
from emotion_search.engine.library.library import Library
from emotion_search.engine.query.examples import ClipExample
from emotion_search.engine.query.query import Query, answer
from emotion_search.engine.settings import Settings
from emotion_search.index.database.connection import Database
from emotion_search.index.database.models import activate_model
from tests.api.serving import served

_EACH = 10  # clips of a recording
_LABELS = ("anger", "happiness", "neutral", "sadness")


def synthetic_archive(home: Path, clips: int, dimension: int) -> None:
    """An archive in ``home`` of embeddings as ``benchmarks.search`` takes them, with scores and ten
    clips a recording, unless there is one."""
    database = Database(Settings(home=home).database)
    if database.schema_version() is not None:
        database.close()
        return
    home.mkdir(parents=True, exist_ok=True)
    database.create_or_require()
    random = np.random.default_rng(0)
    with database.write() as session:
        model = activate_model(
            session,
            name="synthetic",
            fingerprint=f"synthetic-{dimension}",
            dimension=dimension,
            classes=("angry", "happy", "neutral", "sad"),
        )
    for first, vectors in zip(count(0, PART), clustered(clips, dimension), strict=False):
        n = len(vectors)
        numbers = range(first // _EACH + 1, (first + n - 1) // _EACH + 2)
        with database.write() as session:
            fill(
                session,
                model,
                vectors,
                first + 1,
                each=_EACH,
                scores=random.dirichlet(np.ones(4), n),
                sources=[f"queue-{i % 20}" for i in numbers],
                speakers=[f"caller-{i % 997}" for i in numbers],
                labels=[_LABELS[(first + i) % 4] for i in range(1, n + 1)],
            )
    database.close()


def requests(clips: int, number: int) -> list[int]:
    """Clips to search by."""
    return np.random.default_rng(1).integers(1, clips + 1, number).tolist()


def in_process(library: Library, clips: list[int], threads: int) -> tuple[list[float], float]:
    """Seconds of each query, and queries a second."""

    def one(clip: int) -> float:
        began = time.perf_counter()
        answer(library, Query([ClipExample(clip)]))
        return time.perf_counter() - began

    with ThreadPoolExecutor(threads) as several:
        began = time.perf_counter()
        times = list(several.map(one, clips))
        return times, len(clips) / (time.perf_counter() - began)


async def over_http(port: int, clips: list[int], clients: int) -> tuple[list[float], float, int]:
    """Seconds of each request, requests a second, and how many did not answer 200."""
    left = iter(clips)
    times: list[float] = []
    errors = 0

    async def client() -> None:
        nonlocal errors
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for clip in left:
            body = json.dumps({"clip": clip}).encode()
            began = time.perf_counter()
            writer.write(
                b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            size = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(size)
            times.append(time.perf_counter() - began)
            errors += not head.startswith(b"HTTP/1.1 200")
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return times, len(clips) / (time.perf_counter() - began), errors


def ask(port: int, clients: int, options: argparse.Namespace) -> tuple[list[float], float, int]:
    """As ``over_http``, from a process of its own."""
    load = ("--client", str(port), str(clients), "--clips", str(options.clips))
    command = ("-m", "benchmarks.api", *load, "--requests", str(options.requests))
    times, rate, errors = json.loads(measured(*command)[2])
    return times, rate, errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=1024)
    parser.add_argument("--requests", type=int, default=100, help="Of a round.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--workers", type=int, default=1, help="Of the server.")
    parser.add_argument("--home", type=Path, help="Keep the synthetic archive here.")
    parser.add_argument("--client", nargs=2, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:  # the load comes from a process of its own
        port, clients = options.client
        clips = requests(options.clips, options.requests)
        print(json.dumps(asyncio.run(over_http(port, clips, clients))))
        return
    print(describe("uvicorn", "fastapi", "faiss-cpu", "numpy"))
    with tempfile.TemporaryDirectory() as folder:
        home = options.home or Path(folder, "home")
        synthetic_archive(home, options.clips, options.dimension)
        Library.open(Settings(home=home)).save_index()
        figures: dict[tuple[str, int], list[tuple[float, float]]] = {}
        failed = 0
        clips = requests(options.clips, options.requests)
        with (
            Library.open(Settings(home=home)) as library,
            served(home, "--workers", str(options.workers), EMOTION_SEARCH_MODEL="") as server,
        ):
            library.refresh()
            for turn in range(options.rounds + 1):  # both are up; the first turn warms them
                for clients in (1, 32):
                    # as many threads as the service has workers: more only wait in both
                    times, rate = in_process(library, clips, min(clients, 8))
                    http_times, http_rate, errors = ask(server.port, clients, options)
                    failed += errors
                    if turn:
                        process = figures.setdefault(("process", clients), [])
                        process.append((statistics.median(times), rate))
                        http = figures.setdefault(("http", clients), [])
                        http.append((statistics.median(http_times), http_rate))
    print(f"{options.clips} clips x {options.dimension}, {options.requests} requests a round\n")
    print("clients  way       p50 ms   queries/s")
    median = {
        key: [statistics.median(column) for column in zip(*rows, strict=True)]
        for key, rows in figures.items()
    }
    for (way, clients), (p50, rate) in sorted(median.items(), key=lambda one: one[0][1]):
        print(f"{clients:>7}  {way:<8} {p50 * 1000:>7.2f}   {rate:>9.1f}")
    overhead = (median["http", 1][0] - median["process", 1][0]) * 1000
    share = median["http", 32][1] / median["process", 32][1]
    print(f"\noverhead with one client, p50    {overhead:.2f} ms (bar: 4)")
    print(f"throughput with 32 clients       {share:.2f} of in-process (bar: 0.7)")
    print(f"answers that were not 200        {failed}")


if __name__ == "__main__":
    main()
