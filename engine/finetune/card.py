"""The model card of a tuned model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from emotion_search.engine.files.atomic import put
from emotion_search.engine.finetune.judge import Judgement
from emotion_search.engine.finetune.tune import Plan


def write_card(
    folder: Path,
    *,
    base: str,
    fingerprint: str,
    plan: Plan,
    classes: Sequence[str],
    before: Mapping[str, str | None],
    counts: Mapping[str, int],
    trained_groups: Sequence[str],
    data: str,
    source: str,
    judged: Mapping[str, Judgement],
    epochs: int,
    command: str,
    licence: str,
) -> None:
    """The model card, ``README.md``."""
    layers = f"the top {plan.layers} layers and " if plan.layers else ""
    lines = [
        "# Model card",
        "",
        f"`{base}` (fingerprint `{fingerprint[:16]}…`), fine-tuned with emotion-search: {layers}a"
        f" head for the task *{plan.task}*.",
        "",
        "## Classes",
        "",
        "| class | clips | the base's class |",
        "|---|---|---|",
        *(f"| {one} | {counts[one]} | {before[one] or '–'} |" for one in classes),
        "",
        "A class is named as the labels name it. The third column is the class of the base that"
        " means the same, if there is one; where all have one, the head began as the base's.",
        "",
        "## Data",
        "",
        f"{sum(counts.values())} labelled clips from {source}; sha256 of bytes, spans, labels and"
        f" speakers `{data}`. Trained on: {_named(trained_groups)}.",
        "",
        "## How good",
        "",
        "Unweighted average recall (UAR) on speakers that were not trained on:",
        "",
        "| speakers | clips | chance | base's own scores | new head alone | this model |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in judged.items():
        own = "–" if one.own is None else f"{one.own:.3f}"
        lines.append(
            f"| {name}: {_named(one.groups)} | {one.clips} | {one.chance:.3f} | {own} |"
            f" {one.head:.3f} | {one.tuned:.3f} |"
        )
    lines += [
        "",
        "Training was stopped by the validation speakers, so that their figures flatter"
        + (
            "; the test speakers had no part in it."
            if "test" in judged
            else ": no speakers were kept for a test."
        ),
        "What the base itself was trained on is not known here; if these speakers were among it,"
        " all figures flatter.",
        "",
        "## How",
        "",
        f"Cross-entropy with class weights, AdamW, seed {plan.seed}; head first on the frozen base"
        + (f", then {epochs} epochs of batches of {plan.batch} clips." if plan.layers else "."),
        "",
        "```sh",
        command,
        "```",
        "",
        "## Licence",
        "",
        licence,
        "",
    ]
    put(folder / "README.md", "\n".join(lines))


def _named(groups: Sequence[str]) -> str:
    shown = ", ".join(groups[:20])
    return shown + (f" and {len(groups) - 20} more" if len(groups) > 20 else "")
