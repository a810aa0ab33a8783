"""The service in a process of its own, for tests and benchmarks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import ROOT


class Served:
    """A server process and where it is."""

    def __init__(
        self, home: Path, *options: str, program: list[str] | None = None, **environment: str
    ) -> None:
        self.log = home / "log"
        self.environment = {
            **os.environ,
            "EMOTION_SEARCH_HOME": str(home),
            "EMOTION_SEARCH_MODEL": "acoustic",
            "OMP_NUM_THREADS": "1",
            **environment,
        }
        self.base = program or [sys.executable, str(ROOT / "cli.py")]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*self.base, "serve", "--port", "0", *options], env=self.environment, stderr=log
            )
        self.port = 0
        until = time.monotonic() + 120  # on a busy machine
        while not self.port:
            for line in self.log.read_text().splitlines():
                if line.startswith("serving on"):
                    self.port = int(line.split()[2].rsplit(":", 1)[1])
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until
            time.sleep(0.02)
        self.address = f"http://127.0.0.1:{self.port}"
        while True:
            try:
                if httpx.get(f"{self.address}/healthz").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.02)
            assert time.monotonic() < until

    def end(self, *, kill: bool = False) -> int:
        """End the process and wait for it; its exit code."""
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        return self.process.wait(timeout=40)

    def lines(self) -> list[dict[str, Any]]:
        """The log, where it is JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line[0] == "{"]


@contextmanager
def served(
    home: Path, *options: str, program: list[str] | None = None, **environment: str
) -> Iterator[Served]:
    """A server process over the archive in ``home``."""
    home.mkdir(parents=True, exist_ok=True)
    process = Served(home, *options, program=program, **environment)
    try:
        yield process
    finally:
        if process.process.poll() is None:
            process.end()
