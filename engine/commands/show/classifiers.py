"""Classifiers, what they did and what to label next, on a terminal and as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from emotion_search.engine.classify.apply import Classified
from emotion_search.engine.classify.suggest import Suggestion
from emotion_search.engine.classify.train import Trained
from emotion_search.engine.commands.show.hits import clock, tally
from emotion_search.engine.commands.show.tables import PlainTable, print_table
from emotion_search.engine.commands.words import counted
from emotion_search.engine.pages.classifier import METHODS, calibration, methods_of, what
from emotion_search.engine.transfer.records import clip_record
from emotion_search.index.database.classifiers import ClassifierInfo


def suggestion_record(one: Suggestion) -> dict[str, Any]:
    """A suggestion as plain data."""
    return {
        "value": one.value,
        "probability": None if one.probability is None else round(one.probability, 6),
        "uncertainty": None if one.uncertainty is None else round(one.uncertainty, 6),
        "why": one.why,
        **clip_record(one.clip),
    }


def print_trained(it: Trained) -> None:
    """What came of training, on stdout."""
    info, best = it.classifier, it.best.measured
    print(what(it))
    methods = [
        (*row, f"{one.seconds:.1f}", "<- taken" if one is it.best else "")
        for row, one in zip(methods_of(it), it.compared, strict=True)
    ]
    print_table((*METHODS, "seconds", ""), methods)
    by_class = zip(info.classes, best.confusion, best.recall, best.precision, strict=True)
    print_table(
        ("labelled", *(f"as {name}" for name in info.classes), "recall", "precision"),
        [(name, *row, f"{recall:.3f}", f"{right:.3f}") for name, row, recall, right in by_class],
    )
    print(f"calibration: {calibration(it)}")
    print(f"classifier {info.task} {info.version} is stored", end="")
    print(f"; use it with: emotion-search classify --task {info.task}")


def print_classified(it: Classified, *, dry_run: bool) -> None:
    """What a run of classifying did, on stdout."""
    name = f"{it.classifier.task} {it.classifier.version}"
    if dry_run:
        print(f"{counted(it.done, 'clip')} would be classified by {name}")
        return
    print(f"{counted(it.done, 'clip')} classified by {name}; in all: {tally(it.counts)}")


def print_classifiers(found: Sequence[ClassifierInfo]) -> None:
    """Classifiers as a table on stdout."""
    table = PlainTable("task", "version", "method", "UAR")
    table.column("clips", spare=True)
    for name in ("model", "predictions", "trained at"):
        table.column(name)
    for one in found:
        uar = one.provenance["metrics"]["uar"]["value"]
        table.row(
            one.task,
            str(one.version),
            one.method,
            f"{uar:.3f}",
            str(one.provenance["data"]["clips"]),
            one.model,
            str(one.predictions),
            f"{one.created_at:%Y-%m-%d %H:%M}",
        )
    table.print()


def print_suggestions(found: Sequence[Suggestion]) -> None:
    """Suggestions as a table on stdout."""
    rows = [
        (
            one.clip.id,
            one.clip.name,
            f"{clock(one.clip.start)}–{clock(one.clip.end)}",
            one.value and f"{one.value} {one.probability:.2f}",
            one.why,
        )
        for one in found
    ]
    print_table(("clip", "file", "span", "would be", "why"), rows)
