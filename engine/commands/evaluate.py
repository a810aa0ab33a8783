"""Retrieval evaluation and tuning: ``evaluate``, ``tune``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emotion_search.engine.commands.common import (
    ArchiveOptions,
    JsonOption,
    OverwriteOption,
    SeedOption,
    TaskOption,
    choice,
    claim,
    notice,
    print_found,
    print_json,
)

if TYPE_CHECKING:
    from emotion_search.engine.quality.labelled import LabelledVectors
    from emotion_search.index.vectors.space import Space

_SPACES = ("plain", "centred", "whitened")


def evaluate(
    archive: ArchiveOptions,
    task: TaskOption = "",
    exclude_same: Annotated[
        str | None,
        typer.Option(
            metavar="speaker|recording|none",
            help="What galleries leave out; default: speaker where all are known (and recording"
            " beside it), else recording.",
        ),
    ] = None,
    space: Annotated[
        str,
        typer.Option(
            metavar="current|plain|centred|whitened",
            help="Space to take similarity in; plain in place of a learned one.",
        ),
    ] = "current",
    embeddings: Annotated[
        Path | None, typer.Option(help="Your own vectors: .npy of shape (clips, dimensions).")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="CSV with a row for each: label, and speaker, recording, source, text if known."
        ),
    ] = None,
    sentence_key: Annotated[
        str | None,
        typer.Option(help="Metadata key of the words spoken, for triplets; default: text."),
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(help="Compare the archive's embeddings under these models; repeat it."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a report with plots here.")] = None,
    mteb: Annotated[
        Path | None, typer.Option(help="Write retrieval as MTEB has it here: TASK.json.")
    ] = None,
    bootstrap: Annotated[
        int, typer.Option(min=0, max=100_000, help="Bootstrap samples for the intervals.")
    ] = 1000,
    seed: SeedOption = 0,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure query by example on labelled clips.

    Figures stand beside chance; also shown is what similarity depends on besides the label, and how
    good the model's class scores are.

    \b
    emotion-search evaluate
    emotion-search evaluate --exclude-same recording --html report.html
    emotion-search evaluate --embeddings peer.npy --labels labels.csv --json
    emotion-search evaluate --models voice --models ~/finetuned
    """
    from emotion_search.engine.commands.show.evaluation import print_comparison, print_evaluation
    from emotion_search.engine.commands.show.progress import working
    from emotion_search.engine.quality.evaluate import evaluate as measure
    from emotion_search.engine.quality.labelled import read_labelled_vectors
    from emotion_search.engine.quality.retrieval import Gallery
    from emotion_search.index.vectors.space import Space

    claim(html, mteb, overwrite=overwrite)
    if space != "current":
        choice("--space", space, _SPACES)
    gallery = None
    if exclude_same is not None:
        gallery = choice("--exclude-same", exclude_same, Gallery)
    if embeddings is not None and labels is not None:
        found = [(read_labelled_vectors(embeddings, labels, sentence_key=sentence_key), Space())]
    else:
        with archive.open() as library:
            if models:
                found = library.labelled_by(models, task, sentence_key=sentence_key)
            else:
                found = [library.labelled(task, sentence_key=sentence_key)]
    if space == "current" and len({serving.method for _, serving in found}) > 1:
        notice("the models are served in spaces of different kinds: compared in the plain space")
        space = "plain"
    results = []
    for data, serving in found:
        with working("evaluate") as progress:
            results.append(
                measure(
                    data,
                    _space(space, serving, data),
                    gallery=gallery,
                    rounds=bootstrap,
                    seed=seed,
                    progress=progress,
                )
            )
    if html is not None:
        from emotion_search.engine.pages.evaluation import write_report

        write_report(results[0], html)
        notice(f"report in {html}")
    if mteb is not None:
        from emotion_search.engine.inference.embed import write_json
        from emotion_search.engine.quality.mteb import task_result

        write_json(mteb, task_result(results[0], mteb.stem))
    if as_json:
        for result in results:
            print_json(asdict(result))
    elif models:
        print_comparison(results)
    else:
        print_evaluation(results[0])


def tune(
    archive: ArchiveOptions,
    task: TaskOption = "",
    method: Annotated[
        str | None,
        typer.Option(
            metavar="centred|baseline|learned|…", help="Fit this one; default: the best by labels."
        ),
    ] = None,
    restore: Annotated[
        int | None, typer.Option(min=0, help="Go back to this version; 0 is the plain space.")
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="List the versions.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Fit the geometry of similarity to the archive.

    Each fit is a version that can be restored.

    \b
    emotion-search tune
    emotion-search tune --list
    emotion-search tune --restore 0
    """
    from emotion_search.engine.commands.show.evaluation import print_spaces, print_tuning
    from emotion_search.index.vectors.space import Method

    fitted = [one for one in Method if one is not Method.PLAIN]
    chosen = None if method is None else choice("--method", method, fitted)
    with archive.open() as library:
        if restore is not None:
            library.restore_space(restore)
        elif not show:
            from emotion_search.engine.commands.show.progress import working

            with working("tune") as progress:
                result = library.tune(task=task, method=chosen, progress=progress)
            if not as_json:
                print_tuning(result)
                return
        spaces = library.spaces()
    print_found(spaces, as_json, vars, print_spaces, "the archive is empty: it has no space")


def _space(name: str, serving: Space, data: LabelledVectors) -> Space:
    from emotion_search.index.vectors.space import Method, fit_space

    return serving if name == "current" else fit_space(Method(name), data.vectors)
