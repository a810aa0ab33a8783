"""Ingest failures, erasing recordings, labelling: ``failures``, ``forget``, ``label``."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emotion_search.engine.commands.common import (
    ArchiveOptions,
    JsonOption,
    MetaOption,
    TaskOption,
    age,
    moment,
    notice,
    print_json,
    say_error,
)
from emotion_search.engine.commands.options import clip_filter
from emotion_search.engine.commands.words import counted, length
from emotion_search.index.database.emotion_names import spellings
from emotion_search.index.database.nearest import nearest
from emotion_search.index.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from emotion_search.index.database.recording_details import Contents


def failures(archive: ArchiveOptions, as_json: JsonOption = False) -> None:
    """List files that could not be ingested or have no speech.

    \b
    emotion-search failures
    emotion-search ingest --retry-failed
    """
    with archive.open() as library:
        found = library.failures()
    if not found:
        notice("no file failed, and none is without speech")
    for failure in found:
        if as_json:
            print_json(vars(failure))
        else:
            print(f"{failure.path}: {failure.reason} (tried {counted(failure.attempts, 'time')})")


def forget(
    archive: ArchiveOptions,
    recordings: Annotated[
        list[int] | None, typer.Argument(min=1, max=2**63 - 1, help="Ids of recordings.")
    ] = None,
    source: Annotated[list[str] | None, typer.Option(help="All from here; repeatable.")] = None,
    speaker: Annotated[list[str] | None, typer.Option(help="All of this speaker.")] = None,
    after: Annotated[str | None, typer.Option(help="All recorded then or later.")] = None,
    before: Annotated[str | None, typer.Option(help="All recorded before then.")] = None,
    meta: MetaOption = None,
    older_than: Annotated[
        str | None,
        typer.Option(
            metavar="90d", help="All recorded longer ago; where unknown, taken in longer ago."
        ),
    ] = None,
    ingested_before: Annotated[str | None, typer.Option(help="All taken in before then.")] = None,
    missing: Annotated[bool, typer.Option("--missing", help="All whose audio is gone.")] = False,
    expired: Annotated[
        bool, typer.Option("--expired", help="All beyond EMOTION_SEARCH_RETENTION.")
    ] = False,
    and_files: Annotated[
        bool, typer.Option("--and-files", help="Remove your own audio files, too.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, erase nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase recordings from the archive.

    Their rows, vectors, labels, places in the index and uploaded bytes are removed. Later ingests
    pass them over, by a salted hash that is kept of their content; ingest --again takes them back.
    Several options together erase what matches all of them.

    \b
    emotion-search forget 17 18 --and-files
    emotion-search forget --source support-2019 --meta consent=withdrawn --dry-run
    emotion-search forget --older-than 90d --yes
    EMOTION_SEARCH_RETENTION=90d emotion-search forget --expired --yes
    """
    wanted = clip_filter(source=source, speaker=speaker, after=after, before=before, meta=meta)
    by_age = older_than is not None or ingested_before is not None or missing or expired
    if bool(recordings) == (by_age or not wanted.is_empty):
        raise InvalidInputError(
            "give recordings, or one or more of --source --speaker --after --before --meta"
            " --older-than --ingested-before --missing --expired"
        )
    older = None if older_than is None else datetime.now(UTC) - age("--older-than", older_than)
    taken_in = moment("--ingested-before", ingested_before)
    # What every run of a rule finds may be nothing yet; a name that nobody has is a slip.
    with archive.open() as library:
        try:
            for sentence in library.unknown_values(replace(wanted, metadata={})):
                notice(sentence)
        except NotFoundError:
            if not dry_run:
                library.settle()  # a call that was killed may have erased the last of them
            raise
        if recordings:
            ids = recordings
        else:
            ids = library.recordings(wanted, older=older, ingested_before=taken_in, missing=missing)
            if expired:
                ids = sorted(set(ids) & set(library.expired()))
        if dry_run:
            _count(library.counts_of(ids), ids, "removed file" if and_files else "known file")
            return
        if (and_files or not recordings) and ids and not yes:
            _ask(counted(len(ids), "recording") + (" with files" if and_files else ""))
        left = []
        try:
            for recording in ids:
                if and_files:
                    left += library.remove_files(recording)[1]
                paths = library.forget(recording, settle=False)
                if recordings:
                    known = ", ".join(paths) or "no file known"
                    print(f"recording {recording} forgotten ({known})")
        finally:
            library.settle()
    if not recordings:
        print(f"{counted(len(ids), 'recording')} forgotten")
    for path, reason in left:
        say_error(f"{path}: {reason}")
    if left:
        raise typer.Exit(1)


def _count(there: Contents, ids: list[int], file: str) -> None:
    """Say what would be forgotten, and which ids are none; ``file`` is what a file is called."""
    print(
        f"{counted(len(there.ids), 'recording')} would be forgotten:"
        f" {counted(there.clips, 'clip')} ({length(there.duration)}),"
        f" {counted(there.labels, 'label')}, {counted(there.files, file)}"
    )
    strange = sorted(set(ids) - set(there.ids))
    if strange:
        raise NotFoundError(f"no recording {', '.join(map(str, strange))} in this archive")


def _ask(what: str) -> None:
    """Go on only if somebody says so."""
    if not sys.stdin.isatty():
        raise InvalidInputError(f"{what} would be forgotten: say --yes")
    typer.confirm(f"Forget {what}?", abort=True, err=True)


def label(
    archive: ArchiveOptions,
    clips: Annotated[
        list[int] | None, typer.Argument(min=1, max=2**63 - 1, help="Ids of clips.")
    ] = None,
    value: Annotated[str | None, typer.Option("--label", help="What they are labelled as.")] = None,
    task: TaskOption = "",
    remove: Annotated[bool, typer.Option("--remove", help="Take the label away.")] = False,
    table: Annotated[
        Path | None, typer.Option("--from", help="CSV with the columns clip, label and maybe task.")
    ] = None,
) -> None:
    """Give clips a label, correct it or take it away.

    All of them, or none where one is unknown.

    \b
    emotion-search label 17 18 --label anger
    emotion-search label 17 --task satisfaction --remove
    emotion-search label --from labels.csv
    """
    from emotion_search.engine.files.manifest import read_labels
    from emotion_search.engine.files.values import check_text

    if (value is not None) + remove + (table is not None) != 1 or bool(clips) == bool(table):
        raise InvalidInputError("give clips and --label or --remove, or a table by --from")
    task = check_text("--task", task)
    if table is not None:
        labels = read_labels(table, task)
    else:
        text = None if value is None else check_text("--label", value)
        labels = [(clip, task, text) for clip in clips or []]
    with archive.open() as library:
        known = library.labels(task) if value is not None else {}
        if remove and task not in (tasks := library.tasks()):
            raise NotFoundError(f"no clip has a label under the task {task}{nearest(task, tasks)}")
        library.label(labels, strict=True)
    if known and value is not None and known.keys().isdisjoint(spellings([value])):
        notice(f"{value} is a new label under the task {task}{nearest(value, known)}")
    given = {clip for clip, _, one in labels if one is not None}
    taken = {clip for clip, _, _ in labels} - given
    some = [(given, "labelled")] if given or not taken else []
    some += [(taken, "unlabelled")] if taken else []
    print(", ".join(f"{counted(len(clips), 'clip')} {what}" for clips, what in some))
