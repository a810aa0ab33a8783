"""HTML report of an evaluation, which needs no network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

import plotly.graph_objects as go

from emotion_search.engine.pages import page
from emotion_search.engine.quality.calibration import CalibrationCheck
from emotion_search.engine.quality.evaluate import Evaluation, Retrieval
from emotion_search.engine.quality.retrieval import METRICS
from emotion_search.engine.quality.scores import ClassScores
from emotion_search.engine.quality.summary import Estimate

LEARNED = "the learned space that serves has seen such labels: all was measured without them"
"""The note where a learned space serves."""

RETRIEVAL = ("", "over queries", "chance", "over classes", "chance")
TRIPLETS = ("distractor shares", "right", "chance", "anchors", "triplets")
"""Heads of tables."""

GALLERIES = {"recording": "with the speaker kept in", "source": "among other sources"}
"""Galleries beside the first, in words."""


def write_report(evaluation: Evaluation, path: Path) -> None:
    """Write the page to ``path``, in place of what is there.

    Raises:
        InvalidInputError: it cannot be written.
    """
    title = f"Query by example with {evaluation.name}, {evaluation.space} space"
    page.write_page(path, title, _page(evaluation))


def _page(it: Evaluation) -> Iterator[str]:
    yield f"<p>{escape(_what(it))}</p>"
    if it.learned:
        yield f"<p>{LEARNED[0].upper()}{LEARNED[1:]}, but for the steps of the space and the"
        yield " percentiles.</p>"
    yield "<h2>Retrieval</h2>"
    yield page.table(RETRIEVAL, retrieval(it))
    measured = {name: estimate.value for name, estimate in it.macro.items()}
    figure = _bars({"measured": measured, "chance": it.chance_macro})
    figure.data[0].error_y = page.error_bars([*it.macro.values()])
    yield page.figure_html(figure, "Retrieval metrics beside chance, over classes")
    for other in it.galleries:
        yield f"<h2>Retrieval {GALLERIES[other.gallery]}</h2><p>{_asked(other)}</p>"
        yield page.table(RETRIEVAL, retrieval(other))
    yield "<h2>By class</h2>"
    classes = {name: values["mAP"] for name, values in it.by_class.items()}
    yield page.figure_html(_bars({"mAP": classes}), "Mean average precision by class")
    yield from _confounds(it)
    if it.scores is not None:
        yield from _scores(it.scores)
    if it.ranks:
        yield "<h2>Labels that are numbers</h2><p>Spearman's rank correlation with valence,"
        yield " arousal and dominance.</p>"
        yield page.table(("", "rho"), [(name, interval(rho)) for name, rho in it.ranks.items()])
    if it.steps:
        yield f"<h2>Steps of the space</h2><p>mAP on random halves of the {it.by}; each space was"
        yield " fitted to the other half.</p>"
        yield page.figure_html(_bars({"mAP": it.steps}, text=True), "mAP by method of the space")
    for one in it.probes:
        yield f"<h2>{escape(one.name)} probe: UAR {one.uar:.3f} (chance {one.chance:.3f})</h2>"
        yield f"<p>Each clip was classified by one of {one.folds} classifiers, which had not"
        yield " trained on its speaker (its recording, where speakers are not known).</p>"
        yield page.figure_html(
            page.confusion(one.classes, one.confusion), f"Confusion of the {one.name} probe"
        )
    if it.calibration is not None:
        yield f"<h2>What a percentile means</h2><p>Calibrated on half of the {it.by}, read on pairs"
        yield " of their clips with those by the other half, over several halves (mean and standard"
        yield " deviation), beside what the percentile says.</p>"
        yield page.figure_html(_calibration(it.calibration), "Pairs above each percentile")
        yield page.figure_html(
            _lift(it.calibration), "Pairs with the same label among those above each percentile"
        )


def retrieval(it: Retrieval) -> list[tuple[str, ...]]:
    """Each metric beside chance, a row each under ``RETRIEVAL``."""
    chances = [(f"{it.chance[name]:.3f}", f"{it.chance_macro[name]:.3f}") for name in METRICS]
    return [
        (name, interval(it.micro[name]), micro, interval(it.macro[name]), macro)
        for name, (micro, macro) in zip(METRICS, chances, strict=True)
    ]


def triplets(it: Evaluation) -> list[tuple[str, ...]]:
    """How often triplets of each kind are right, a row each under ``TRIPLETS``."""
    return [
        (shared(kind), interval(one.right), "0.500", f"{one.anchors:,}", f"{one.triplets:,}")
        for kind, one in it.triplets.items()
    ]


def _confounds(it: Evaluation) -> Iterator[str]:
    if it.triplets or it.left_out:
        yield "<h2>Triplets with confounds</h2><p>An anchor, a clip of its label by somebody else"
        yield " saying something else (as far as that is known), and a distractor of another"
        yield " label, which shares with the anchor what is named: how often the first is"
        yield " nearer.</p>"
        yield page.table(TRIPLETS, triplets(it))
        rows = [f"<li>{escape(shared(k))}: {escape(why)}</li>" for k, why in it.left_out.items()]
        yield f"<p>Left out:</p><ul>{''.join(rows)}</ul>" if rows else ""
    if it.triplets:
        right = {shared(kind): one.right.value for kind, one in it.triplets.items()}
        figure = _bars({"right": right})
        figure.data[0].error_y = page.error_bars([one.right for one in it.triplets.values()])
        figure.add_hline(0.5, line_color=page.INK, annotation_text="chance")
        figure.update_yaxes(range=[0, 1])
        yield page.figure_html(figure, "Triplets that are right")
    if it.nearest:
        yield "<h2>Whose the nearest are</h2><p>Of the ten nearest among all other clips, the share"
        yield " that is of the query's own; of ten in random order, chance.</p>"
        shares = {f"own {name}": one.share for name, one in it.nearest.items()}
        chance = {f"own {name}": one.chance for name, one in it.nearest.items()}
        figure = _bars({"measured": shares, "chance": chance})
        figure.update_traces(texttemplate="%{y:.3f}").update_yaxes(range=[0, 1.02])
        yield page.figure_html(figure, "Share of the ten nearest")


def _scores(it: ClassScores) -> Iterator[str]:
    yield "<h2>The model's own class scores</h2>"
    yield f"<p>{it.clips} clips. {escape(lost(it))}</p>"
    yield page.table(
        ("highest score among", "UAR", "chance"),
        [
            ("all classes", interval(it.uar), f"{it.chance:.3f}"),
            ("classes that are labels", interval(it.uar_own), f"{it.chance_own:.3f}"),
        ],
    )
    yield page.figure_html(
        _bars({"of labels": it.labelled, "predicted": it.given}), "Shares of classes"
    )
    yield page.figure_html(page.confusion(it.classes, it.confusion), "Confusion")
    yield f"<p>Expected calibration error {it.error:.3f}, in bins a tenth wide.</p>"
    yield page.table(
        ("score", "clips", "mean score", "share right"),
        [
            (
                f"{low:.1f}–{low + 0.1:.1f}",
                one.clips,
                f"{one.confidence:.3f}",
                f"{one.accuracy:.3f}",
            )
            for one in it.bins
            for low in [min(9, int(one.confidence * 10)) / 10]
        ],
    )
    yield page.figure_html(page.reliability(it.bins), "Reliability of the scores")


def _what(it: Evaluation) -> str:
    clips = ", ".join(f"{name} {count}" for name, count in it.clips.items())
    speakers = f" by {it.speakers} speakers" if it.speakers else ""
    return (
        f"{sum(it.clips.values())} labelled clips{speakers} ({clips}). {_asked(it)} Intervals are"
        " 95 %, bootstrapped over speakers or recordings."
    )


def _asked(it: Retrieval) -> str:
    return (
        f"{it.queries} queries, each against {others(it.gallery)};"
        f" {it.unanswerable} more had nothing to find."
    )


def others(gallery: str) -> str:
    """What a gallery holds, in words."""
    return "all other clips" if gallery == "none" else f"clips of other {gallery}s"


def shared(kind: str) -> str:
    """What the distractor of a kind of triplets shares with the anchor, in words."""
    return "speaker and sentence" if kind == "both" else kind


def lost(it: ClassScores) -> str:
    """Which clips the class scores were not compared with, and why; empty where with all."""
    found = [f"{name} {n} (no class of the model)" for name, n in it.unmatched.items()]
    if it.unscored:
        found.append(f"{it.unscored} without scores")
    return f"left out: {', '.join(found)}" if found else ""


def interval(estimate: Estimate) -> str:
    """A mean with its interval, in text."""
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def _bars(series: Mapping[str, Mapping[str, float]], *, text: bool = False) -> go.Figure:
    """Bars of values by name, of one or two series."""
    colours = (page.STRONG, page.FAINT)
    return go.Figure(
        [
            go.Bar(
                name=name,
                x=[escape(one) for one in values],
                y=[*values.values()],
                text=[f"{value:.3f}" for value in values.values()] if text else None,
                marker_color=colour,
            )
            for (name, values), colour in zip(series.items(), colours, strict=False)
        ]
    )


def _calibration(it: CalibrationCheck) -> go.Figure:
    names = [f"{one.percentile:g}" for one in it.readings]
    shares = [one.share for one in it.readings]
    figure = _bars(
        {
            "found": dict(zip(names, shares, strict=True)),
            "says": {f"{one.percentile:g}": 100 - one.percentile for one in it.readings},
        }
    )
    figure.data[0].error_y = {"type": "data", "array": [one.deviation for one in it.readings]}
    figure.update_xaxes(title="percentile", type="category")
    figure.update_yaxes(title="% of pairs", type="log")
    return figure


def _lift(it: CalibrationCheck) -> go.Figure:
    same = {f"{one.percentile:g}": one.same for one in it.readings if one.same is not None}
    figure = _bars({"same label": same})
    figure.add_hline(it.same, line_color=page.INK, annotation_text="all pairs")
    figure.update_xaxes(title="percentile", type="category")
    figure.update_yaxes(title="share of pairs", range=[0, 1])
    return figure
