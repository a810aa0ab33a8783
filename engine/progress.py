"""The progress bar of an ingest, on stderr."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from engine.ingest import IngestReport


class IngestProgress:
    """Files done, clips per second and time left; silent where stderr is no terminal."""

    def __init__(self, total: int | None) -> None:
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("ingest"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("files"),
            _ClipsPerSecond(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("ingest", total=total, clips=0)
        self._began = time.monotonic()
        self.elapsed = 0.0

    def __enter__(self) -> IngestProgress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def update(self, report: IngestReport) -> None:
        """Show the report so far."""
        self._bar.update(self._task, completed=report.files, clips=report.clips)

    def stop(self) -> None:
        """Take the bar away and stop the clock."""
        self.elapsed = time.monotonic() - self._began
        self._bar.stop()


class _ClipsPerSecond(ProgressColumn):
    def render(self, task: Task) -> Text:
        rate = task.fields["clips"] / task.elapsed if task.elapsed else 0.0
        return Text(f"{rate:.1f} clips/s")
