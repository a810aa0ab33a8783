"""How long commands take from nothing, beside importing the libraries that each cannot do without.

    python -m benchmarks.startup --home ~/archive --file unknown.wav

Each is run in a new process, the files in the system's cache. ``--file`` is searched for by the
archive's model; leave it out where that takes long to load.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
from pathlib import Path

from benchmarks.machine import describe, measured

STATUS = "import typer, pydantic.main, numpy, sqlalchemy.orm, sqlalchemy.dialects.sqlite"
SEARCH = f"{STATUS}, faiss, rich.table"


def processor() -> float:
    """Seconds of processor time that this process's children have taken so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def taken(arguments: tuple[str, ...], runs: int) -> tuple[float, float]:
    """Wall seconds and processor seconds of Python with these arguments, the medians."""
    wall, used = [], []
    for _ in range(runs):
        before = processor()
        wall.append(measured(*arguments, quiet=True)[0])
        used.append(processor() - before)
    return statistics.median(wall), statistics.median(used)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    program, place = ("-m", "emotion_search.cli"), ("--home", str(options.home))
    status = json.loads(measured(*program, "status", "--json", *place)[2])
    commands = {
        "import emotion_search": (("-c", "import emotion_search"), "pass"),
        "--help": ((*program, "--help"), "import typer"),
        "status": ((*program, "status", *place), STATUS),
        "search --clip 1": ((*program, "search", "--clip", "1", *place), SEARCH),
    }
    if options.file:
        search = (*program, "search", str(options.file), *place)
        commands["search FILE"] = (search, f"{SEARCH}, torch")
    print(describe("typer", "sqlalchemy", "numpy", "faiss-cpu", "torch"))
    print(f"{status['clips']} clips, model {status['model']}; medians of {options.runs}, seconds\n")
    print(f"{'':<22}{'wall':>7}{'cpu':>7}   {'libraries alone: wall':>22}{'cpu':>7}{'ratio':>7}")
    for name, (arguments, libraries) in commands.items():
        (wall, cpu), (bare, bare_cpu) = (
            taken(one, options.runs) for one in (arguments, ("-c", libraries))
        )
        print(
            f"{name:<22}{wall:>7.2f}{cpu:>7.2f}   {bare:>22.2f}{bare_cpu:>7.2f}{wall / bare:>7.2f}"
        )


if __name__ == "__main__":
    main()
