"""Folders of tables as audformat, Hugging Face's audiofolder and Kaldi lay out a corpus."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from emotion_search.engine.files.columns import Columns
from emotion_search.engine.files.tables import Rows, table_rows
from emotion_search.engine.files.text_file import text_file
from emotion_search.index.errors import UnusableError, reason

_HUGGING_FACE = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


@dataclass(frozen=True)
class Table:
    """A table of a manifest: its rows, the folder that its paths are relative to, and its name
    where the manifest has several."""

    rows: Rows
    folder: Path
    name: str = ""


def tables_of(path: Path, columns: Columns, encoding: str | None = None) -> Iterator[Table]:
    """The tables of a manifest: itself, or those of a folder with ``db.yaml`` (audformat),
    ``metadata.csv``, ``.jsonl`` or ``.parquet`` in it or two folders down (Hugging Face), or
    ``wav.scp`` (or any ``.scp``) with ``utt2spk`` and ``segments`` where there are (Kaldi).

    Raises:
        InvalidInputError: it cannot be read, or is another kind of folder.
    """
    if path.suffix == ".scp" or (path / "wav.scp").is_file():
        yield _kaldi(path / "wav.scp" if path.is_dir() else path)
    elif not path.is_dir():
        yield Table(table_rows(path, columns, encoding=encoding), path.parent)
    elif (path / "db.yaml").is_file():
        for name in _audformat(path):
            yield Table(table_rows(path / name, columns, encoding=encoding), path, name)
    else:
        patterns = [f"{down}{name}" for down in ("", "*/", "*/*/") for name in _HUGGING_FACE]
        found = sorted({one for pattern in patterns for one in path.glob(pattern)})
        if not found:
            raise UnusableError(
                f"{path} is a folder without db.yaml (audformat), {_HUGGING_FACE[0]} (Hugging Face)"
                " or wav.scp (Kaldi): name the table itself"
            )
        for one in found:
            rows = table_rows(one, columns, encoding=encoding)
            yield Table(rows, one.parent, str(one.relative_to(path)))


def _audformat(folder: Path) -> list[str]:
    """File names of the tables that an audformat database lists."""
    import yaml

    header = folder / "db.yaml"
    try:
        about = yaml.safe_load(header.read_bytes())
    except (OSError, yaml.YAMLError) as error:
        raise UnusableError(f"{header} cannot be read: {reason(error)}") from error
    tables = about.get("tables") if isinstance(about, dict) else None
    if not tables:
        raise UnusableError(f"{header} lists no tables")
    names = []
    for table in tables:
        kinds = [f"db.{table}.{kind}" for kind in ("csv", "parquet")]
        there = next((name for name in kinds if (folder / name).is_file()), None)
        if there is None:
            raise UnusableError(
                f"{folder / kinds[0]}: no such file; audformat's Database.save(root,"
                " storage_format='csv') writes it"
            )
        names.append(there)
    return names


def _kaldi(script: Path) -> Table:
    recordings, folder = dict(_pairs(script)), script.parent
    first = next(iter(recordings.values()), "")
    # Kaldi's paths are relative to where its recipes run.
    base = folder if (folder / first).exists() or not Path(first).exists() else Path.cwd()
    there = folder / "segments"
    return Table(
        _utterances(folder, recordings, segmented=there.is_file()),
        base,
        there.name if there.is_file() else "",
    )


def _utterances(folder: Path, recordings: dict[str, str], *, segmented: bool) -> Rows:
    speakers = dict(_pairs(folder / "utt2spk")) if (folder / "utt2spk").is_file() else {}
    rows = _pairs(folder / "segments") if segmented else ((one, one) for one in recordings)
    for line, (utterance, rest) in enumerate(rows, start=1):
        recording, *span = rest.split()
        path = recordings.get(recording, "")
        if not path:
            yield line, f"there is no recording {recording} in the .scp"
        elif path.endswith("|"):
            yield line, f"{recording} is a command, not a file: run it, and name what it writes"
        elif segmented and len(span) != 2:
            yield line, "a segment has an utterance, a recording, a start and an end"
        else:
            row = {"path": path, "speaker": speakers.get(utterance)}
            yield line, row | dict(zip(("start", "end"), span, strict=False))


def _pairs(table: Path) -> Iterator[tuple[str, str]]:
    """First word and rest of each line of one of Kaldi's tables."""
    with text_file(table) as file:
        for line in file:
            words = line.split(None, 1)
            if len(words) == 2:
                yield words[0], words[1].strip()
