"""What pages share: one HTML file with its plots, which asks no network for anything."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from index.errors import InvalidInputError

INK, FAINT, STRONG = "#1f2933", "#b8c4ce", "#2a6f97"

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1f2933; max-width: 60rem;
       margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem; text-align: right; }
td:first-child, th:first-child { text-align: left; } tr { border-bottom: 1px solid #e4e7eb; }
p { max-width: 45rem; }
"""


def write_page(path: Path, title: str, body: Iterable[str], *, style: str = STYLE) -> None:
    """Write a page of this title and body (HTML) to ``path``, in place of what is there.

    Raises:
        InvalidInputError: it cannot be written.
    """
    head = (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f"<title>{escape(title)}</title><style>{style}</style>"
        f"<script>{get_plotlyjs()}</script></head><body>"
    )
    try:
        path.write_text("\n".join([head, *body, "</body></html>"]), encoding="utf-8")
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be written: {error.strerror}") from error


def figure_html(figure: go.Figure, title: str) -> str:
    """A figure as part of a page."""
    figure.update_layout(
        title=title,
        template="plotly_white",
        height=340,
        margin={"l": 60, "r": 20, "t": 50, "b": 50},
        font={"color": INK},
    )
    return str(figure.to_html(full_html=False, include_plotlyjs=False))


def confusion(classes: tuple[str, ...], counts: tuple[tuple[int, ...], ...]) -> go.Figure:
    """A confusion matrix: counts by true class (rows) and class given (columns), shaded by the
    share of the row."""
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
