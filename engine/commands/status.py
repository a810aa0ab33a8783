"""Counts, model and index of an archive: ``status``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from emotion_search.engine.commands.common import ArchiveOptions, JsonOption, notice, print_json
from emotion_search.engine.commands.index import describe
from emotion_search.engine.commands.ingest_shared import print_status

_SCORES = {
    "mean": "adapted to the mean of the archive",
    "baselines": "adapted to the baselines of speakers, recordings and sources",
    None: "as the model gives them",
}


def status(archive: ArchiveOptions, as_json: JsonOption = False) -> None:
    """Show what is in the archive, and under which model.

    \b
    emotion-search status
    emotion-search status --json
    """
    from emotion_search.engine.commands.show.hits import tally
    from emotion_search.engine.commands.show.tables import print_row
    from emotion_search.engine.commands.words import length
    from emotion_search.engine.transfer import records

    with archive.open() as library:
        record = records.status_record(library.status())
        index, disk = library.index_status(), library.disk_use()
        exposed = library.exposed()
        shared = [run for run in library.shared_ingests() if not run.finished]
        labels = {task: library.labels(task) for task in library.tasks()}
    record |= {"index": asdict(index), "disk": asdict(disk), "tasks": labels}
    record["ingests"] = [asdict(run) for run in shared]
    for path in exposed:
        notice(f"other users of this machine may read {path}; close it: chmod -R go= {path}")
    if as_json:
        print_json(record)
        return
    model = f"{record['model']} ({record['dimension']} dimensions)" if record["model"] else "none"
    rows: dict[str, Any] = {
        "recordings": record["recordings"],
        "clips": record["clips"],
        "duration": length(record["duration"]),
        "failures": record["failures"],
        "model": model,
        "scores": _SCORES[record["adapted"]],
        "space": f"{record['space']} ({record['method'] or 'plain'})",
        **describe(index),
        "sources": tally(record["sources"]),
        "labels": "; ".join(f"{task}: {tally(of)}" for task, of in labels.items()) or "none",
        "database": record["database"],
        "home": record["home"],
        "disk": f"{_size(disk.database)} database, {_size(disk.index)} index,"
        f" {_size(disk.uploads)} uploads; {_size(disk.free)} free of {_size(disk.total)}",
    }
    for name, value in rows.items():
        print_row(name, str(value), 12)
    if shared:
        print_status(shared, as_json)


def _size(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.1f} MB"
