"""``python -m emotion_search.engine.training``: train the model ``voice`` from labelled folders."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import torch
import typer

from emotion_search.engine.training.batches import Corpus
from emotion_search.engine.training.corpora import (
    EMOGATOR,
    LabelledClip,
    read_emogator,
    read_labelled,
    some_of_each,
)
from emotion_search.engine.training.objective import has_class
from emotion_search.engine.training.prepare import prepare
from emotion_search.engine.training.smart_turn import read_encoder
from emotion_search.engine.training.train import Plan, Trainer
from emotion_search.index.errors import EmotionSearchError, InvalidInputError


def main(
    output: Annotated[Path, typer.Option(help="File of the weights, .voice.safetensors.")],
    work: Annotated[Path, typer.Option(help="Folder of prepared spectra and of the state.")],
    encoder: Annotated[
        Path, typer.Option(help="Whisper tiny's encoder: smart-turn's .onnx, or an .npz of it.")
    ],
    emogator: Annotated[
        list[Path] | None, typer.Option(help="Folder of EmoGator's mp3 files.")
    ] = None,
    manifest: Annotated[
        list[Path] | None,
        typer.Option(help="CSV with path, label, speaker, text, and corpus if it is several."),
    ] = None,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(metavar="CORPUS:SPEAKER", help="Check on this speaker, do not train."),
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="Clips of each of EmoGator's labels.")] = 220,
    steps: Annotated[int, typer.Option(min=10)] = Plan.steps,
    variants: Annotated[
        int | None,
        typer.Option(min=0, help="Augmented copies of a clip; default: 1, of a small corpus 9."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    runs: Annotated[
        int, typer.Option(min=1, help="Whose weights are averaged; EmoGator is used in the first.")
    ] = 3,
    threads: Annotated[int, typer.Option(min=1, help="Of torch, and processes.")] = 2,
) -> None:
    """Train on labelled speech; run again to go on where it stopped."""
    torch.set_num_threads(threads)
    clips: dict[str, list[LabelledClip]] = {}
    bursts = [
        some_of_each([c for c in read_emogator(folder) if has_class(c.label)], most, seed)
        for folder in emogator or []
    ]
    for found in bursts + [read_labelled(path) for path in manifest or []]:
        for clip in found:
            clips.setdefault(clip.corpus, []).append(clip)
    if not clips:
        raise InvalidInputError("name labelled speech: --emogator FOLDER or --manifest FILE")
    left_out = _by_corpus(leave_out or [], clips)  # raises at once, if there is none
    corpora = {}
    for name, some in clips.items():
        usual = 1 if len(some) > _SMALL else _COPIES_OF_SMALL
        copies = usual if variants is None else variants
        typer.echo(f"{name}: preparing {len(some)} clips as they are and {copies} times augmented")
        made = prepare(some, work / "spectra", variants=copies, seed=seed, processes=threads)
        corpora[name] = Corpus.of(some, made)
    speech = {name: corpus for name, corpus in corpora.items() if name != EMOGATOR}
    trainers = []
    for run in range(runs):
        used = corpora if run == 0 or not speech else speech
        without = {name: some for name, some in left_out.items() if name in used}
        plan = Plan(steps=steps, seed=seed, run=run, left_out=without)
        folder = work / f"run-{run}"
        trainers.append(Trainer(used, plan, read_encoder(encoder), folder, tell=typer.echo))
        trainers[-1].run()
    trainer, *others = trainers
    trainer.average(others)
    about = {"corpora": {name: len(some) for name, some in clips.items()}, "seed": seed}
    trainer.write(output, about | {"left_out": left_out, "steps": steps, "runs": runs})
    typer.echo(f"weights in {output}")


_SMALL, _COPIES_OF_SMALL = 1000, 9


def _by_corpus(
    pairs: list[str], clips: dict[str, list[LabelledClip]]
) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        corpus, _, speaker = pair.partition(":")
        if not any(clip.speaker == speaker for clip in clips.get(corpus, [])):
            raise InvalidInputError(f"--leave-out {pair}: no such speaker (CORPUS:SPEAKER)")
        found[corpus] = (*found.get(corpus, ()), speaker)
    return found


if __name__ == "__main__":
    try:
        typer.run(main)
    except EmotionSearchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, InvalidInputError) else 1)
