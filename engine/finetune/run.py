"""Fine-tuning from end to end: labelled clips in, a model folder with its card out."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from emotion_search.engine.audio.workers import Decoders
from emotion_search.engine.embedders.device import pick_device
from emotion_search.engine.files.disk import space_needed
from emotion_search.engine.finetune.bases import check_layers, find_base
from emotion_search.engine.finetune.card import write_card
from emotion_search.engine.finetune.checkpoint import check_classes
from emotion_search.engine.finetune.examples import Example, data_hash, split
from emotion_search.engine.finetune.features import Stored, check_encoded, encode_examples
from emotion_search.engine.finetune.head import best_head, given_by, mapping, own_head, uar
from emotion_search.engine.finetune.judge import Judgement, classified, groups_of, judge
from emotion_search.engine.finetune.tune import Plan, Tuner, check_state, describe
from emotion_search.engine.machine.threads import cores, torch_threads
from emotion_search.engine.settings import Settings
from emotion_search.index.disk.sync import make_folders, publish, unfinished
from emotion_search.index.errors import ConflictError, UnusableError

_STATE = "state"
_WRITTEN = frozenset(
    [
        *(_STATE, "README.md", "model.safetensors"),
        *("tokens.txt", "config.yaml", "configuration.json", "model.pt"),
    ]
)
"""What is in the folder of a tuned model."""


@dataclass(frozen=True)
class Finetuned:
    """What came of it.

    Attributes:
        model: what to name by ``--model``.
        classes: of its scores.
        epochs: of the layers; 0 where the head alone was trained.
        judged: how good it is, on ``validation`` and maybe ``test``.
    """

    model: Path
    classes: tuple[str, ...]
    epochs: int
    judged: Mapping[str, Judgement]


def finetune(
    read: Callable[[], Sequence[Example]],
    base_name: str,
    output: Path,
    plan: Plan,
    settings: Settings,
    decoders: Decoders,
    *,
    source: str,
    command: str,
    stored: Stored = lambda _name, _ids: None,
    resume: bool = False,
    overwrite: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Finetuned:
    """Tune ``base_name`` on the examples that ``read`` gives, and write it to ``output``.

    The head is trained first, on the vectors of the frozen base; then, with ``plan.layers``, the
    top layers and the head together. What is kept is what was best on the validation speakers, the
    head alone included.

    Args:
        source, command: for the card: where the labels are from, and the call.
        stored: embeddings that are there already; then no audio is needed for a head alone.
        resume: go on from a state in ``output``.
        overwrite: put it in place of a model that is there, at once, when it is whole.

    Raises:
        InvalidInputError: labels that nothing can be learned from, layers that there are not, an
            output that is there already, a state of something else.
        ModelUnavailableError: the base cannot be loaded.
        StorageFullError: no space for the model, or for what is kept on the way.
    """
    device = pick_device(settings.device)
    opened = find_base(base_name, settings)
    replaces = _check_output(output, resume=resume, overwrite=overwrite)
    examples = read()
    parts = split(examples, seed=plan.seed, validation=plan.validation, test=plan.test)
    classes, labels = np.unique([one.label for one in examples], return_inverse=True)
    names = tuple(map(str, classes))
    check_classes(names)
    base = opened(device)
    check_layers(base, plan.layers)
    state = output / _STATE
    data = data_hash(examples)
    described = describe(plan, base.fingerprint, data)
    if resume:  # before anything of the run that is there is touched
        check_encoded(state, described)
        check_state(state, described)
    with space_needed(output.parent), torch_threads(cores() if base.large else 1):
        make_folders(output)
        if not resume:
            shutil.rmtree(state, ignore_errors=True)
        state.mkdir(exist_ok=True)
        vectors, inputs = encode_examples(
            base, examples, plan, decoders, state, described, stored, tell
        )
        began = own_head(base, names)
        own = None if began is None else given_by(base, vectors, began)
        alone = best_head(base, vectors, labels, parts.train, parts.validation, began)
        by_head = given_by(base, vectors, alone)
        found = uar(labels[parts.validation], by_head[parts.validation])
        tell(f"head on the frozen model: UAR {found:.3f} on the validation speakers")
        head, epochs = alone, 0
        if inputs is not None:
            tuner = Tuner(
                base,
                inputs,
                labels,
                parts,
                plan,
                alone,
                device=device,
                described=described,
                folder=state,
                resume=resume,
                tell=tell,
            )
            tuner.run()
            head, epochs = tuner.head(), tuner.epochs
            if not tuner.gained:
                tell(
                    "no epoch was better than the head alone, which is kept on the model as it was"
                )
        about = {"task": plan.task, "layers": plan.layers, "seed": plan.seed, "data": data}
        with _placed(output, replaces) as folder:
            model = base.write(folder, names, head, about)
            tuned = by_head
            if epochs:
                tuned = classified(model, examples, parts, names, settings, decoders)
            judged = judge(examples, labels, parts, own=own, head=by_head, tuned=tuned)
            write_card(
                folder,
                base=base_name,
                fingerprint=base.fingerprint,
                plan=plan,
                classes=names,
                before=mapping(names, base.classes),
                counts=Counter(one.label for one in examples),
                trained_groups=groups_of(examples, parts.train),
                data=data,
                source=source,
                judged=judged,
                epochs=epochs,
                command=command,
                licence=base.licence.format(name=base_name),
            )
    shutil.rmtree(state, ignore_errors=True)
    return Finetuned(output / model.relative_to(folder), names, epochs, judged)


@contextmanager
def _placed(output: Path, replaces: bool) -> Iterator[Path]:
    """A folder to write the model into, ``output`` or one that takes its place at the end: not by
    file, since whoever loads the model meanwhile would get parts of both."""
    if not replaces:
        yield output
        return
    place = Path(os.path.realpath(output))  # or a link would be replaced, and not what it names
    folder = unfinished(place)
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
    try:
        folder.mkdir()
        shutil.copymode(place, folder)
        yield folder
        publish(folder, place)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # what was there, and the state


def _check_output(output: Path, *, resume: bool, overwrite: bool) -> bool:
    """Whether a model is there that is to be replaced."""
    if output.exists() and not output.is_dir():
        raise UnusableError(f"--output {output} is a file, not a folder")
    there = {path.name for path in output.iterdir()} if output.exists() else set()
    if resume and _STATE not in there:
        raise UnusableError(f"--resume: there is no state in {output} to go on from")
    if _STATE in there and not resume and not overwrite:
        raise ConflictError(
            f"{output} holds a run that was not finished: go on by --resume, or begin anew by"
            " --overwrite"
        )
    if there - {_STATE} and not overwrite and not resume:
        raise ConflictError(f"{output} is not empty: name another --output, or say --overwrite")
    if strange := sorted(there - _WRITTEN - {unfinished(output / name).name for name in _WRITTEN}):
        raise ConflictError(
            f"{output} holds {strange[0]}, which finetune has not written and would remove: name"
            " another --output"
        )
    if os.path.ismount(output) and there - {_STATE}:
        raise ConflictError(f"{output} is a mount point: name a folder in it as --output")
    return bool(there - {_STATE})


def card_record(done: Finetuned) -> str:
    """What came of it, as a line of JSON."""
    return json.dumps(asdict(done), ensure_ascii=False, default=str)
