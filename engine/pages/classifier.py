"""HTML report of a trained classifier, which needs no network."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

import plotly.graph_objects as go

from emotion_search.engine.classify.train import Trained
from emotion_search.engine.pages import page
from emotion_search.engine.pages.evaluation import interval
from emotion_search.index.database.classifiers import ClassifierInfo

METHODS = ("", "UAR", "macro F1", "accuracy")


def write_report(trained: Trained, path: Path) -> None:
    """Write the page to ``path``, in place of what is there.

    Raises:
        InvalidInputError: it cannot be written.
    """
    info = trained.classifier
    page.write_page(path, f"Classifier {info.task} {info.version}: {info.method}", _body(trained))


def _body(it: Trained) -> Iterator[str]:
    info, measured = it.classifier, it.best.measured
    yield f"<p>{escape(what(it))}</p>"
    yield "<h2>Methods</h2>"
    yield page.table(METHODS, methods_of(it))
    yield "<p>Intervals are 95 %, bootstrapped over the groups that were left out. The"
    yield " best of several is flattered a little by having been chosen on the same clips.</p>"
    yield page.figure_html(_bars(it), "Unweighted average recall beside chance")
    counts = map(sum, measured.confusion)
    rates = [[f"{one:.3f}" for one in rate] for rate in (measured.recall, measured.precision)]
    yield "<h2>Classes</h2>"
    yield page.table(
        ("", "clips", "recall", "precision"), zip(info.classes, counts, *rates, strict=True)
    )
    yield page.figure_html(page.confusion(info.classes, measured.confusion), "Confusion")
    yield "<h2>Probabilities</h2>"
    yield f"<p>Calibration: {calibration(it)}. Each clip is judged by curves fitted without its"
    yield " group; the error is how far the probabilities are on average from the share that is"
    yield " right (expected calibration error).</p>"
    yield page.figure_html(page.reliability(it.checked.bins), "Reliability of the probabilities")


def methods_of(it: Trained) -> list[tuple[str, ...]]:
    """How each method did, a row each under ``METHODS``."""
    done = [(one.title, one.measured) for one in it.compared]
    return [(name, interval(m.uar), interval(m.f1), f"{m.accuracy:.3f}") for name, m in done]


def what(it: Trained) -> str:
    """What it was trained on and how it was judged, in words."""
    data = it.classifier.provenance["data"]
    classes = ", ".join(f"{name} {count}" for name, count in data["classes"].items())
    of = f" of {data['available']}" if data["available"] > data["clips"] else ""
    return (
        f"{data['clips']}{of} labelled clips ({classes}) in {data['groups']} groups by"
        f" {it.examples.by}."
        f" Each clip was judged by the one of {it.folds} classifiers that did not train on its"
        " group."
        f" Embeddings of {it.classifier.model} in space {it.classifier.space_version}."
        + left_out(it.classifier)
    )


def left_out(info: ClassifierInfo) -> str:
    """Which classes were not learned, how many clips they have and why, as a sentence; empty
    where there are none."""
    found = info.provenance["data"]["left_out"].items()
    classes = ", ".join(f"{name} ({one['clips']}: {one['why']})" for name, one in found)
    return f" Left out: {classes}." if classes else ""


def calibration(it: Trained) -> str:
    """The kind that was taken, and how each did, in words."""
    tried = ", ".join(
        f"{kind} {measured.loss:.3f} (error {measured.error:.3f})"
        for kind, measured in it.checked.kinds.items()
    )
    return f"{it.checked.kind}, of least log loss on clips left out: {tried}"


def _bars(it: Trained) -> go.Figure:
    values = [one.measured.uar for one in it.compared]
    figure = go.Figure(
        [
            go.Bar(
                x=[one.name for one in it.compared],
                y=[v.value for v in values],
                error_y=page.error_bars(values),
                marker_color=[page.STRONG if one is it.best else page.FAINT for one in it.compared],
            )
        ]
    )
    chance = 1 / len(it.classifier.classes)
    figure.add_hline(chance, line_color=page.INK, annotation_text="chance")
    figure.update_yaxes(range=[0, 1])
    return figure
