"""Similarity matrix of files and clips as an HTML page, which needs no network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import plotly.graph_objects as go

from emotion_search.engine.library.compare import Comparison
from emotion_search.engine.pages.page import STRONG, laid_out, shown, table, write_page

_ROW = 22  # pixels
_WRITTEN = 20  # things up to which cells have their numbers in them


def write_matrix(found: Comparison, path: Path) -> None:
    """Write the page to ``path``, in place of what is there.

    Raises:
        InvalidInputError: it cannot be written.
    """
    write_page(path, f"{len(found.things)} files and clips compared", _body(found))


def _body(found: Comparison) -> Iterator[str]:
    names = [f"{number} {Path(one.name).name}" for number, one in enumerate(found.things, 1)]
    few = len(names) <= _WRITTEN
    known = found.percentiles
    cells = go.Heatmap(
        x=names,
        y=names,
        z=found.cosines,
        customdata=known,
        texttemplate="%{z:.2f}" if few else None,
        hovertemplate="%{y}<br>%{x}<br>cosine %{z:.4f}"
        + ("" if known is None else "<br>percentile %{customdata:.1f}")
        + "<extra></extra>",
        colorscale=[[0, "#ffffff"], [1, STRONG]],
    )
    figure = laid_out(go.Figure([cells]), 200 + _ROW * len(names))
    figure.update_xaxes(type="category", automargin=True, showticklabels=few)
    figure.update_yaxes(type="category", automargin=True, autorange="reversed")
    yield shown(figure)
    yield table(
        ("", "file", "emotion", "score"),
        [
            (
                number,
                one.name,
                one.emotion or "",
                "" if one.confidence is None else f"{one.confidence:.2f}",
            )
            for number, one in enumerate(found.things, 1)
        ],
    )
