"""Trends as an HTML page or a PNG."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from emotion_search.engine.emotions import PLAIN, UNCERTAIN
from emotion_search.engine.pages.page import FAINT, INK, laid_out, shown, table, write_page
from emotion_search.engine.trends.archive import ArchiveTrend, Share
from emotion_search.engine.trends.curve import Trend
from emotion_search.engine.trends.recording import RecordingTrend
from emotion_search.index.database.emotion_names import common

_COLOURS = {
    "angry": "#d1495b",
    "happy": "#edae49",
    "sad": "#30638e",
    "fearful": "#6a4c93",
    "surprised": "#f4845f",
    "disgusted": "#5b8e3e",
    "neutral": "#c3cdd6",
    "calm": "#9bc4bc",
    "bored": "#8d8741",
    "other": "#e4e7eb",
    "unknown": "#f1f3f5",
    UNCERTAIN: "#b8b8b8",
}
_LINES = {"neutral": "#7b8794", "other": "#a6a29a", "unknown": "#c7c3bb"}  # else too faint
_SPARE = ("#00798c", "#a26769", "#457b9d", "#bc6c25", "#606c38", "#9d4edd")
_PER_CHANNEL = 470  # pixels


def write_recording(trend: RecordingTrend, path: Path) -> None:
    """Write the page of a recording's trend to ``path``.

    Raises:
        InvalidInputError: it cannot be written.
    """
    write_page(path, f"Emotion in {trend.name}", _recording_page(trend))


def write_archive(trend: ArchiveTrend, path: Path) -> None:
    """Write the page of an archive's trend to ``path``.

    Raises:
        InvalidInputError: it cannot be written.
    """
    title = f"Share of emotions by {trend.by}"
    write_page(path, title, [shown(archive_figure(trend)), *_archive_tables(trend)])


def recording_figure(trend: RecordingTrend) -> go.Figure:
    """Of each channel the smoothed scores, stacked, over the two summaries."""
    titles = []
    for one in trend.channels:
        channel = f"{one.heading}: " if one.heading else ""
        titles += [f"{channel}smoothed scores, turning points", "valence and arousal"]
    figure = make_subplots(
        rows=2 * len(trend.channels),
        cols=1,
        shared_xaxes=True,
        row_heights=[0.66, 0.34] * len(trend.channels),
        vertical_spacing=0.09 / len(trend.channels),
        subplot_titles=titles,
    )
    for number, one in enumerate(trend.channels):
        _channel_rows(figure, one, 2 * number + 1)
    laid_out(figure, 90 + _PER_CHANNEL * len(trend.channels), hovermode="x unified")
    figure.update_xaxes(title="seconds", row=2 * len(trend.channels), col=1)
    return figure


def _channel_rows(figure: go.Figure, one: Trend, row: int) -> None:
    first = row == 1
    order = sorted(
        range(len(one.classes)), key=lambda i: (common(one.classes[i]) in PLAIN, one.classes[i])
    )
    for i in order:
        name = one.classes[i]
        curve = go.Scatter(
            x=one.times,
            y=np.nan_to_num(one.scores[:, i]),
            name=name,
            legendgroup=name,
            showlegend=first,
            stackgroup="scores",
            mode="lines",
            line={"width": 0, "color": colour(name, i)},
            fillcolor=colour(name, i),
            hovertemplate="%{y:.2f}",
        )
        figure.add_trace(curve, row=row, col=1)
    for x in (turn.time for turn in one.turns):
        line = {"color": INK, "width": 2}
        figure.add_shape(type="line", x0=x, x1=x, y0=0, y1=1, line=line, row=row, col=1)
    figure.update_yaxes(range=[0, 1], tickvals=[0, 0.5, 1], row=row, col=1)
    for values, name, dash in ((one.valence, "valence", "solid"), (one.arousal, "arousal", "dot")):
        line = {"color": INK, "width": 1.5, "dash": dash}
        summary = go.Scatter(
            x=one.times,
            y=[None if np.isnan(v) else float(v) for v in values],
            name=name,
            legendgroup=name,
            showlegend=first,
            mode="lines",
            line=line,
            hovertemplate="%{y:.2f}",
        )
        figure.add_trace(summary, row=row + 1, col=1)
    figure.add_hline(0, line={"color": FAINT, "width": 1}, row=row + 1, col=1)
    figure.update_yaxes(range=[-1, 1], row=row + 1, col=1)


def archive_figure(trend: ArchiveTrend) -> go.Figure:
    """A line of each emotion with its interval as a band."""
    figure = go.Figure()
    moments = [bucket.start for bucket in trend.buckets]
    for i, name in enumerate((*trend.classes, UNCERTAIN)):
        shares = [bucket.emotions.get(name, bucket.uncertain) for bucket in trend.buckets]
        if max((one.share for one in shares), default=0.0) < 0.005:
            continue
        figure.add_trace(
            go.Scatter(
                x=[*moments, *moments[::-1]],
                y=[*(one.high for one in shares), *(one.low for one in reversed(shares))],
                fill="toself",
                fillcolor=_LINES.get(common(name), colour(name, i)),
                opacity=0.18,
                line={"width": 0},
                hoverinfo="skip",
                legendgroup=name,
                showlegend=False,
            )
        )
        figure.add_trace(
            go.Scatter(
                x=moments,
                y=[one.share for one in shares],
                name=name,
                legendgroup=name,
                mode="lines+markers",
                line={
                    "color": _LINES.get(common(name), colour(name, i)),
                    "dash": "dot" if name == UNCERTAIN else "solid",
                },
                hovertemplate="%{y:.3f}",
            )
        )
    for alert in trend.alerts:
        figure.add_hline(alert.threshold, line={"color": INK, "dash": "dot", "width": 1})
    laid_out(figure, 460, hovermode="x unified")
    figure.update_yaxes(title="share of time", rangemode="tozero")
    return figure


def colour(name: str, number: int) -> str:
    """The colour of a class, the same in every picture."""
    return _COLOURS.get(common(name), _SPARE[number % len(_SPARE)])


def _recording_page(trend: RecordingTrend) -> Iterator[str]:
    yield (
        f"<p>Recording {trend.recording}, {trend.duration:.1f} s, scores of {escape(trend.model)}"
        f" smoothed over {trend.options.smooth:g} s. Vertical lines are turning points: there"
        " the mean changes by more than the noise among neighbouring clips explains."
        " Valence and arousal are derived from the scores, no measurements.</p>"
    )
    yield shown(recording_figure(trend))
    for one in trend.channels:
        if one.channel is not None:
            yield f"<h2>{escape(one.heading)}</h2>"
        yield "<h2>Turning points</h2>"
        rows = [
            (
                f"{turn.time:.1f} s",
                f"{turn.rises} +{turn.rise:.2f}",
                f"{turn.falls} -{turn.fall:.2f}",
            )
            for turn in one.turns
        ]
        yield table(("time", "rises", "falls"), rows) if rows else "<p>None.</p>"
        yield "<h2>Peaks</h2>"
        peaks = [(p.emotion, f"{p.time:.1f} s", f"{p.score:.2f}") for p in one.peaks]
        yield table(("emotion", "time", "score"), peaks) if peaks else "<p>None.</p>"
        yield f"<h2>Share of {one.spoken:.1f} s of speech</h2>"
        shares = sorted(one.share.items(), key=lambda pair: -pair[1])
        rows = [(name, f"{100 * share:.1f} %", f"{one.mean[name]:.3f}") for name, share in shares]
        below = f"{UNCERTAIN} (top score below {trend.min_confidence:g})"
        rows.append((below, f"{100 * one.uncertain:.1f} %", ""))
        yield table(("emotion", "top for", "mean score"), rows)


def _archive_tables(trend: ArchiveTrend) -> Iterator[str]:
    yield f"<p>{escape(trend.method)}</p>"
    if trend.alerts:
        yield "<h2>Alerts</h2>"
        rows = [
            (bucket.key, alert.text, _with_interval(bucket.share_of(alert.emotion)))
            for alert in trend.alerts
            for bucket in trend.raised(alert)
        ]
        yield table((trend.by, "alert", "share"), rows) if rows else "<p>None.</p>"
    periods = [
        (
            bucket.key,
            str(bucket.recordings),
            f"{bucket.seconds / 60:.1f} min",
            *(_with_interval(one) for one in (*bucket.emotions.values(), bucket.uncertain)),
        )
        for bucket in trend.buckets
    ]
    yield "<h2>Shares with 95 % intervals</h2>"
    yield table((trend.by, "recordings", "speech", *trend.classes, UNCERTAIN), periods)


def _with_interval(one: Share) -> str:
    return f"{one.share:.3f} [{one.low:.3f}, {one.high:.3f}]"
