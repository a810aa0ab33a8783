"""Classifiers on labels of one's own: ``train``, ``classify``, ``classifiers``, ``suggest``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emotion_search.engine.commands.common import (
    ArchiveOptions,
    JsonOption,
    OverwriteOption,
    SeedOption,
    TaskOption,
    as_compared,
    claim,
    notice,
    print_found,
    print_json,
)
from emotion_search.engine.commands.words import counted
from emotion_search.index.database.nearest import nearest

if TYPE_CHECKING:
    from emotion_search.index.database.filters import ClipFilter


def train(
    archive: ArchiveOptions,
    task: TaskOption = "",
    table: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="CSV of labels, columns clip (or path) and label; default: the archive's.",
        ),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="Leave this class out; repeatable.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="linear discriminant|random forest", help="Take this one; default: the best."
        ),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a report with plots here.")] = None,
    bootstrap: Annotated[
        int, typer.Option(min=0, max=100_000, help="Bootstrap samples for the intervals.")
    ] = 1000,
    seed: SeedOption = 0,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a classifier on your labels.

    Two kinds are compared on held-out speakers, and the better one is kept.

    \b
    emotion-search train --task satisfaction
    emotion-search train --task satisfaction --from labels.csv --html report.html
    """

    claim(html, overwrite=overwrite)
    with archive.open() as library:
        from emotion_search.engine.commands.show.classifiers import print_trained
        from emotion_search.engine.commands.show.progress import working

        with working("train") as progress:
            done = library.train(
                task,
                table=table,
                without=without or (),
                method=method,
                rounds=bootstrap,
                seed=seed,
                progress=progress,
            )
    for name, one in done.left_out.items():
        notice(f"class {name} left out: {counted(one.clips, 'clip')}, {one.why}")
    uar = done.best.measured.uar
    if (uar.value if uar.low is None else uar.low) <= 1 / len(done.classifier.classes):
        by = done.examples.by
        notice(f"maybe no better than chance on a {by} left out: label more before you classify")
    if html is not None:
        from emotion_search.engine.pages.classifier import write_report

        write_report(done, html)
        notice(f"report in {html}")
    if as_json:
        print_json(vars(done.classifier))
    else:
        print_trained(done)


def classify(
    archive: ArchiveOptions,
    task: TaskOption = "",
    version: Annotated[
        int | None, typer.Option(min=1, help="Of the classifier; default: the latest.")
    ] = None,
    *,
    wanted: ClipFilter,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, write nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Let a classifier say what each clip is; labels stay.

    Clips that it has classified before are passed over.

    \b
    emotion-search classify --task satisfaction
    emotion-search search angry.wav --task satisfaction --predicted low
    """
    with archive.open(wanted=wanted) as library:
        from emotion_search.engine.commands.show.classifiers import print_classified
        from emotion_search.engine.commands.show.progress import working

        with working("classify") as progress:
            done = library.classify(
                task, version=version, wanted=wanted, dry_run=dry_run, progress=progress
            )
    if as_json:
        record = {
            "task": task,
            "version": done.classifier.version,
            "dry_run": dry_run,
            "clips": done.done,
            "counts": done.counts,
        }
        print_json(record)
    else:
        print_classified(done, dry_run=dry_run)


def classifiers(
    archive: ArchiveOptions,
    task: Annotated[
        str | None, typer.Option("--task", help="Only of this task.", callback=as_compared)
    ] = None,
    delete: Annotated[
        int | None, typer.Option("--delete", metavar="VERSION", help="Delete this one of the task.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the archive's classifiers, or delete one.

    Its predictions are deleted with it.

    \b
    emotion-search classifiers
    emotion-search classifiers --task satisfaction --delete 1
    """
    with archive.open() as library:
        if delete is not None and task is not None:
            gone = library.delete_classifier(task, delete)
            print(f"classifier {task} {delete} deleted, and {counted(gone, 'prediction')}")
            return
        found = library.classifiers(task)
    from emotion_search.engine.commands.show.classifiers import print_classifiers

    of = "" if task is None else f" of the task {task}"
    train = f"emotion-search train --task {shlex.quote(task or 'TASK')}"
    nothing = f"no classifier{of} yet; train one with: {train}"
    print_found(found, as_json, vars, print_classifiers, nothing)


def suggest(
    archive: ArchiveOptions,
    task: TaskOption = "",
    limit: Annotated[int, typer.Option("--limit", "-k", help="Most clips.")] = 20,
    *,
    wanted: ClipFilter,
    as_json: JsonOption = False,
) -> None:
    """List the clips most worth labelling next.

    \b
    emotion-search suggest --task satisfaction --limit 20
    emotion-search label 17 --task satisfaction --label low
    """
    with archive.open(wanted=wanted) as library:
        found = library.suggest(task, limit=limit, wanted=wanted)
        tasks = library.tasks()
    if task not in tasks:
        notice(f"no clip has a label under the task {task} yet{nearest(task, tasks)}")
    from emotion_search.engine.commands.show.classifiers import print_suggestions, suggestion_record

    print_found(found, as_json, suggestion_record, print_suggestions, "no clip is left to label")
