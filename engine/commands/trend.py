"""How emotion moves through a recording, or through the archive: ``trend``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from emotion_search.engine.commands.common import (
    ArchiveOptions,
    JsonOption,
    OverwriteOption,
    choice,
    claim,
    notice,
    print_json,
)
from emotion_search.engine.commands.words import counted
from emotion_search.engine.emotions import UNCERTAIN
from emotion_search.index.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from emotion_search.engine.trends.archive import ArchiveTrend
    from emotion_search.engine.trends.recording import RecordingTrend
    from emotion_search.index.database.filters import ClipFilter

ALARMED = 3
"""Exit code when an alert is set off."""


def trend(
    archive: ArchiveOptions,
    wanted: ClipFilter,
    recording: Annotated[
        str | None, typer.Argument(help="A recording: its id, or its file.", show_default=False)
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(metavar="day|week|month", help="Over the archive, in these periods."),
    ] = None,
    alert: Annotated[
        list[str] | None,
        typer.Option(help="Exit 3 if a share of time is beyond: 'angry>0.3'; repeatable."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with a picture here.")] = None,
    png: Annotated[Path | None, typer.Option(help="Write the picture here.")] = None,
    table: Annotated[
        Path | None, typer.Option("--csv", help="Write the numbers here; - for stdout.")
    ] = None,
    smooth: Annotated[
        float | None, typer.Option(help="Seconds of the smoothing kernel.", show_default="10.0")
    ] = None,
    penalty: Annotated[
        float | None,
        typer.Option(help="Price of a turning point; more finds fewer.", show_default="5.0"),
    ] = None,
    shortest: Annotated[
        float | None,
        typer.Option(help="Least seconds between turning points.", show_default="20.0"),
    ] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show how emotion moves in a recording, or over time.

    \b
    emotion-search trend 17 --html call.html
    emotion-search trend call.wav --json
    emotion-search trend --by week --source support --alert 'angry>0.3'
    """
    from emotion_search.engine.pages.page import require_png
    from emotion_search.engine.trends.curve import Options
    from emotion_search.engine.trends.periods import PERIODS

    claim(html, png, table, overwrite=overwrite)
    if png is not None:
        require_png()
    if (recording is None) == (by is None):
        raise InvalidInputError("give a recording, or --by day, week or month for the archive")
    period = None if by is None else choice("--by", by, PERIODS)
    how = {"smooth": smooth, "penalty": penalty, "shortest": shortest}
    given = {name: value for name, value in how.items() if value is not None}
    with archive.open(wanted=wanted) as library:
        if recording is not None:
            one = library.trend(_named(recording), Options(**given))
            alarmed = _recording(one, alert or [], html, png, table, as_json)
        else:
            over = library.trend_over(str(period), wanted, alerts=alert or [])
            alarmed = _archive(over, html, png, table, as_json)
    if alarmed:
        raise typer.Exit(ALARMED)


def _named(recording: str) -> int | Path:
    """The id that is meant, or the file; digits that are too many for an id are a name."""
    return int(recording) if recording.isdecimal() and len(recording) < 100 else Path(recording)


def _recording(
    trend: RecordingTrend,
    alerts: Sequence[str],
    html: Path | None,
    png: Path | None,
    table: Path | None,
    as_json: bool,
) -> bool:
    """Show it; whether an alert is set off."""
    from emotion_search.engine.commands.show.hits import print_trend
    from emotion_search.engine.trends.thresholds import parse_alert

    watched = [parse_alert(text, trend.channels[0].classes) for text in alerts]
    raised = [
        [one.text for one in watched if one.holds(shares[one.emotion])]
        for shares in ({**one.share, UNCERTAIN: one.uncertain} for one in trend.channels)
    ]
    _write(trend, html, png, table)
    if as_json:
        for record, alerts in zip(trend.records(), raised, strict=True):
            print_json({**record, "alerts": alerts})
    elif str(table) != "-":
        print_trend(trend)
    for channel, alerts in zip(trend.channels, raised, strict=True):
        for text in alerts:
            where = f" in channel {channel.channel}" if channel.channel is not None else ""
            notice(f"alert {text}{where}")
    return any(raised)


def _archive(
    trend: ArchiveTrend, html: Path | None, png: Path | None, table: Path | None, as_json: bool
) -> bool:
    """Show it; whether an alert is set off."""
    from emotion_search.engine.commands.show.hits import print_shares

    if trend.undated:
        notice(f"{counted(trend.undated, 'clip')} left out: no time of recording is known")
    if trend.timeless:
        notice(f"{counted(trend.timeless, 'clip')} left out, without length")
    if not trend.buckets:
        why = "has a known time and length" if trend.undated or trend.timeless else "matches"
        nothing = f"no clip {why}, so that there is no {trend.by} to show"
        if trend.alerts:
            raise NotFoundError(f"{nothing} and none to watch")
        notice(nothing)
    _write(trend, html, png, table)
    if as_json:
        for record in trend.records():
            print_json(record)
    elif str(table) != "-":
        print_shares(trend)
    for alert in trend.alerts:
        for bucket in trend.raised(alert):
            share = bucket.share_of(alert.emotion)
            notice(
                f"alert {alert.text} in {bucket.key}: {share.share:.3f}"
                f" [{share.low:.3f}, {share.high:.3f}]"
            )
    return trend.alarmed


def _write(
    trend: RecordingTrend | ArchiveTrend, html: Path | None, png: Path | None, table: Path | None
) -> None:
    from emotion_search.engine.trends import archive, recording

    over = isinstance(trend, archive.ArchiveTrend)
    if html is not None or png is not None:
        from emotion_search.engine.pages import page
        from emotion_search.engine.pages import trend as pages

        if html is not None:
            write: Any = pages.write_archive if over else pages.write_recording
            write(trend, html)
            notice(f"page in {html}")
        if png is not None:
            figure: Any = pages.archive_figure if over else pages.recording_figure
            page.write_png(figure(trend), png)
            notice(f"picture in {png}")
    if table is not None:
        write_csv: Any = archive.write_csv if over else recording.write_csv
        with _opened(table) as out:
            write_csv(trend, out)


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    if str(path) == "-":
        yield sys.stdout
        return
    try:
        with path.open("w", encoding="utf-8", newline="") as out:
            yield out
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be written: {error.strerror}") from error
