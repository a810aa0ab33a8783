"""Fine-tuning from end to end: labelled clips in, a model folder with its card out."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.audio import Samples
from engine.decoding import Decoders
from engine.embedders.base import Embedder
from engine.embedders.device import pick_device
from engine.embedders.emotion2vec import english
from engine.embedders.loader import load_embedder
from engine.finetune.bases import Base, CheckpointBase, NetworkBase, check_layers, open_base
from engine.finetune.examples import Example, Split, data_hash, heard, split
from engine.finetune.head import CosineHead, LinearHead, train_head, uar
from engine.finetune.tune import Inputs, Plan, Tuner, describe
from engine.finetune.write import (
    NETWORK_FILE,
    Judgement,
    check_classes,
    mapping,
    write_card,
    write_checkpoint,
    write_network,
)
from engine.settings import Settings
from engine.storage import space_needed
from index.errors import InvalidInputError

_BATCH = 16  # clips that are embedded together in the end

Stored = Callable[[str, Sequence[int]], NDArray[np.float32] | None]
"""Of a model's fingerprint and ids of clips: their embeddings, where the archive has them all."""


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
    examples: Sequence[Example],
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
    """Tune ``base_name`` on the examples and write it to the folder ``output``.

    The head is trained first, on the vectors of the frozen base; then, with ``plan.layers``, the
    top layers and the head together. What is kept is what was best on the validation speakers, the
    head alone included.

    Args:
        source, command: what the card says the labels and the call were.
        stored: embeddings that are there already; then no audio is needed for a head alone.
        resume: go on from a state in ``output``.
        overwrite: put it over what is there.

    Raises:
        InvalidInputError: labels that nothing can be learned from, layers that there are not, an
            output that is there already, a state of something else.
        ModelUnavailableError: the base cannot be loaded.
        StorageFullError: no space for the model, or for what is kept on the way.
    """
    parts = split(examples, seed=plan.seed, validation=plan.validation, test=plan.test)
    classes, labels = np.unique([one.label for one in examples], return_inverse=True)
    names = tuple(map(str, classes))
    check_classes(names)
    device = pick_device(settings.device)
    base = open_base(base_name, _folder(base_name, settings), device)
    check_layers(base, plan.layers)
    state = output / "state"
    _check_output(output, resume=resume, overwrite=overwrite)
    data = data_hash(examples)
    described = describe(plan, base.fingerprint, data)
    with space_needed(output.parent):
        output.mkdir(parents=True, exist_ok=True)
        if not resume:
            shutil.rmtree(state, ignore_errors=True)
        state.mkdir(exist_ok=True)
        vectors, inputs = _heard_by(base, examples, plan, decoders, state, described, stored, tell)
        began = _own(base, names)
        own = None if began is None else _given(base, vectors, began)
        alone = _head(base, vectors, labels, parts, began)
        told = _given(base, vectors, alone)
        found = uar(labels[parts.validation], told[parts.validation])
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
        model = _write(base, output, names, head, plan, data)
    given = told
    if epochs:
        given = _classified(model, examples, parts, names, settings, decoders)
    judged = {
        name: Judgement(
            clips=len(rows),
            groups=_groups(examples, rows),
            own=None if own is None else uar(labels[rows], own[rows]),
            head=uar(labels[rows], told[rows]),
            tuned=uar(labels[rows], given[rows]),
            chance=1 / len(np.unique(labels[rows])),
        )
        for name, rows in (("validation", parts.validation), ("test", parts.test))
        if len(rows)
    }
    write_card(
        output,
        base=base_name,
        fingerprint=base.fingerprint,
        plan=plan,
        classes=names,
        before=mapping(names, base.classes),
        counts=Counter(one.label for one in examples),
        trained_groups=_groups(examples, parts.train),
        data=data,
        source=source,
        judged=judged,
        epochs=epochs,
        command=command,
        licence=_licence(base_name, base),
    )
    shutil.rmtree(state, ignore_errors=True)
    return Finetuned(model, names, epochs, judged)


def _folder(name: str, settings: Settings) -> Path | None:
    if name == "acoustic" or name.endswith(".safetensors"):
        return None
    from engine.embedders.hub import resolve

    return resolve(name, hub=settings.hub, timeout=settings.hub_timeout)


def _check_output(output: Path, *, resume: bool, overwrite: bool) -> None:
    if output.exists() and not output.is_dir():
        raise InvalidInputError(f"--output {output} is a file, not a folder")
    there = {path.name for path in output.iterdir()} if output.exists() else set()
    if resume and "state" not in there:
        raise InvalidInputError(f"--resume: there is no state in {output} to go on from")
    if "state" in there and not resume and not overwrite:
        raise InvalidInputError(
            f"{output} holds a run that was not finished: go on by --resume, or begin anew by"
            " --overwrite"
        )
    if there - {"state"} and not overwrite and not resume:
        raise InvalidInputError(f"{output} is not empty: name another --output, or say --overwrite")


def _heard_by(
    base: Base,
    examples: Sequence[Example],
    plan: Plan,
    decoders: Decoders,
    state: Path,
    described: str,
    stored: Stored,
    tell: Callable[[str], None],
) -> tuple[Tensor, Inputs | None]:
    """The vectors of all examples, (n, dim), and what the layers to tune get of them; kept in
    ``state``, and taken from there if they are of the same run."""
    mark, vectors_path = state / "heard.json", state / "vectors.npy"
    inputs_path, starts_path = state / "inputs.f16", state / "starts.npy"
    if mark.exists() and mark.read_text() == described:
        starts = np.load(starts_path)
        vectors = torch.from_numpy(np.load(vectors_path))
    else:
        found = None
        ids = [one.clip for one in examples if one.clip is not None]
        if not plan.layers and len(ids) == len(examples):
            found = stored(base.fingerprint, ids)
        if found is not None:
            tell(f"{len(examples)} embeddings taken from the archive")
            width = base.hear(np.zeros(16_000, np.float32), 0)[0].shape[0]
            return torch.from_numpy(found[:, :width].copy()), None
        starts, vectors = _hear_all(base, examples, plan, decoders, inputs_path, tell)
        np.save(starts_path, starts)
        np.save(vectors_path, vectors.numpy())
        mark.write_text(described)  # it is whole from here on
    if not plan.layers:
        return vectors, None
    width = inputs_path.stat().st_size // 2 // int(starts[-1])
    return vectors, Inputs(inputs_path, starts, width)


def _hear_all(
    base: Base,
    examples: Sequence[Example],
    plan: Plan,
    decoders: Decoders,
    path: Path,
    tell: Callable[[str], None],
) -> tuple[NDArray[np.int64], Tensor]:
    vectors: list[Tensor] = [torch.empty(0)] * len(examples)
    places = np.zeros((len(examples), 2), np.int64)
    at = 0
    with path.open("wb") as file:
        for done, clip in enumerate(heard(examples, decoders), start=1):
            vectors[clip.id], rows = base.hear(clip.samples, plan.layers)
            file.write(rows.tobytes())
            places[clip.id] = at, len(rows)
            at += len(rows)
            if done % 500 == 0:
                tell(f"{done} of {len(examples)} clips heard")
    return _in_order(path, places), torch.stack(vectors).float()


def _in_order(path: Path, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each clip's rows begin, (n + 1,); the file is put in the clips' order if it is not."""
    starts = np.concatenate([[0], places[:, 1].cumsum()])
    if not np.array_equal(places[:, 0], starts[:-1]) and starts[-1]:
        width = path.stat().st_size // 2 // int(starts[-1])
        rows = np.memmap(path, np.float16, "r", shape=(int(starts[-1]), width))
        temporary = path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            for begin, size in places.tolist():
                file.write(rows[begin : begin + size].tobytes())
        temporary.replace(path)
    return starts


def _own(base: Base, names: Sequence[str]) -> tuple[Tensor, Tensor] | None:
    """The base's own head for the labels; None where some label means none of its classes, or two
    mean the same."""
    wanted = [one for one in mapping(names, base.classes).values() if one is not None]
    if len(set(wanted)) < len(names):
        return None
    rows = [base.classes.index(one) for one in wanted]
    weight, bias = base.own()
    return weight[rows], bias[rows]


def _head(
    base: Base,
    vectors: Tensor,
    labels: NDArray[np.int64],
    parts: Split,
    began: tuple[Tensor, Tensor] | None,
) -> tuple[Tensor, Tensor]:
    """The head that is best on the validation rows, from the base's own or from none."""
    train, classes = vectors[parts.train], int(labels.max()) + 1
    head = (
        CosineHead(train, labels[parts.train], classes, None if began is None else began[0])
        if base.cosine
        else LinearHead(train, classes, began)
    )
    train_head(head, vectors, labels, parts.train, parts.validation)
    return head.folded()


def _given(base: Base, vectors: Tensor, head: tuple[Tensor, Tensor]) -> NDArray[np.int64]:
    """The class that a head gives to each vector."""
    weight, bias = head
    if base.cosine:
        vectors, weight = (torch.nn.functional.normalize(one) for one in (vectors, weight))
    return np.asarray((vectors @ weight.T + bias).argmax(dim=1).numpy())


def _write(
    base: Base,
    output: Path,
    names: Sequence[str],
    head: tuple[Tensor, Tensor],
    plan: Plan,
    data: str,
) -> Path:
    if isinstance(base, CheckpointBase):
        write_checkpoint(base, output, names, head)
        return output
    about = {"tuned": {"task": plan.task, "layers": plan.layers, "seed": plan.seed, "data": data}}
    assert isinstance(base, NetworkBase)
    write_network(base, output, names, head, {**base.about.get("about", {}), **about})
    return output / NETWORK_FILE


def _classified(
    model: Path,
    examples: Sequence[Example],
    parts: Split,
    names: Sequence[str],
    settings: Settings,
    decoders: Decoders,
) -> NDArray[np.int64]:
    """The labels that the written model gives to what was not trained on, from the audio, loaded as
    any model is; -1 for the rest."""
    embedder = load_embedder(str(model), settings)
    assert embedder.classes == tuple(
        names if model.suffix == ".safetensors" else map(english, names)
    )
    rows = np.concatenate([parts.validation, parts.test]).tolist()
    given = np.full(len(examples), -1)
    waiting = []
    for clip in heard([examples[row] for row in rows], decoders):
        waiting.append((rows[clip.id], clip.samples))
        if len(waiting) == _BATCH:
            _classify(embedder, waiting, given)
            waiting = []
    if waiting:
        _classify(embedder, waiting, given)
    return given


def _classify(
    embedder: Embedder, waiting: list[tuple[int, Samples]], given: NDArray[np.int64]
) -> None:
    scores = embedder.embed([samples for _, samples in waiting]).scores
    given[[row for row, _ in waiting]] = scores.argmax(axis=1)


def _groups(examples: Sequence[Example], rows: NDArray[np.intp]) -> tuple[str, ...]:
    return tuple(sorted({examples[row].group for row in rows.tolist()}))


def _licence(name: str, base: Base) -> str:
    if isinstance(base, CheckpointBase):
        return (
            f"Derived from `{name}`, whose terms hold for it. The authors of emotion2vec have not"
            " stated a licence for their weights (ddlBoJack/emotion2vec issue 78): settle for"
            " yourself whether your use, and handing this on, is covered."
        )
    return (
        f"Derived from `{name}`. The weights that ship with emotion-search are under the Apache"
        " License 2.0; weights of your own have the terms that you give them. The labels and"
        " recordings that it was tuned on may have terms of their own."
    )


def card_record(done: Finetuned) -> str:
    """What came of it, as a line of JSON."""
    return json.dumps(
        {
            "model": str(done.model),
            "classes": list(done.classes),
            "epochs": done.epochs,
            "judged": {name: vars(one) for name, one in done.judged.items()},
        },
        ensure_ascii=False,
    )
