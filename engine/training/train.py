"""The training loop: deterministic by seed, resumable at any step, checked on unseen speakers."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emotion_search.engine.embedders.acoustic.features import CHANNELS
from emotion_search.engine.embedders.acoustic.model import write_weights
from emotion_search.engine.embedders.acoustic.network import Shape, VoiceNetwork, descriptors
from emotion_search.engine.embedders.acoustic.statistics import Described
from emotion_search.engine.files.atomic import put_torch
from emotion_search.engine.quality.labelled import LabelledVectors
from emotion_search.engine.quality.retrieval import Gallery, judge
from emotion_search.engine.training.batches import Corpus, draw, length
from emotion_search.engine.training.objective import CLASSES, Objective
from emotion_search.engine.training.prepare import Variant
from emotion_search.index.errors import InvalidInputError

_MOST_CHECKED = 2000  # clips of a corpus that a check embeds
_SCALED_ON = 1500  # clips that the scale of the features is taken from


@dataclass(frozen=True)
class Plan:
    """How to train; the same plan on the same corpora gives the same weights.

    Attributes:
        steps: of one batch each.
        batch: clips of a batch; the largest corpus gives two thirds, the others share the rest.
        rate: highest learning rate, reached after 15 % of the steps, falling to zero.
        averaging: of the weights that are kept, exponentially over steps.
        left_out: speakers by corpus who are not trained on, but checked.
        check_every: steps between checks.
    """

    steps: int = 1200
    batch: int = 72
    rate: float = 1e-3
    decay: float = 0.05
    averaging: float = 0.998
    seed: int = 0
    shape: Shape = field(default_factory=Shape)
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    check_every: int = 400


class Trainer:
    """A network on its way from random weights to trained ones.

    Args:
        corpora: by name.
        plan: what to do.
        folder: where the state is kept; a state of the same plan there is gone on from.
        tell: called with a line now and then.

    Raises:
        InvalidInputError: a corpus has no clips left, or the folder holds another plan's state.
    """

    def __init__(
        self,
        corpora: Mapping[str, Corpus],
        plan: Plan,
        folder: Path,
        tell: Callable[[str], None] = print,
    ) -> None:
        self._corpora, self._plan, self._tell = corpora, plan, tell
        self._state_path = folder / "state.pt"
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(plan.seed)
        self._rows = {name: _rows(name, corpus, plan) for name, corpus in corpora.items()}
        self._sizes = _sizes(corpora, plan.batch)
        self.network = VoiceNetwork(plan.shape)
        self._scale_features()
        self.objective = Objective(plan.shape.dimension, corpora)
        self.averaged = copy.deepcopy(self.network).eval()
        parts = [*self.network.named_parameters(), *self.objective.named_parameters()]
        self._optimizer = torch.optim.AdamW(
            [
                {"params": [p for _, p in parts if p.ndim > 1], "weight_decay": plan.decay},
                {"params": [p for _, p in parts if p.ndim <= 1], "weight_decay": 0.0},
            ],
            lr=plan.rate,
        )
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer, plan.rate, total_steps=plan.steps, pct_start=0.15
        )
        self._step = 0
        if self._state_path.exists():
            self._resume()

    def run(self) -> None:
        """Train to the end of the plan."""
        plan, losses = self._plan, []
        while self._step < plan.steps:
            losses.append(self._one())
            if self._step % 50 == 0:
                self._save()
                self._tell(f"step {self._step} of {plan.steps}: loss {np.mean(losses):.3f}")
                losses = []
            if self._step % plan.check_every == 0 or self._step == plan.steps:
                for name in plan.left_out:
                    self._tell(self.check(name))

    def check(self, name: str) -> str:
        """A line on retrieval among the left-out speakers of a corpus."""
        corpus = self._corpora[name]
        rows = _left_out_rows(corpus, self._plan.left_out[name])
        vectors = embed_rows(self.averaged, corpus, rows[:_MOST_CHECKED])
        rows = rows[:_MOST_CHECKED]
        data = LabelledVectors(
            vectors,
            np.array(corpus.names)[corpus.labels[rows]],
            corpus.speakers[rows].astype(str),
            rows.astype(str),
            name,
        )
        gallery = Gallery.SPEAKER if len(np.unique(corpus.speakers[rows])) > 1 else Gallery.NONE
        judged = judge(data, gallery)
        return (
            f"step {self._step}: {name}, {len(rows)} clips of held-out speakers:"
            f" mAP {judged.values[:, 0].mean():.3f} (chance {judged.chance[:, 0].mean():.3f})"
        )

    def write(self, path: Path, about: Mapping[str, Any]) -> None:
        """Write the averaged weights, the map of descriptors, what turns embeddings into scores,
        and ``about`` them."""
        described = Described.fitted(self._descriptors())
        kept: dict[str, Any] = {
            "shape": asdict(self._plan.shape),
            "classes": list(CLASSES),
            "about": dict(about),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        write_weights(path, self.averaged, described, self.objective.classes, kept)

    def _descriptors(self) -> Tensor:
        """Descriptors of clips to train on, as they are, of the corpus with the longest clips: it
        is the nearest to speech."""

        def seconds(name: str) -> float:
            starts = self._corpora[name].variants[0].starts
            return float(np.diff(starts)[self._rows[name]].mean())

        name = max(self._corpora, key=seconds)
        variant, rows = self._corpora[name].variants[0], self._rows[name]
        if len(rows) > _MOST_CHECKED:
            rows = np.random.default_rng(self._plan.seed).choice(rows, _MOST_CHECKED, replace=False)
        with torch.inference_mode():
            return torch.cat([descriptors(features_of(variant, row)) for row in rows])

    def _one(self) -> float:
        random = np.random.default_rng([self._plan.seed, self._step])
        frames = length(random)
        batches = {
            name: draw(corpus, self._rows[name], self._sizes[name], frames, random)
            for name, corpus in self._corpora.items()
        }
        self.network.train()
        together = self.network(torch.cat([batch.features for batch in batches.values()]))
        parts = torch.split(together, [self._sizes[name] for name in batches])
        loss: Tensor = self.objective(dict(zip(batches, parts, strict=True)), batches)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self._optimizer.step()
        self._schedule.step()
        self._step += 1
        self._average()
        return loss.item()

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(self._plan.averaging, self._step / (self._step + 19))
        pairs = zip(
            self.averaged.state_dict().values(), self.network.state_dict().values(), strict=True
        )
        for kept, new in pairs:
            if kept.dtype.is_floating_point:
                kept.mul_(keep).add_(new, alpha=1 - keep)
            else:
                kept.copy_(new)

    def _scale_features(self) -> None:
        """Mean and deviation of each row of the features, from clips as they are."""
        random = np.random.default_rng(self._plan.seed)
        name = max(self._corpora, key=lambda one: len(self._rows[one]))
        rows, variant = self._rows[name], self._corpora[name].variants[0]
        some = random.choice(rows, min(_SCALED_ON, len(rows)), replace=False)
        frames = np.concatenate(
            [variant.rows[variant.starts[i] : variant.starts[i + 1]] for i in some]
        ).astype(np.float32)
        self.network.mean.copy_(torch.from_numpy(frames.mean(axis=0))[:, None])
        self.network.deviation.copy_(torch.from_numpy(frames.std(axis=0) + 1e-3)[:, None])

    def _described(self) -> str:
        """What has to be the same to go on: the plan, and the clips."""
        clips = {name: len(rows) for name, rows in self._rows.items()}
        return json.dumps(
            {"plan": asdict(self._plan), "clips": clips}, sort_keys=True, default=list
        )

    def _save(self) -> None:
        state = {
            "described": self._described(),
            "step": self._step,
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "objective": self.objective.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "random": torch.get_rng_state(),  # dropout draws from it
        }
        put_torch(self._state_path, state)

    def _resume(self) -> None:
        state = torch.load(self._state_path, weights_only=True)
        if state["described"] != self._described():
            raise InvalidInputError(
                f"{self._state_path} is of another plan or other clips; name another --work folder"
            )
        self._step = state["step"]
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.objective.load_state_dict(state["objective"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["random"])
        self._tell(f"going on from step {self._step}")


def embed_rows(
    network: VoiceNetwork, corpus: Corpus, rows: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Embeddings, (n, dimension), of clips as they are."""
    variant = corpus.variants[0]
    with torch.inference_mode():
        return np.stack([network(features_of(variant, row))[0].numpy() for row in rows])


def features_of(variant: Variant, row: int) -> Tensor:
    """Features, (1, ``CHANNELS``, frames), of a clip."""
    clip = variant.rows[variant.starts[row] : variant.starts[row + 1]]
    return torch.from_numpy(clip.astype(np.float32).T.reshape(1, CHANNELS, -1))


def _rows(name: str, corpus: Corpus, plan: Plan) -> NDArray[np.intp]:
    rows = np.setdiff1d(
        np.arange(len(corpus.clips)), _left_out_rows(corpus, plan.left_out.get(name, ()))
    )
    if not len(rows):
        raise InvalidInputError(f"corpus {name} has no clips left to train on")
    return rows


def _left_out_rows(corpus: Corpus, speakers: tuple[str, ...]) -> NDArray[np.intp]:
    return np.flatnonzero([clip.speaker in speakers for clip in corpus.clips])


def _sizes(corpora: Mapping[str, Corpus], batch: int) -> dict[str, int]:
    largest = max(corpora, key=lambda name: len(corpora[name].clips))
    rest = [name for name in corpora if name != largest]
    if not rest:
        return {largest: batch}
    each = batch // 3 // len(rest)
    sizes = {name: max(each, 2) for name in rest}
    return {name: sizes.get(name, batch - sum(sizes.values())) for name in corpora}
