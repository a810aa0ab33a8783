"""Writing a tuned model: what FunASR and this program load, with a model card."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from emotion_search.engine.finetune.bases import CheckpointBase, NetworkBase
from emotion_search.engine.finetune.files import put_safetensors, put_torch
from emotion_search.engine.finetune.judge import Judgement
from emotion_search.engine.finetune.tune import Plan
from emotion_search.index.errors import InvalidInputError

UNKNOWN = "unuse_unk"
"""FunASR's tokenizer wants a symbol for what it does not know; a class whose name begins so gets no
score from FunASR, nor here."""

NETWORK_FILE = "model.safetensors"


def check_classes(classes: Sequence[str]) -> None:
    """Refuse names that a checkpoint cannot hold.

    Raises:
        InvalidInputError: names the class.
    """
    for name in classes:
        if name.startswith("unuse") or "/" in name or "\n" in name or name == "<unk>":
            raise InvalidInputError(
                f"the label {name!r} cannot be a class of a checkpoint (no slash, not <unk>, and it"
                " may not begin with unuse): change the label"
            )
    for name, count in Counter(name.strip().lower() for name in classes).items():
        if count > 1:
            raise InvalidInputError(f"{count} labels differ from {name} in their case alone: merge")


def write_checkpoint(
    base: CheckpointBase, folder: Path, classes: Sequence[str], head: tuple[Tensor, Tensor]
) -> None:
    """A checkpoint folder of the base's encoder as it is now and a head of these classes.

    ``tokens.txt`` names the classes in order, then ``unuse_unk``, whose row of the head is zero.
    """
    state = {
        f"d2v_model.{name}": value.detach().cpu().contiguous().clone()
        for name, value in base.module.state_dict().items()
        if not name.startswith("proj.")
    }
    weight, bias = head
    state["proj.weight"] = torch.cat([weight, torch.zeros(1, weight.shape[1])]).contiguous()
    state["proj.bias"] = torch.cat([bias, torch.zeros(1)])
    config = yaml.safe_load((base.folder / "config.yaml").read_text(encoding="utf-8"))
    config |= {
        "scope_map": ["d2v_model.", "none"],
        "tokenizer": "CharTokenizer",
        "tokenizer_conf": {"unk_symbol": UNKNOWN, "split_with_space": True},
    }
    metas = {
        "init_param": "model.pt",
        "config": "config.yaml",
        "tokenizer_conf": {"token_list": "tokens.txt"},
    }
    configuration = {"framework": "pytorch", "model": {"type": "funasr"}, "file_path_metas": metas}
    (folder / "tokens.txt").write_text("\n".join([*classes, UNKNOWN]), encoding="utf-8")
    (folder / "config.yaml").write_text(
        yaml.safe_dump(config, allow_unicode=True), encoding="utf-8"
    )
    (folder / "configuration.json").write_text(json.dumps(configuration), encoding="utf-8")
    put_torch(folder / "model.pt", {"model": state})


def write_network(
    base: NetworkBase,
    folder: Path,
    classes: Sequence[str],
    head: tuple[Tensor, Tensor],
    about: Mapping[str, Any],
) -> None:
    """A file of weights of the built-in network as it is now, and vectors of these classes."""
    tensors = {key: value for key, value in base.tensors.items() if key.startswith("described.")}
    for name, value in base.network.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            tensors[f"network.{name}"] = value.detach().cpu().contiguous()
    tensors["classes"] = head[0].contiguous()
    kept = {"shape": base.about["shape"], "classes": list(classes), "about": dict(about)}
    put_safetensors(folder / NETWORK_FILE, tensors, kept)


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
    (folder / "README.md").write_text("\n".join(lines), encoding="utf-8")


def _named(groups: Sequence[str]) -> str:
    shown = ", ".join(groups[:20])
    return shown + (f" and {len(groups) - 20} more" if len(groups) > 20 else "")
