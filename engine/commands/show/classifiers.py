"""Classifiers, what they did and what to label next, on a terminal and as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from emotion_search.engine.classify.apply import Classified
from emotion_search.engine.classify.suggest import Suggestion
from emotion_search.engine.classify.train import Trained
from emotion_search.engine.commands.show.hits import clock, tally
from emotion_search.engine.commands.show.tables import PlainTable
from emotion_search.engine.commands.words import counted
from emotion_search.engine.pages.classifier import calibration, what
from emotion_search.engine.pages.evaluation import interval
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
    table = PlainTable("", "UAR", "macro F1", "accuracy", "seconds", "")
    for one in it.compared:
        table.row(
            one.title,
            interval(one.measured.uar),
            interval(one.measured.f1),
            f"{one.measured.accuracy:.3f}",
            f"{one.seconds:.1f}",
            "<- taken" if one is it.best else "",
        )
    table.print()
    table = PlainTable("labelled", *(f"as {name}" for name in info.classes), "recall", "precision")
    for name, row, recall, precision in zip(
        info.classes, best.confusion, best.recall, best.precision, strict=True
    ):
        table.row(name, *map(str, row), f"{recall:.3f}", f"{precision:.3f}")
    table.print()
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
    table = PlainTable("clip", "file", "span", "would be", "why")
    for one in found:
        clip = one.clip
        value = "" if one.value is None else f"{one.value} {one.probability:.2f}"
        table.row(
            str(clip.id),
            clip.name,
            f"{clock(clip.start)}–{clock(clip.end)}",
            value,
            one.why,
        )
    table.print()
