"""The summary and failures of ``ingest`` and its dry run, on the terminal or as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emotion_search.engine.commands.common import note_forgotten, notice, print_json, say_error

if TYPE_CHECKING:
    from emotion_search.engine.ingest.dry_run import Preview
    from emotion_search.engine.ingest.report import IngestReport

_SHOWN = 20  # failures that are printed


def print_report(report: IngestReport, elapsed: float, as_json: bool) -> None:
    """The summary on stdout, the first failures and a notice on stderr."""
    if as_json:
        summary = {
            "recordings": report.recordings,
            "clips": report.clips,
            "known": report.known,
            "duplicates": report.duplicates,
            "moved": report.moved,
            "failed": len(report.failed),
            "forgotten": report.forgotten,
            "silent": report.silent,
            "grown": report.grown,
            "recut": report.recut,
            "cut_otherwise": report.otherwise,
            "duration": round(report.duration, 3),
            "seconds": round(elapsed, 2),
        }
        print_json(summary)
    else:
        print(
            f"{report.recordings} recordings ({report.clips} clips, {report.duration / 60:.1f} min)"
            f" added in {elapsed:.1f} s; {report.known} known already,"
            f" {report.duplicates} duplicates, {len(report.failed)} failed"
            + (f", {report.moved} moved" if report.moved else "")
            + (f", {report.silent} without speech" if report.silent else "")
            + (f", {report.grown} longer than before" if report.grown else "")
            + (f", {report.recut} cut anew" if report.recut else ""),
            flush=True,
        )
    _print_failures(report.failed, "list them with: emotion-search failures")
    _print_notices(report.notices)
    _print_otherwise(report.otherwise)
    note_forgotten(report.forgotten, "files")


def print_preview(found: Preview, seconds: float | None, as_json: bool) -> None:
    """What would be done, on stdout; on stderr what cannot be used, and a notice.

    Args:
        seconds: that embedding would take; None if unknown.
    """
    record = {
        "files": found.files,
        "known": found.known,
        "new": found.new,
        "recut": found.recut,
        "cut_otherwise": found.otherwise,
        "bytes": found.size,
        "duration": round(found.duration, 3),
        "untold": found.untold,
        "unusable": len(found.unusable),
        "estimated_seconds": seconds,
    }
    if as_json:
        print_json(record)
    else:
        print(
            f"{found.files} files: {found.known} known, {found.new} new"
            f" ({found.duration / 3600:.2f} h, {found.size / 1e6:.1f} MB),"
            f" {len(found.unusable)} unusable"
            + (f", {found.recut} to be cut anew" if found.recut else "")
            + ("" if seconds is None else f"; embedding would take about {seconds:.0f} s")
        )
    _print_failures(found.unusable, "an ingest lists them under: emotion-search failures")
    _print_otherwise(found.otherwise)


def _print_failures(failed: list[tuple[str, str]], where: str) -> None:
    for path, reason in failed[:_SHOWN]:
        say_error(f"{path}: {reason}")
    if len(failed) > _SHOWN:
        say_error(f"… and {len(failed) - _SHOWN} more; {where}")


def _print_otherwise(otherwise: int) -> None:
    if otherwise:
        notice(
            f"{otherwise} known recordings are cut under other options and keep their clips;"
            " --recut cuts them anew"
        )


def _print_notices(found: list[tuple[str, str]]) -> None:
    for path, text in found[:_SHOWN]:
        notice(f"{path}: {text}")
    if len(found) > _SHOWN:
        notice(f"… and {len(found) - _SHOWN} more such notices")
