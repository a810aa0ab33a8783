"""Progress bars on stderr: of an ingest, and of whatever else takes long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from emotion_search.engine.commands.show.terminal import console as on_terminal
from emotion_search.engine.commands.words import length
from emotion_search.engine.ingest.report import IngestReport


@contextmanager
def working(what: str) -> Iterator[Callable[[float, float | None], None]]:
    """A bar while something takes long: the time so far, and once what is called with the steps
    done and of how many knows it, the time left. Silent where stderr is no terminal."""
    console = on_terminal(stderr=True)
    with Progress(
        TextColumn(what),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        _Left(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class IngestProgress:
    """Files done and clips per second; of how many, and the time left, once that is known.

    Silent where stderr is no terminal.

    Args:
        count: returns how many files there will be, or None once its event is set; it runs on a
            thread of its own. None where it cannot be known.
        console: where the bar goes; stderr if left out.
        quiet: there is no bar.
    """

    def __init__(
        self,
        count: Callable[[threading.Event], int | None] | None,
        *,
        console: Console | None = None,
        quiet: bool = False,
    ) -> None:
        console = console or on_terminal(stderr=True)
        self._bar = Progress(
            TextColumn("ingest"),
            BarColumn(),
            _Files(),
            _ClipsPerSecond(),
            TimeRemainingColumn(),
            console=console,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._bar.add_task("ingest", total=None, clips=0)
        self._began = time.monotonic()
        self._total_of = count
        self._stop = threading.Event()
        self.elapsed = 0.0

    def __enter__(self) -> IngestProgress:
        self._bar.start()
        if self._total_of is not None and not self._bar.disable:
            threading.Thread(target=self._counted, name="count", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def update(self, report: IngestReport) -> None:
        """Show the report so far."""
        self.count(report.files, report.clips)

    def count(self, files: int, clips: int) -> None:
        """Show how many there are so far."""
        self._bar.update(self._task, completed=files, clips=clips)

    def stop(self) -> None:
        """Take the bar away and stop the clock."""
        self._stop.set()
        self.elapsed = time.monotonic() - self._began
        self._bar.stop()

    def _counted(self) -> None:
        assert self._total_of is not None
        total = self._total_of(self._stop)
        if total is not None:
            self._bar.update(self._task, total=total)


class _Left(ProgressColumn):
    def render(self, task: Task) -> Text:
        left = task.time_remaining
        return Text("" if left is None else f"{length(left)} left")


class _Files(ProgressColumn):
    def render(self, task: Task) -> Text:
        of = "" if task.total is None else f" of {task.total:,.0f}"
        return Text(f"{task.completed:,.0f}{of} files")


class _ClipsPerSecond(ProgressColumn):
    def render(self, task: Task) -> Text:
        rate = task.fields["clips"] / task.elapsed if task.elapsed else 0.0
        return Text(f"{rate:.1f} clips/s")
