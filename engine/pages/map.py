"""A map of clips as one HTML page that plays them, or as a PNG."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping
from html import escape
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import numpy as np
import plotly.graph_objects as go
import soundfile
import soxr

from emotion_search.engine.audio.file import Samples
from emotion_search.engine.clusters.project import Map
from emotion_search.engine.machine.progress import Progress, unwatched
from emotion_search.engine.pages.page import STYLE, laid_out, shown, write_page
from emotion_search.index.database.clip_columns import Attribute
from emotion_search.index.database.clips import ClipDetails
from emotion_search.index.database.column_rows import ABSENT
from emotion_search.index.errors import EmotionSearchError, InvalidInputError, UnusableError

COLOURS = ("emotion", "label", "predicted", "source", "speaker", "cluster")
"""What points can be coloured by."""

PALETTE = (
    *("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5"),
    *("#9c6b4e", "#7a8087", "#1b9e77", "#d95f02", "#7570b3", "#e7298a", "#66a61e", "#e6ab02"),
    *("#a6761d", "#8c2d04", "#084594"),
)
_OTHER, _NONE = "#c9cfd6", "#dfe3e8"

MOST_EMBEDDED = 2000
"""Most clips whose audio a page can hold."""

_LONGEST = 10.0  # seconds of a clip that are put into a page
_RATE = 16_000

_MAP_STYLE = (
    STYLE
    + """
body { max-width: 76rem; }
#shown { min-height: 3.2rem; display: flex; gap: 1rem; align-items: center; }
#shown audio { flex: none; width: 18rem; } #about { white-space: pre-line; }
"""
)

_SCRIPT = """
const plot = document.querySelector('.plotly-graph-div');
const player = document.getElementById('player'), about = document.getElementById('about');
function show(event) {
  const clip = clips[event.points[0].customdata];
  if (!clip) return;
  about.textContent = clip.about;
  if (clip.audio && player.dataset.clip !== String(event.points[0].customdata)) {
    player.dataset.clip = event.points[0].customdata;
    player.src = clip.audio;
  }
  if (clip.audio) player.play().catch(() => {
    about.textContent = clip.about + '\\n(click once on the page to let it play)';
  });
}
plot.on('plotly_hover', show);
plot.on('plotly_click', show);
plot.on('plotly_unhover', () => player.pause());
"""


def coloured(made: Map, by: str) -> Attribute:
    """What points are coloured by.

    Raises:
        InvalidInputError: there is nothing of this kind.
    """
    if by == "cluster":
        if made.cluster is None:
            raise InvalidInputError("colours by cluster need the name of a clustering")
        return made.cluster
    if by not in COLOURS:
        raise InvalidInputError(f"colour {by}: choose {', '.join(COLOURS)}")
    found: Attribute = getattr(made.known, by)
    return found


def layers(by: Attribute) -> list[tuple[str, str, np.ndarray]]:
    """Name, colour and rows of each value, the most frequent first; the rarest of many together
    as *other*, and what is not known at last."""
    counts = np.bincount(by.codes[by.codes != ABSENT], minlength=len(by.names))
    order = np.argsort(-counts, kind="stable")
    if len(order) > len(PALETTE):
        shown, rest = order[: len(PALETTE)], order[len(PALETTE) :]
    else:
        shown, rest = order, order[:0]
    found = [
        (by.names[code], PALETTE[i], np.flatnonzero(by.codes == code))
        for i, code in enumerate(shown)
    ]
    if len(rest):
        found.append((f"{len(rest)} others", _OTHER, np.flatnonzero(np.isin(by.codes, rest))))
    unknown = np.flatnonzero(by.codes == ABSENT)
    if len(unknown):
        found.append(("(none)", _NONE, unknown))
    return [(name, colour, rows) for name, colour, rows in found if len(rows)]


def write_map(
    made: Map,
    path: Path,
    *,
    by: str,
    details: Mapping[int, ClipDetails],
    sound: Callable[[ClipDetails], str | None],
) -> None:
    """Write the map as a page that describes the clip under the pointer and plays it.

    Args:
        by: what points are coloured by.
        details: of the map's clips, by id; what has none, because it was forgotten since the map
            was made, is no point of the page.
        sound: URL of a clip's audio; None for silence.

    Raises:
        InvalidInputError: it cannot be written, or nothing is known to colour by.
    """
    known = coloured(made, by)
    figure = go.Figure()
    there = [details.get(clip) for clip in made.ids.tolist()]
    for name, colour, every in layers(known):
        drawn = [(row, clip) for row in every.tolist() if (clip := there[row]) is not None]
        if not drawn:
            continue
        rows = [row for row, _ in drawn]
        figure.add_trace(
            go.Scattergl(
                x=made.xy[rows, 0].tolist(),
                y=made.xy[rows, 1].tolist(),
                customdata=rows,
                mode="markers",
                name=escape(name),
                marker={"size": 6, "color": colour, "opacity": 0.8},
                text=[escape(_short(clip)) for _, clip in drawn],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    legend = {"title": {"text": escape(by)}, "itemsizing": "constant"}
    laid_out(figure, 640, legend=legend, hovermode="closest")
    first, second = axes(made)
    figure.update_xaxes(title=first, zeroline=False)
    figure.update_yaxes(title=second, zeroline=False)
    clips = [clip and {"about": _about(clip), "audio": sound(clip)} for clip in there]
    # "<" never stands bare in a script, so that no file's name can end it.
    data = json.dumps(clips, ensure_ascii=True).replace("<", "\\u003c")
    write_page(
        path,
        f"Map of {len(made.ids)} clips by {by}",
        [
            f"<p>{escape(about(made))}</p>",
            "<div id='shown'><audio id='player' controls preload='none'></audio>",
            "<span id='about'>Point at a clip to hear it.</span></div>",
            shown(figure),
            f"<script>const clips = {data};\n{_SCRIPT}</script>",
        ],
        style=_MAP_STYLE,
    )


def about(made: Map) -> str:
    """How the map was made, in words."""
    drawn = f", drawn at random from {made.clips}" if made.clips > len(made.ids) else ""
    if made.explained is None:
        how = "UMAP by cosine: neighbours are alike, distances between groups mean little"
    else:
        how = f"the two axes explain {sum(made.explained):.0%} of the variance (PCA)"
    return f"{len(made.ids)} clips{drawn}; {how}. Space {made.space_version}."


def axes(made: Map) -> tuple[str, str]:
    """What the two axes are called."""
    if made.explained is None:
        return "UMAP 1", "UMAP 2"
    first, second = made.explained
    return f"component 1 ({first:.0%} of variance)", f"component 2 ({second:.0%} of variance)"


def require_png() -> None:
    """Refuse to write pictures where what draws them is not there.

    Raises:
        UnusableError: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise UnusableError("a PNG needs matplotlib: pip install matplotlib; --html needs nothing")


def write_png(made: Map, path: Path, *, by: str) -> None:
    """Write the map as a picture.

    Raises:
        UnusableError: it cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6.5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    plot = figure.add_subplot()
    size = 14 if len(made.ids) < 3000 else 4
    for name, colour, rows in layers(coloured(made, by)):
        shown = name.replace("$", r"\$")  # else it would be taken as mathematics
        plot.scatter(
            made.xy[rows, 0], made.xy[rows, 1], s=size, c=colour, label=shown, linewidths=0
        )
    first, second = axes(made)
    plot.set_xlabel(first)
    plot.set_ylabel(second)
    plot.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", title=by, frameon=False, markerscale=1.5)
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise UnusableError(f"{path} cannot be written: {error.strerror}") from error


def file_url(clip: ClipDetails) -> str | None:
    """Where a page on this machine finds a clip: its file, from its start to its end; None where
    its file is not known. All channels are mixed down."""
    if clip.path is None:
        return None
    return f"file://{quote(clip.path)}#t={clip.start:.3f},{clip.end:.3f}"


def api_url(base: str) -> Callable[[ClipDetails], str]:
    """Where a page finds clips that a server at ``base`` serves.

    Raises:
        InvalidInputError: it is not the address of one.
    """
    if not base.startswith(("http://", "https://")):
        raise InvalidInputError(f"--audio-base {base}: give http://HOST:PORT of a running server")
    return lambda clip: f"{base.rstrip('/')}/v1/clips/{clip.id}/audio"


def data_url(samples: Samples, rate: int) -> str:
    """Up to ten seconds of a clip (mono float32 (n,) at ``rate`` Hz) as MP3 in a URL of its own."""
    some = soxr.resample(samples[: int(_LONGEST * rate)], rate, _RATE)
    content = io.BytesIO()
    soundfile.write(content, some, _RATE, format="MP3")
    return "data:audio/mpeg;base64," + base64.b64encode(content.getvalue()).decode()


def embedded(
    audio: Callable[[int], tuple[Samples, int, ClipDetails]],
    most: int,
    progress: Progress = unwatched,
) -> Callable[[ClipDetails], str | None]:
    """Audio within the page, for the first ``most`` clips whose file can be read; then silence."""
    left = most

    def sound(clip: ClipDetails) -> str | None:
        nonlocal left
        if left <= 0:
            return None
        try:
            samples, rate, _ = audio(clip.id)
        except EmotionSearchError:  # its file is gone: the point stays, silent
            return None
        left -= 1
        progress(most - left, most)
        return data_url(samples, rate)

    return sound


def _short(clip: ClipDetails) -> str:
    return f"{clip.id}: {clip.name[-60:]}" + (f" ({clip.label})" if clip.label else "")


def _about(clip: ClipDetails) -> str:
    lines = [f"clip {clip.id}, {clip.name}, {clip.start:.2f} to {clip.end:.2f} s"]
    for name, value in (("source", clip.source), ("speaker", clip.speaker)):
        if value:
            lines.append(f"{name} {value}")
    lines += [f"{task}: {value}" for task, value in clip.labels.items()]
    if clip.scores:
        top = max(clip.scores, key=lambda name: clip.scores[name])
        lines.append(f"by the model {top} {clip.scores[top]:.2f}")
    return "; ".join(lines)
