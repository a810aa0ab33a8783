"""HTML report of an evaluation, which needs no network."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

import plotly.graph_objects as go

from emotion_search.engine.pages.page import (
    FAINT,
    INK,
    STRONG,
    confusion,
    error_bars,
    figure_html,
    table,
    write_page,
)
from emotion_search.engine.quality.evaluate import Evaluation
from emotion_search.engine.quality.retrieval import METRICS
from emotion_search.engine.quality.summary import Estimate

LEARNED = "the learned space that serves has seen such labels: all was measured in the plain space"
"""The note where a learned space serves."""


def write_report(evaluation: Evaluation, path: Path) -> None:
    """Write the page to ``path``, in place of what is there.

    Raises:
        InvalidInputError: it cannot be written.
    """
    title = f"Query by example with {evaluation.name}, {evaluation.space} space"
    write_page(path, title, _page(evaluation))


def _page(it: Evaluation) -> Iterator[str]:
    yield f"<p>{escape(_what(it))}</p>"
    if it.learned:
        yield f"<p>{LEARNED[0].upper()}{LEARNED[1:]}, but for the steps of the space.</p>"
    yield "<h2>Retrieval</h2>"
    yield table(
        ("", "over queries", "chance", "over classes", "chance"),
        [
            (
                name,
                interval(it.micro[name]),
                f"{it.chance[name]:.3f}",
                interval(it.macro[name]),
                f"{it.chance_macro[name]:.3f}",
            )
            for name in METRICS
        ],
    )
    yield figure_html(_bars(it), "Retrieval metrics beside chance")
    yield "<h2>By class</h2>"
    yield figure_html(_classes(it), "Mean average precision by class")
    if it.steps:
        yield "<h2>Steps of the space</h2><p>mAP on random halves of the speakers; each space was"
        yield " fitted to the other half.</p>"
        yield figure_html(_steps(it), "mAP by method of the space")
    for one in it.probes:
        yield f"<h2>{escape(one.name)} probe: UAR {one.uar:.3f} (chance {one.chance:.3f})</h2>"
        yield f"<p>Each clip was classified by one of {one.folds} classifiers, which had not"
        yield " trained on its speaker (its recording, where speakers are not known).</p>"
        yield figure_html(
            confusion(one.classes, one.confusion), f"Confusion of the {one.name} probe"
        )
    if it.calibration is not None:
        yield "<h2>What a percentile means</h2><p>Calibrated on half of the speakers, read on pairs"
        yield " of the other half. The first bar of each pair is what the percentile says.</p>"
        yield figure_html(_calibration(it), "Pairs above each percentile")
        yield figure_html(_lift(it), "Pairs with the same label among those above each percentile")


def _what(it: Evaluation) -> str:
    clips = ", ".join(f"{name} {count}" for name, count in it.clips.items())
    speakers = f" by {it.speakers} speakers" if it.speakers else ""
    left = {
        "speaker": "clips of other speakers",
        "recording": "clips of other recordings",
        "none": "all other clips",
    }[it.gallery]
    return (
        f"{sum(it.clips.values())} labelled clips{speakers} ({clips}). {it.queries} queries, each"
        f" against {left}; {it.unanswerable} more had nothing to find. Intervals are 95 %,"
        " bootstrapped over speakers or recordings."
    )


def interval(estimate: Estimate) -> str:
    """A mean with its interval, in text."""
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def _bars(it: Evaluation) -> go.Figure:
    values = [it.macro[name] for name in METRICS]
    names = list(METRICS)
    return go.Figure(
        [
            go.Bar(
                name="measured",
                x=names,
                y=[v.value for v in values],
                error_y=error_bars(values),
                marker_color=STRONG,
            ),
            go.Bar(
                name="chance",
                x=names,
                y=[it.chance_macro[name] for name in names],
                marker_color=FAINT,
            ),
        ]
    )


def _classes(it: Evaluation) -> go.Figure:
    names = list(it.by_class)
    values = [it.by_class[name]["mAP"] for name in names]
    return go.Figure([go.Bar(name="mAP", x=names, y=values, marker_color=STRONG)])


def _steps(it: Evaluation) -> go.Figure:
    names, values = list(it.steps), list(it.steps.values())
    text = [f"{value:.3f}" for value in values]
    return go.Figure([go.Bar(name="mAP", x=names, y=values, text=text, marker_color=STRONG)])


def _calibration(it: Evaluation) -> go.Figure:
    assert it.calibration is not None
    readings = it.calibration.readings
    names = [f"{one.percentile:g}" for one in readings]
    figure = go.Figure(
        [
            go.Bar(
                name="says", x=names, y=[100 - r.percentile for r in readings], marker_color=FAINT
            ),
            go.Bar(name="found", x=names, y=[r.share for r in readings], marker_color=STRONG),
        ]
    )
    figure.update_xaxes(title="percentile", type="category")
    figure.update_yaxes(title="% of pairs", type="log")
    return figure


def _lift(it: Evaluation) -> go.Figure:
    assert it.calibration is not None
    readings = it.calibration.readings
    figure = go.Figure(
        [
            go.Bar(
                name="same label",
                x=[f"{one.percentile:g}" for one in readings],
                y=[one.same for one in readings],
                marker_color=STRONG,
            )
        ]
    )
    figure.add_hline(it.calibration.same, line_color=INK, annotation_text="all pairs")
    figure.update_xaxes(title="percentile", type="category")
    figure.update_yaxes(title="share of pairs", range=[0, 1])
    return figure
