"""Many clients, each with an event stream, while an ingest runs: no error, flat memory, answers
that agree with themselves, streams that end with their clients.

python -m benchmarks.soak --seconds 600 --clients 32
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import soundfile

from benchmarks.machine import describe
from emotion_search.engine.audio.synthetic_voices import MANNERS, speak
from tests.api.serving import Served, served

_BASE = 60  # clips that are there from the start
_OPEN = ("01", "08")  # established, and closed by the other side alone; see proc_pid_net(5)
_LEAVING_S = 3.0  # in which the server notices that connections are closed


def voice(path: Path, number: int) -> Path:
    """A synthetic voice in a file."""
    manner = list(MANNERS)[number % len(MANNERS)]
    soundfile.write(path, speak(manner, speaker=number, seed=number, seconds=1.0), 16_000)
    return path


def memory(process: int) -> float:
    """Resident memory in MB."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


def connections(port: int) -> int:
    """Connections to a port of this machine, as its server has them."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] in _OPEN for row in rows)


class Client:
    """One client: it asks, checks what it can, and counts; another thread follows the archive."""

    def __init__(self, server: Served, folder: Path, number: int, stop: threading.Event) -> None:
        self._random = np.random.default_rng(number)
        self._server, self._folder, self._number, self._stop = server, folder, number, stop
        self.statuses: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.events = 0

    def follow(self) -> None:
        """Take the archive's events until asked to stop; then the connection is cut, as a tab is
        that is closed."""
        while not self._stop.is_set():
            try:
                address = f"{self._server.address}/v1/events"
                with httpx.stream("GET", address, timeout=httpx.Timeout(30)) as answer:
                    if answer.status_code != 200:
                        self.wrong.append(f"events: {answer.status_code}")
                    for line in answer.iter_lines():
                        self.events += line == "event: archive"
                        if self._stop.is_set():
                            break
            except httpx.HTTPError as error:
                self.wrong.append(f"events: {error!r}")

    def run(self) -> None:
        """Ask until asked to stop."""
        with httpx.Client(base_url=self._server.address, timeout=120) as http:
            while not self._stop.is_set():
                what = self._random.choice(
                    ["clip", "file", "list", "upload"], p=[0.7, 0.1, 0.15, 0.05]
                )
                began = time.monotonic()
                try:
                    answer = getattr(self, f"_{what}")(http)
                except httpx.HTTPError as error:
                    self.wrong.append(f"{what}: {error!r}")
                    continue
                self.seconds[what].append(time.monotonic() - began)
                self.statuses[f"{what} {answer.status_code}"] += 1
                if answer.status_code not in (200, 201, 202, 429):
                    self.wrong.append(f"{what}: {answer.status_code} {answer.text[:300]}")
                if answer.status_code == 429:
                    time.sleep(0.2)

    def _clip(self, http: httpx.Client) -> httpx.Response:
        clip = int(self._random.integers(1, _BASE + 1))
        answer = http.post("/v1/search", json={"clip": clip, "limit": 20})
        if answer.status_code == 200:
            hits = answer.json()["hits"]
            found = [hit["similarity"] for hit in hits]
            ids = [hit["clip"] for hit in hits]
            if len(hits) != 20 or found != sorted(found, reverse=True) or clip in ids:
                self.wrong.append(f"clip {clip}: hits {ids} {found}")
            if len(set(ids)) < len(ids):
                self.wrong.append(f"clip {clip}: a hit twice in {ids}")
        return answer

    def _file(self, http: httpx.Client) -> httpx.Response:
        path = self._folder / f"base-{int(self._random.integers(_BASE))}.wav"
        with path.open("rb") as content:
            return http.post("/v1/search", files={"file": content}, data={"limit": "5"})

    def _list(self, http: httpx.Client) -> httpx.Response:
        return http.get("/v1/clips", params={"limit": 50, "source": "base"})

    def _upload(self, http: httpx.Client) -> httpx.Response:
        number = 10_000 + self._number * 1000 + int(self._random.integers(1000))
        path = voice(self._folder / f"upload-{self._number}.wav", number)
        with path.open("rb") as content:
            return http.post("/v1/recordings", files={"file": content})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--ingested", type=int, default=2000, help="Files of the ingest beside it.")
    options = parser.parse_args()
    print(describe("fastapi", "uvicorn", "faiss-cpu"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "ingest").mkdir()
        for i in range(_BASE):
            voice(folder / f"base-{i}.wav", i)
        for i in range(options.ingested):
            voice(folder / "ingest" / f"{i}.wav", 1000 + i)
        with served(folder / "home") as server:
            command = [*server.base, "ingest"]
            base = [str(path) for path in folder.glob("base-*.wav")]
            subprocess.run(
                [*command, *base, "--source", "base"], env=server.environment, check=True
            )
            stop = threading.Event()
            clients = [Client(server, folder, i, stop) for i in range(options.clients)]
            sizes: list[float] = []
            before = connections(server.port)
            with ThreadPoolExecutor(2 * options.clients) as threads:
                running = [threads.submit(client.run) for client in clients]
                running += [threads.submit(client.follow) for client in clients]
                began = time.monotonic()
                with (folder / "ingest.log").open("w") as log:
                    ingest = subprocess.Popen(
                        [*command, str(folder / "ingest")], env=server.environment, stderr=log
                    )
                while time.monotonic() - began < options.seconds:
                    time.sleep(min(5.0, options.seconds / 10))
                    sizes.append(memory(server.process.pid))
                most = connections(server.port)
                stop.set()
                for one in running:
                    one.result()
            time.sleep(_LEAVING_S)
            after = connections(server.port)
            code = ingest.wait()
            unfinished = {"status": ["queued", "running"]}
            while httpx.get(f"{server.address}/v1/jobs", params=unfinished).json()["data"]:
                time.sleep(0.5)
            stats = httpx.get(f"{server.address}/v1/stats", timeout=60).json()
            listed, cursor = 0, 0
            while cursor is not None:
                page = httpx.get(
                    f"{server.address}/v1/clips", params={"limit": 500, "cursor": cursor}
                ).json()
                listed, cursor = listed + len(page["data"]), page["next"]
            tracebacks = server.log.read_text().count("Traceback")
    wrong = [fault for client in clients for fault in client.wrong]
    statuses = sum((client.statuses for client in clients), Counter())
    total = statuses.total()
    print(f"{options.clients} clients, {options.seconds:g} s: {total} answers")
    for name, count in sorted(statuses.items()):
        print(f"  {name:<12} {count}")
    for what in sorted({name for client in clients for name in client.seconds}):
        taken = np.concatenate([client.seconds[what] for client in clients]) * 1000
        middle, late = np.percentile(taken, [50, 99])
        print(f"  {what:<12} p50 {middle:.0f} ms, p99 {late:.0f} ms, most {taken.max():.0f} ms")
    events = [client.events for client in clients]
    print(f"event streams: {min(events)} to {max(events)} events each")
    print(f"connections of the server: {before} before, {most} under load, {after} after it")
    half = sizes[len(sizes) // 2]
    print(f"memory: {sizes[0]:.0f} MB at first, {half:.0f} MB half-way, {sizes[-1]:.0f} MB at last")
    print(
        f"ingest beside it: exit code {code}; the archive: {stats['clips']} clips, {listed} listed"
    )
    for fault in wrong[:10]:
        print(fault)
    print(f"answers that were wrong {len(wrong)}, tracebacks {tracebacks}")
    faulty = wrong or tracebacks or code or listed != stats["clips"] or after > before
    sys.exit(bool(faulty or not min(events)))


if __name__ == "__main__":
    main()
