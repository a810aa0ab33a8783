"""Evaluations and spaces on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emotion_search.engine.commands.show.tables import PlainTable, print_row, print_table
from emotion_search.engine.commands.words import counted
from emotion_search.engine.pages import evaluation as report
from emotion_search.engine.quality.evaluate import Evaluation
from emotion_search.engine.quality.retrieval import METRICS
from emotion_search.engine.quality.scores import ClassScores
from emotion_search.engine.quality.tune import Tuning
from emotion_search.index.database.spaces import SpaceInfo


def print_evaluation(it: Evaluation) -> None:
    """The evaluation as tables on stdout."""
    print(f"{it.name}, {it.space} space: {_clips(it)}")
    if it.learned:
        print(f"{report.LEARNED}, but for mAP by space (what it gains on others) and percentiles")
    print(f"{counted(it.queries, 'query')}, each against {report.others(it.gallery)}", end="")
    print(f"; {it.unanswerable} more had nothing to find" if it.unanswerable else "")
    print_table(report.RETRIEVAL, report.retrieval(it), wrap=False)
    print_row("mAP by class", ", ".join(f"{n} {v['mAP']:.3f}" for n, v in it.by_class.items()))
    for other in it.galleries:
        values = (
            f"{name} {report.interval(other.macro[name])} (chance {other.chance_macro[name]:.3f})"
            for name in ("mAP", "P@10")
        )
        print_row("over classes", f"{report.GALLERIES[other.gallery]}: {', '.join(values)}")
    if it.nearest:
        own = (f"{k} {v.share:.3f} (chance {v.chance:.3f})" for k, v in it.nearest.items())
        print_row("ten nearest", f"of one's own {', '.join(own)}")
    _print_triplets(it)
    if it.scores is not None:
        _print_scores(it.scores)
    if it.ranks:
        found = "  ".join(f"{name} {report.interval(rho)}" for name, rho in it.ranks.items())
        print(f"rank correlation of labels with {found}")
    if it.steps:
        steps = ", ".join(f"{name} {value:.3f}" for name, value in it.steps.items())
        print_row("mAP by space", f"{steps} (halves of the {it.by} it was not fitted to)")
    for one in it.probes:
        print_row(f"{one.name} probe", f"UAR {one.uar:.3f} (chance {one.chance:.3f})")
    if it.calibration is not None:
        rows = [
            (f"{one.percentile:g}", f"{one.share:.2f}", f"{one.deviation:.2f}", _share(one.same))
            for one in it.calibration.readings
        ]
        head = ("percentile, by other voices", "percent of pairs", "deviation", "same label")
        last = ("all pairs", "100", "", _share(it.calibration.same))
        print_table(head, [*rows, last], wrap=False)


def _clips(it: Evaluation) -> str:
    classes = ", ".join(f"{name} {count}" for name, count in it.clips.items())
    speakers = f" by {counted(it.speakers, 'speaker')}" if it.speakers else ""
    return f"{counted(sum(it.clips.values()), 'clip')}{speakers} ({classes})"


def _print_triplets(it: Evaluation) -> None:
    if it.triplets:
        print_table(report.TRIPLETS, report.triplets(it), wrap=False)
    for kind, why in it.left_out.items():
        print(f"left out: {report.shared(kind)} ({why})")


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.2f}"


def _print_scores(it: ClassScores) -> None:
    print_row(
        "class scores",
        f"UAR {report.interval(it.uar)} (chance {it.chance:.3f}), among the labels' classes"
        f" {report.interval(it.uar_own)} (chance {it.chance_own:.3f});"
        f" calibration error {it.error:.3f}",
    )
    shares = (f"{name} {it.given[name]:.2f} ({it.labelled[name]:.2f})" for name in it.classes)
    print_row("given (labels)", ", ".join(shares))
    if report.lost(it):
        print(report.lost(it))


def print_comparison(results: Sequence[Evaluation]) -> None:
    """Evaluations of the same clips under several models, side by side on stdout."""
    first = results[0]
    print(_clips(first))
    print(f"each query against {report.others(first.gallery)}")
    if any(one.learned for one in results):
        print(report.LEARNED)
    table = PlainTable("over classes")
    for name in (*(Path(one.name).name for one in results), "chance"):
        table.column(name, no_wrap=True)
    table.row("space", *(one.space for one in results), "")
    for name in METRICS:
        chance = f"{first.chance_macro[name]:.3f}"
        table.row(name, *(report.interval(one.macro[name]) for one in results), chance)
    for method in first.steps:
        if any(method not in one.steps for one in results):
            continue
        found = (f"{one.steps[method]:.3f}" for one in results)
        table.row(f"mAP, {method}, unseen {first.by}", *found, "")
    for probes in zip(*(one.probes for one in results), strict=True):
        name = f"UAR, {probes[0].name} probe"
        table.row(name, *(f"{p.uar:.3f}" for p in probes), f"{probes[0].chance:.3f}")
    for kind in first.triplets:
        right = (report.interval(one.triplets[kind].right) for one in results)
        table.row(f"triplets, shared: {report.shared(kind)}", *right, "0.500")
    for name, nearest in first.nearest.items():
        shares = (f"{one.nearest[name].share:.3f}" for one in results)
        table.row(f"own {name} among ten", *shares, f"{nearest.chance:.3f}")
    scores = [one.scores for one in results]
    if any(scores):
        uar = ("–" if one is None else report.interval(one.uar_own) for one in scores)
        error = ("–" if one is None else f"{one.error:.3f}" for one in scores)
        table.row("UAR, class scores, labels' classes", *uar, "")
        table.row("calibration error", *error, "")
    table.print()


def print_tuning(done: Tuning) -> None:
    """What came of a tuning, on stdout."""
    head = f"on other {done.by}"
    if done.quality:
        print(f"{head}  mAP triplets")
    for name, quality in done.quality.items():
        mark = "  <- serves" if name == done.method else ""
        print(f"{name:<{len(head)}}{quality.precision:>6.3f}{quality.triplets:>9.2f}{mark}")
    if done.version:
        print(
            f"space {done.version} ({done.method}),"
            f" fitted to {counted(done.clips, 'clip')}, serves now"
        )
        print(done.why)
    else:
        print("no space beats the plain one, which serves")


def print_spaces(spaces: Sequence[SpaceInfo]) -> None:
    """The versions of the space as a table on stdout."""
    head = ("space", "method", "clips", "task", "mAP gain", "fitted at", "")
    rows = [
        (
            one.version,
            one.method.value,
            one.clips if one.version else None,
            one.task,
            None if one.gain is None else f"{one.gain:+.3f}",
            one.fitted_at and f"{one.fitted_at:%Y-%m-%d %H:%M}",
            "serves" if one.active else None,
        )
        for one in spaces
    ]
    print_table(head, rows, wrap=False)
