"""Export of an archive: embeddings, scores, labels and metadata as files, written atomically."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from emotion_search.engine.files.disk import output_lock, space_needed
from emotion_search.engine.machine.progress import Progress, unwatched
from emotion_search.engine.transfer.formats import writer
from emotion_search.engine.transfer.records import model_record
from emotion_search.index.database.clips import clips_with_vectors
from emotion_search.index.database.connection import Database
from emotion_search.index.database.embeddings import embedded_ids
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.labels import list_tasks
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.disk.sync import make_folders, publish, unfinished
from emotion_search.index.errors import ConflictError, InvalidInputError, UnusableError

FORMATS = ("npy", "parquet", "csv", "jsonl")
_SUFFIXES = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}

_ABOUT = "about.json"
_OURS = {_ABOUT, "clips.csv", "embeddings.npy", "scores.npy"}  # and frames/CLIP.npy

_PAGE = 1000  # clips in memory


@dataclass
class Exported:
    """What was written.

    Attributes:
        path: the file, or the folder.
        clips: rows.
        failed: clips whose frames could not be had, and why.
    """

    path: Path
    clips: int = 0
    failed: list[tuple[int, str]] = field(default_factory=list)


def export_archive(
    database: Database,
    model: ModelInfo,
    output: Path,
    *,
    kind: str | None = None,
    wanted: ClipFilter | None = None,
    raw: bool = False,
    overwrite: bool = False,
    progress: Progress = unwatched,
) -> Exported:
    """Write the clips that pass the filter, by ascending id, as one snapshot of the archive.

    ``npy``: a folder of ``embeddings.npy`` and ``scores.npy`` (float32, a row a clip),
    ``clips.csv`` (the same rows), ``about.json`` (model, classes). ``parquet``: one file, the
    embedding a column. ``csv``, ``jsonl``: one file without embeddings. Nothing has its final name
    before it is whole.

    Args:
        kind: one of ``FORMATS``; by the ending of ``output`` if left out, else ``npy``.
        raw: write texts of a CSV as they are, even those that a spreadsheet takes for formulas.
        overwrite: take the place of an earlier export, or of another file.
        progress: called with how many clips are written, and of how many.

    Raises:
        InvalidInputError: ``output`` is there already, or cannot be written; it is a folder that
            holds anything but an export, or the archive's database; no such format; ``pyarrow`` is
            missing.
        StorageFullError: no space is left; nothing half-written is kept.
    """
    kind = kind_of(output, kind)
    if raw and kind != "csv":
        raise InvalidInputError(f"--raw is of CSV, not of {kind}")
    wanted = wanted or ClipFilter()
    done = Exported(output)
    with published(output, database, overwrite=overwrite) as partial, database.read() as session:
        known = list(list_tasks(session))
        with writer(kind, partial, model, known, raw=raw) as write:
            after, total = 0, len(embedded_ids(session, model, wanted))
            while True:
                clips, vectors = clips_with_vectors(
                    session, model, wanted, limit=_PAGE, after_id=after
                )
                if not clips:
                    break
                write(clips, vectors)
                after = clips[-1].id
                done.clips += len(clips)
                progress(done.clips, total)
        if kind == "npy":
            write_about(partial, model, done.clips, "utterance")
    return done


def kind_of(output: Path, kind: str | None) -> str:
    """The format that is meant.

    Raises:
        InvalidInputError: there is none of this name, or stdout is meant.
    """
    if str(output) == "-":
        raise InvalidInputError("an export is a file or folder: name it, such as clips.jsonl")
    if kind is None and output.suffix and not output.is_dir():
        if output.suffix.lower() not in _SUFFIXES:
            raise InvalidInputError(
                f"{output}: no format has the ending {output.suffix}; use {', '.join(_SUFFIXES)},"
                " none for a folder of .npy, or say which by --format"
            )
        return _SUFFIXES[output.suffix.lower()]
    if kind is None:
        return "npy"
    if kind not in FORMATS:
        raise InvalidInputError(f"format {kind}: choose {', '.join(FORMATS)}")
    return kind


@contextmanager
def published(output: Path, database: Database, *, overwrite: bool) -> Iterator[Path]:
    """A name to write a file or folder under, which takes the place of ``output`` at the end.

    Where the block raises, what it wrote is removed.

    Raises:
        InvalidInputError: ``output`` is there already, another run writes it, or it cannot be
            written; to be overwritten, it is a folder that is no export, or the database.
        StorageFullError: no space is left.
    """
    output = Path(os.path.abspath(output))  # noqa: PTH100 - resolves no links
    partial = unfinished(output)
    with _writable(output):
        make_folders(output.parent)
    with output_lock(output):
        occupied = output.exists() and not (output.is_dir() and not any(output.iterdir()))
        if occupied and not overwrite:
            raise ConflictError(f"{output} exists; choose another name, or say --overwrite")
        if occupied:
            _check_replaceable(output, database)
        try:
            with _writable(output), space_needed(output.parent):
                _remove(partial)  # of an export that was killed
                yield partial
                publish(partial, output, over_folder=True)  # an export, see above
        finally:
            with suppress(OSError):  # where there is no folder: that is the error above
                _remove(partial)


@contextmanager
def _writable(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnusableError(f"{output} cannot be written: {error.strerror}") from error


def write_about(folder: Path, model: ModelInfo, clips: int, granularity: str) -> None:
    """Say in ``about.json`` what the arrays of a folder are."""
    about = {**model_record(model), "clips": clips, "granularity": granularity}
    text = json.dumps(about, ensure_ascii=False, indent=2) + "\n"
    (folder / _ABOUT).write_text(text, encoding="utf-8")


def _check_replaceable(output: Path, database: Database) -> None:
    """Refuse to replace what nobody can mean to lose: the database, or a folder with anything in it
    that no export has written."""
    if not output.is_dir():
        if database.file is not None and output.resolve() == database.file.resolve():
            raise ConflictError(f"{output} is the archive's database; choose another name")
        return
    names = {path.name for path in output.iterdir()}
    strange = sorted(names - _OURS - {"frames"})
    frames = output / "frames"
    if "frames" in names and frames.is_dir():
        strange += sorted(
            f"frames/{path.name}"
            for path in frames.iterdir()
            if path.suffix != ".npy" or not path.stem.isdecimal()
        )
    if strange or _ABOUT not in names:
        what = f"it holds {strange[0]}" if strange else f"it has no {_ABOUT}"
        raise ConflictError(
            f"{output} is no folder that export has written ({what}), so it is not overwritten;"
            " choose another name, or remove it yourself"
        )


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
