"""``finetune``: a model tuned on the labels of an archive or of a manifest."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from emotion_search.engine.commands.common import (
    ArchiveOptions,
    DeviceOption,
    JsonOption,
    OverwriteOption,
    SeedOption,
    TaskOption,
    lock_output,
    notice,
    open_library,
    print_json,
)


def finetune(
    archive: ArchiveOptions,
    model: Annotated[
        str,
        typer.Option("--model", help="Tune this: 'acoustic', .safetensors, checkpoint folder, id."),
    ],
    output: Annotated[Path, typer.Option(metavar="FOLDER", help="For the new model.")],
    task: TaskOption = "",
    labels: Annotated[
        Path | None,
        typer.Option(help="Manifest with path, label, speaker; default: the archive's labels."),
    ] = None,
    layers: Annotated[
        int, typer.Option(min=0, help="Layers to tune below the head, from the top.")
    ] = 0,
    validate: Annotated[
        list[str] | None, typer.Option(help="Stop by this speaker; repeatable. Default: chosen.")
    ] = None,
    test: Annotated[
        list[str] | None,
        typer.Option(help="Keep this speaker out of everything but the last test; repeatable."),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the clips, at most.")] = 20,
    patience: Annotated[int, typer.Option(min=1, help="Epochs to wait for a better one.")] = 4,
    batch: Annotated[int, typer.Option(min=2, max=1024, help="Clips of a step.")] = 16,
    rate: Annotated[
        float | None, typer.Option(help="Learning rate of the layers; default: the model's.")
    ] = None,
    seed: SeedOption = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in this folder.")
    ] = False,
    overwrite: OverwriteOption = False,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tune a model on labelled clips.

    A new head, then its top layers, judged on speakers that are kept out.

    \b
    emotion-search finetune --model acoustic --output tuned
    emotion-search finetune --model ~/checkpoint --layers 2 --output tuned
    emotion-search finetune --model acoustic --labels labels.csv --output tuned
    """
    from emotion_search.engine.audio.workers import Decoders
    from emotion_search.engine.embedders.registry import absolute
    from emotion_search.engine.finetune.run import card_record
    from emotion_search.engine.finetune.run import finetune as tune
    from emotion_search.engine.finetune.tune import Plan
    from emotion_search.index.errors import InvalidInputError

    if rate is not None and not 0 < rate < 1:
        raise InvalidInputError(f"--rate must be between 0 and 1, not {rate:g}")
    plan = Plan(
        task=task,
        layers=layers,
        epochs=epochs,
        patience=patience,
        batch=batch,
        rate=rate,
        seed=seed,
        validation=tuple(validate or ()),
        test=tuple(test or ()),
    )
    settings = archive.settings(device=device)
    lock_output(output)
    command = shlex.join(["emotion-search", *_public(sys.argv[1:])])
    arguments: dict[str, Any] = {
        "resume": resume,
        "overwrite": overwrite,
        "tell": notice,
        "command": command,
    }
    if labels is not None:
        from emotion_search.engine.finetune.examples import examples_of_manifest

        with closing(Decoders()) as decoders:
            done = tune(
                lambda: examples_of_manifest(labels, task),
                absolute(model),
                output,
                plan,
                settings,
                decoders,
                source=f"the manifest `{labels.name}`",
                **arguments,
            )
    else:
        with open_library(settings) as library:
            done = library.finetune(model, output, plan, **arguments)
    if as_json:
        print_json(json.loads(card_record(done)))
        return
    print("UAR              clips  chance   base  new head  tuned")
    for name, one in done.judged.items():
        own = "    –" if one.own is None else f"{one.own:.3f}"
        found = f"{one.chance:.3f}  {own}     {one.head:.3f}  {one.tuned:.3f}"
        print(f"{name:<16} {one.clips:>5}   {found}")
    print(f"model in {done.model} ({', '.join(done.classes)})")
    notice(f"fill an archive in with it: emotion-search reembed --model {done.model}")


_PRIVATE = ("--database", "--home")


def _public(arguments: Sequence[str]) -> list[str]:
    """The arguments without those that say where the archive is: a model card is handed on, and a
    database's address holds its password."""
    kept: list[str] = []
    left = iter(arguments)
    for one in left:
        if one in _PRIVATE:
            next(left, None)  # its value
        elif not one.startswith(tuple(f"{name}=" for name in _PRIVATE)):
            kept.append(one)
    return kept
