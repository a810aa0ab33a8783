"""What a benchmark was run on, and wall time and peak memory of processes."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def describe(*packages: str) -> str:
    """One line: CPU, cores, Python and the versions of ``packages``."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
    found = [f"Python {platform.python_version()}"]
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} absent")
    return f"{cpu}, {os.cpu_count()} cores; {', '.join(found)}"


def peak() -> float:
    """Peak resident memory of this process so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(*arguments: str, quiet: bool = False) -> tuple[float, int, str]:
    """Wall seconds, peak resident bytes and output of Python run with these arguments; what it
    writes on standard error is shown unless ``quiet``."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(
            [sys.executable, *arguments], stdout=out, stderr=subprocess.DEVNULL if quiet else None
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(arguments)} failed")
        out.seek(0)
        return seconds, usage.ru_maxrss * 1024, out.read()
