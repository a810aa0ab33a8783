"""HTML pages with plots that need no network, and pictures of plots."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from emotion_search.engine.files.atomic import put
from emotion_search.index.errors import ConflictError, EmotionSearchError, UnusableError, reason

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from emotion_search.engine.quality.measure import Bin
    from emotion_search.engine.quality.summary import Estimate

INK, FAINT, STRONG = "#1f2933", "#b8c4ce", "#2a6f97"

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1f2933; max-width: 60rem;
       margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem; text-align: right; }
td:first-child, th:first-child { text-align: left; } tr { border-bottom: 1px solid #e4e7eb; }
p { max-width: 45rem; }
@media (prefers-color-scheme: dark) {
  body { background: #1f1f1f; color: #e4e7eb; } tr { border-color: #3e4c59; }
  .plotly-graph-div { filter: invert(.88) hue-rotate(180deg); }
}
"""


def check_target(path: Path | None, *, overwrite: bool) -> None:
    """Refuse a path that nothing is to be written to, before anything is done for it; None and -,
    stdout, are fine.

    Raises:
        ConflictError: a file is there, and is not to be written over.
        UnusableError: its folder is not there or may not be written to, or it is a folder.
    """
    if path is None or str(path) == "-":
        return
    folder = path.absolute().parent
    if not folder.is_dir():
        raise UnusableError(f"{path} cannot be written: there is no folder {folder}")
    if path.is_dir():
        raise UnusableError(f"{path} cannot be written: it is a folder")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise UnusableError(f"{path} cannot be written: read-only, or no permission")
    if path.is_file() and not overwrite:
        raise ConflictError(f"{path} is there already: name another, or say --overwrite")


def write_page(path: Path, title: str, parts: Iterable[str], *, style: str = STYLE) -> None:
    """Write a page of HTML ``parts`` to ``path``, in place of what is there.

    Raises:
        UnusableError: it cannot be written.
    """
    from plotly.offline import get_plotlyjs

    head = (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f"<title>{escape(title)}</title><style>{style}</style>"
        f"<script>{get_plotlyjs()}</script></head><body>"
    )
    page = "\n".join([head, f"<h1>{escape(title)}</h1>", *parts, "</body></html>"])
    try:
        if path.exists() and not path.is_file():  # /dev/stdout, say
            path.write_text(page, encoding="utf-8")
        else:
            put(path.resolve(), page)
    except OSError as error:
        raise UnusableError(f"{path} cannot be written: {error.strerror}") from error


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """An HTML table."""
    cells = [f"<tr>{''.join(f'<th>{escape(name)}</th>' for name in head)}</tr>"]
    cells += [f"<tr>{''.join(f'<td>{escape(str(c))}</td>' for c in row)}</tr>" for row in rows]
    return f"<table>{''.join(cells)}</table>"


def laid_out(figure: go.Figure, height: int, **layout: object) -> go.Figure:
    """The figure in the look of all plots, so many pixels high."""
    return figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 60, "r": 20, "t": 50, "b": 50},
        font={"color": INK},
        **layout,
    )


def shown(figure: go.Figure) -> str:
    """A plot as part of a page."""
    return str(figure.to_html(full_html=False, include_plotlyjs=False))


def require_png() -> None:
    """Refuse to write pictures where what draws them, besides a browser, is not there.

    Raises:
        EmotionSearchError: kaleido, which plotly uses, is not installed.
    """
    if find_spec("kaleido") is None:
        raise EmotionSearchError(
            "a PNG needs kaleido and a Chrome or Chromium: pip install 'emotion-search[png]', and"
            " for example apt-get install chromium; --html needs neither"
        )


def write_png(figure: go.Figure, path: Path) -> None:
    """Write a plot as a picture, twice as fine as a page shows it.

    Raises:
        EmotionSearchError: there is no browser.
        UnusableError: it cannot be written.
    """
    check_target(path, overwrite=True)
    try:
        picture = figure.to_image(format="png", width=960, scale=2)
    except (RuntimeError, OSError, ValueError) as error:
        raise EmotionSearchError(
            f"the browser that draws a PNG does not work here ({reason(error)}); install Chrome or"
            " Chromium, or use --html"
        ) from error
    path.write_bytes(picture)


def error_bars(estimates: Sequence[Estimate]) -> dict[str, object]:
    """The intervals of estimates, as bars around their values."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [0 if one.high is None else one.high - one.value for one in estimates],
        "arrayminus": [0 if one.low is None else one.value - one.low for one in estimates],
    }


def figure_html(figure: go.Figure, title: str) -> str:
    """A figure as part of a page."""
    return shown(laid_out(figure, 340, title=title))


def confusion(classes: tuple[str, ...], counts: tuple[tuple[int, ...], ...]) -> go.Figure:
    """A confusion matrix: counts by true class (rows) and class given (columns), shaded by the
    share of the row."""
    import plotly.graph_objects as go

    names = [escape(name) for name in classes]
    shares = [[n / max(1, sum(row)) for n in row] for row in counts]
    figure = go.Figure(
        [
            go.Heatmap(
                x=names,
                y=names,
                z=shares,
                text=[list(row) for row in counts],
                texttemplate="%{text}",
                colorscale=[[0, "#ffffff"], [1, STRONG]],
                zmin=0,
                zmax=1,
                showscale=False,
            )
        ]
    )
    figure.update_xaxes(title="classified as", type="category")
    figure.update_yaxes(title="labelled", autorange="reversed", type="category")
    return figure


def reliability(bins: Sequence[Bin]) -> go.Figure:
    """Reliability diagram: probability against share that is right, and the diagonal."""
    import plotly.graph_objects as go

    figure = go.Figure(
        [
            go.Scatter(x=[0, 1], y=[0, 1], mode="lines", line_color=FAINT, name="perfect"),
            go.Scatter(
                x=[one.confidence for one in bins],
                y=[one.accuracy for one in bins],
                text=[f"{one.clips} clips" for one in bins],
                mode="lines+markers",
                line_color=STRONG,
                name="measured",
            ),
        ]
    )
    figure.update_xaxes(title="probability of the value given", range=[0, 1.02])
    figure.update_yaxes(title="share that was right", range=[0, 1.05])
    return figure
