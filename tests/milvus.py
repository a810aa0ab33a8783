"""A Milvus server of the tests' own: `milvus-lite server`, a process that can be killed."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emotion_search.index.errors import EngineError
from emotion_search.index.vectors.milvus import Milvus


class MilvusServer:
    """The process, on a port that stays the same."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What ``EMOTION_SEARCH_INDEX`` is to be."""
        return f"milvus+http://root:hush@127.0.0.1:{self.port}"

    def start(self) -> None:
        """Run it; it answers when this returns."""
        program = Path(sys.executable).parent / "milvus-lite"
        with (self.folder.parent / "milvus.log").open("ab") as log:
            self.process = subprocess.Popen(
                [program, "server", "--data-dir", self.folder, "--port", str(self.port)],
                stdout=log,
                stderr=log,
            )
        known = Milvus(self.url)
        for _ in range(600):
            try:
                known.marks("none")  # a channel of ours that knows it was away tries again by then
                return
            except EngineError:
                time.sleep(0.1)
        raise TimeoutError("milvus-lite does not answer")

    def kill(self) -> None:
        """End it at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def wipe(self) -> None:
        """Kill it, and start it with nothing."""
        self.kill()
        shutil.rmtree(self.folder)
        self.start()


def needs_milvus() -> None:
    """Skip where neither Milvus Lite nor its client is installed."""
    if not all(importlib.util.find_spec(name) for name in ("pymilvus", "milvus_lite")):
        pytest.skip("pip install pymilvus milvus-lite")
