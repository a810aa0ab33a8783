"""Options that go only with others, or not beside them: refused where one would have no effect."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature

from emotion_search.engine.commands.options import clip_filter
from emotion_search.index.errors import InvalidInputError

_FILTERS = " ".join(f"--{name.replace('_', '-')}" for name in signature(clip_filter).parameters)
_TASK = "--label --predicted --min-probability"
_OF_FILES = (
    "--source --label --speaker --recorded-at --meta --label-from --label-map --channels --track"
    " --segments --window --hop --time-from --rescan --recut --again"
)

WITH: dict[str, dict[str, str]] = {
    "ingest": {
        "--workers": "--on",
        "--map --date-format --encoding": "--manifest",
        "--timezone": "--manifest --recorded-at",
        _OF_FILES: "PATHS --manifest --retry-failed",
    },
    "list": {"--task": f"{_TASK} WHAT=labels", "--order": "--sort"},
    "play": {"--start --end --channel": "--recording"},
    "extract": {"--start --end --channel": "--recording"},
    "export": {"--device": "--granularity=frame", "--task": _TASK},
    "search": {
        "--order": "--sort",
        "--model --device": "EXAMPLES --unlike --text --unlike-text",
        "--example-speaker --example-source": "EXAMPLES --unlike",
        "--task": _TASK,
    },
    "evaluate": {
        "--embeddings": "--labels",
        "--labels": "--embeddings",
        "--overwrite": "--html --mteb",
    },
    "predict": {"--window --hop": "--granularity=window", "--overwrite": "--output-dir"},
    "compare": {"--overwrite": "--csv!=- --html", "--model --device": "THINGS"},
    "trend": {"--overwrite": "--csv!=- --html --png", "--task": _TASK},
    "map": {
        "--audio-base --embed-audio": "--html",
        "--colour --overwrite": "--html --png",
        "--task": f"{_TASK} --json --colour=label --colour=predicted",
    },
    "train": {"--overwrite": "--html"},
    "classifiers": {"--delete": "--task"},
    "finetune": {"--epochs --patience --batch --rate": "--layers"},
}
"""By command: options, and the options or arguments (in capitals; with ``=``, of that value, with
``!=``, of another) one of which they need to mean something."""

WITHOUT: dict[str, dict[str, str]] = {
    "ingest": {
        "--dry-run": "--watch --claim --on --fail-on --quiet",
        "--limit": "--watch --claim --on",
        "--claim --on": "--watch",
        "--recorded-at": "--time-from",
        "--status --drop": f"PATHS --manifest --retry-failed --claim --on --watch {_OF_FILES}"
        " --dry-run --limit --quiet --fail-on --model --device",
    },
    "list": {"WHAT=tasks": _FILTERS},
    "locations": {"--drop": "--json"},
    "extract": {"--output=-": "--overwrite"},
    "export": {"--granularity=frame": "--raw"},
    "restore": {"--dry-run": "--into --home"},
    "forget": {"--dry-run": "--yes"},
    "search": {
        "--sort": "EXAMPLES --clip --text --unlike --unlike-clip --unlike-text --exclude-same"
        " --example-speaker --example-source --distinct --exact --model --device"
    },
    "evaluate": {"--models": "--html --mteb --embeddings", "--embeddings": "--task"},
    "tune": {"--list --restore": "--method --task", "--list": "--restore"},
    "compare": {"--csv=-": "--json"},
    "trend": {
        "RECORDING": f"--by {_FILTERS}",
        "--by": "--smooth --penalty --shortest",
        "--csv=-": "--json",
    },
    "cluster": {
        "--list --show --delete": f"--name --method -k --least --replace --seed {_FILTERS}",
        "--list": "--show --delete",
        "--show": "--delete",
        "--delete": "--json",
    },
    "map": {"--audio-base": "--embed-audio"},
    "classifiers": {"--delete": "--json"},
    "serve": {"--open-to-anyone": "--published-locally"},
    "finetune": {"--resume": "--overwrite"},
}
"""By command: options beside which the others would mean nothing, or the opposite."""


def check_combinations(
    command: str, given: Mapping[str, object], there: Mapping[str, object]
) -> None:
    """Refuse options that would have no effect.

    Args:
        given: what stands on the command line, such as ``--window`` and ``PATHS``, with its value.
        there: the same of everything that is set, defaults among them.

    Raises:
        InvalidInputError: names one, and what it goes with or without.
    """
    for options, others in WITH.get(command, {}).items():
        for option in options.split():
            if option in given and not any(_is_in(there, one) for one in others.split()):
                names = " or ".join(map(_shown, others.split()))
                raise InvalidInputError(f"{option} goes with {names}")
    for options, others in WITHOUT.get(command, {}).items():
        for option in options.split():
            for other in others.split():
                if _is_in(given, option) and _is_in(given, other):
                    raise InvalidInputError(f"{_shown(option)} goes without {_shown(other)}")


def _is_in(given: Mapping[str, object], option: str) -> bool:
    name, sign, value = option.partition("!=" if "!=" in option else "=")
    return name in given and (not sign or (str(given[name]) == value) == (sign == "="))


def _shown(option: str) -> str:
    name, _, value = option.partition("=")
    if name.endswith("!"):
        return f"{name[:-1]} FILE"
    return f"{name} {value}".rstrip() if name.startswith("-") else value or name
