"""The tuning loop over the top layers: deterministic by seed, resumable after any epoch."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from emotion_search.engine.files.atomic import put_torch
from emotion_search.engine.finetune.bases import Base
from emotion_search.engine.finetune.examples import Split
from emotion_search.engine.finetune.head import class_weights, logits_of, uar
from emotion_search.engine.training.prepare import ClipRows
from emotion_search.index.errors import ConflictError

_TOGETHER = 8  # batches whose clips are sorted by length
_CLIP = 1.0  # longest gradient
_SMOOTHING = 0.1  # of labels
_STATE = "state.pt"
_AVERAGING = 0.95  # of the weights that are judged and kept, exponentially over steps


@dataclass(frozen=True)
class Plan:
    """How to tune; the same plan on the same clips gives the same weights on the same machine.

    Attributes:
        task: whose labels.
        layers: tuned below the head, from the top.
        epochs: at most.
        patience: epochs without a better one before it stops.
        batch: clips of a step.
        rate: learning rate of the layers; that of the head is ten times it. None for the model's.
    """

    task: str = "emotion"
    layers: int = 0
    epochs: int = 20
    patience: int = 4
    batch: int = 16
    rate: float | None = None
    seed: int = 0
    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()


class Tuner:
    """Layers and head on their way to better ones; begins with the head that was trained alone.

    Args:
        described: what has to be the same for a state to be gone on from.
        folder: where the state is kept after each epoch.
        resume: go on from the state there.
        tell: called with a line now and then.

    Attributes:
        epochs: how many were done.
        gained: whether some epoch was better than what it began with.
    """

    def __init__(
        self,
        base: Base,
        inputs: ClipRows,
        labels: NDArray[np.int64],
        split: Split,
        plan: Plan,
        head: tuple[Tensor, Tensor],
        *,
        device: torch.device,
        described: str,
        folder: Path,
        resume: bool,
        tell: Callable[[str], None],
    ) -> None:
        self._base, self._inputs, self._labels, self._split = base, inputs, labels, split
        self._plan, self._device, self._tell = plan, device, tell
        self._path, self._described = folder / _STATE, described
        self.top = base.top(plan.layers)
        self.weight, self.bias = (
            nn.Parameter(tensor.detach().clone().to(device)) for tensor in head
        )
        rate = base.rate if plan.rate is None else plan.rate
        parameters = [*self.top.parameters()]
        self._trained = [*parameters, self.weight, self.bias]
        self._optimizer = torch.optim.AdamW(
            [
                {"params": parameters, "lr": rate},
                {"params": [self.weight], "lr": 10 * rate},
                {"params": [self.bias], "lr": 0.0 if base.cosine else 10 * rate},
            ],
            weight_decay=0.01,
        )
        self._weights = class_weights(labels[split.train], len(self.weight)).to(device)
        self.epochs, self._waited, self.gained = 0, 0, False
        if resume and self._path.exists():
            self._resume()
        else:
            self._averaged = self._copies()
            self._best = self._check()
            self._kept = self._copies()
            self._tell(f"before tuning: UAR {self._best[0]:.3f} on the validation speakers")

    def run(self) -> None:
        """Tune until it gets no better, and leave everything at its best."""
        plan = self._plan
        while self.epochs < plan.epochs and self._waited < plan.patience:
            loss = self._one_epoch()
            going = self._copies()
            self._set(self._averaged)
            found = self._check()
            self.epochs += 1
            if found > self._best:
                self._best, self._kept, self._waited = found, self._copies(), 0
                self.gained = True
            else:
                self._waited += 1
            self._set(going)
            self._save()
            mark = "  <- best" if self._waited == 0 else ""
            self._tell(
                f"epoch {self.epochs} of {plan.epochs}: loss {loss:.3f},"
                f" UAR {found[0]:.3f} on the validation speakers{mark}"
            )
        self._set(self._kept)

    def head(self) -> tuple[Tensor, Tensor]:
        """Weight and bias, on the CPU."""
        return self.weight.detach().cpu(), self.bias.detach().cpu()

    def _logits(self, rows: Sequence[int], random: np.random.Generator | None) -> Tensor:
        with torch.autocast(
            self._device.type, dtype=torch.bfloat16, enabled=self._device.type == "cuda"
        ):
            vectors = self._base.vectors([self._inputs.of(row) for row in rows], random)
        return logits_of(vectors.float(), self.weight, None if self._base.cosine else self.bias)

    def _one_epoch(self) -> float:
        plan, losses = self._plan, []
        random = np.random.default_rng([plan.seed, self.epochs])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(plan.seed * 100_003 + self.epochs)  # of dropout
            for rows in self._batches(random):
                wanted = torch.from_numpy(self._labels[rows]).to(self._device)
                logits = self._logits(rows, random)
                loss = functional.cross_entropy(
                    logits, wanted, weight=self._weights, label_smoothing=_SMOOTHING
                )
                self._optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(self._trained, _CLIP)
                self._optimizer.step()
                torch._foreach_lerp_(self._averaged, self._now(), 1 - _AVERAGING)
                losses.append(loss.item())
        return float(np.mean(losses))

    def _batches(self, random: np.random.Generator) -> list[list[int]]:
        """All training rows once, at random, clips of about the same length together."""
        order, batch = random.permutation(self._split.train).tolist(), self._plan.batch
        found = []
        for at in range(0, len(order), _TOGETHER * batch):
            some = sorted(order[at : at + _TOGETHER * batch], key=self._inputs.sizes.__getitem__)
            found += [some[i : i + batch] for i in range(0, len(some), batch)]
        random.shuffle(found)
        return found

    def _check(self) -> tuple[float, float]:
        """UAR and minus the loss on the validation rows."""
        rows = sorted(self._split.validation.tolist(), key=self._inputs.sizes.__getitem__)
        batch = self._plan.batch
        with torch.no_grad():
            logits = torch.cat(
                [self._logits(rows[i : i + batch], None) for i in range(0, len(rows), batch)]
            )
            wanted = torch.from_numpy(self._labels[rows]).to(self._device)
            loss = functional.cross_entropy(logits, wanted, weight=self._weights)
        return uar(self._labels[rows], logits.argmax(dim=1).cpu().numpy()), -float(loss)

    def _now(self) -> list[Tensor]:
        return [parameter.detach() for parameter in self._trained]

    def _copies(self) -> list[Tensor]:
        return [tensor.clone() for tensor in self._now()]

    @torch.no_grad()
    def _set(self, weights: Sequence[Tensor]) -> None:
        for parameter, tensor in zip(self._trained, weights, strict=True):
            parameter.copy_(tensor)

    def _save(self) -> None:
        state: dict[str, Any] = {
            "described": self._described,
            "epoch": self.epochs,
            "waited": self._waited,
            "gained": self.gained,
            "best": self._best,
            "now": self._now(),
            "averaged": self._averaged,
            "kept": self._kept,
            "optimizer": self._optimizer.state_dict(),
        }
        put_torch(self._path, state)

    def _resume(self) -> None:
        state = torch.load(self._path, weights_only=True, map_location=self._device)
        assert state["described"] == self._described  # see check_state
        self.epochs, self._waited = state["epoch"], state["waited"]
        self.gained = state["gained"]
        self._best = (state["best"][0], state["best"][1])
        self._kept = state["kept"]
        self._averaged = state["averaged"]
        self._set(state["now"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._tell(f"going on after epoch {self.epochs}")


def describe(plan: Plan, base: str, data: str) -> str:
    """What has to be the same to go on: the plan but for its end, the model and the labels."""
    kept = {k: v for k, v in asdict(plan).items() if k not in ("epochs", "patience")}
    return json.dumps({"plan": kept, "base": base, "data": data}, sort_keys=True)


def check_state(folder: Path, described: str) -> None:
    """Refuse to go on from a state of another run.

    Raises:
        ConflictError: the state in ``folder`` is one.
    """
    path = folder / _STATE
    if path.exists():
        state = torch.load(path, weights_only=True, map_location="cpu", mmap=True)
        if state["described"] != described:
            raise other_run(path)


def other_run(path: Path) -> ConflictError:
    """The error for a file that another run has left."""
    return ConflictError(
        f"{path} is of another model, plan or other labels: leave --resume out to begin anew, or"
        " name another --output"
    )
