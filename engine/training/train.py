"""The training loop: deterministic by seed, resumable at any step, checked on unseen speakers."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from emotion_search.engine.audio.file import decode
from emotion_search.engine.embedders.acoustic.model import Acoustic
from emotion_search.engine.embedders.voice.model import LONGEST, emphasis, own_part, write_weights
from emotion_search.engine.embedders.voice.network import DIMENSION, KEPT, EmotionNetwork
from emotion_search.engine.files.atomic import put_torch
from emotion_search.engine.quality.labelled import LabelledVectors
from emotion_search.engine.quality.retrieval import Gallery, judge
from emotion_search.engine.training.batches import Batch, Corpus, draw, length, padded
from emotion_search.engine.training.objective import CLASSES, Objective
from emotion_search.index.disk.sync import make_folders
from emotion_search.index.errors import InvalidInputError

_MOST_CHECKED = 2000  # clips of a corpus that a check embeds


@dataclass(frozen=True)
class Plan:
    """How to train; the same plan on the same corpora gives the same weights.

    Attributes:
        steps: of one batch each.
        batch: clips of a batch; the corpus with the longest clips, the nearest to speech, gives
            three quarters, the others share the rest.
        rate: highest learning rate of the encoder's blocks, reached after 10 % of the steps and
            falling to zero as a cosine.
        head_rate: the same of all that is new.
        averaging: of the weights that are kept, exponentially over steps.
        seed: of what is new in the network, from which all runs start.
        run: which of several this is; each draws other batches.
        left_out: speakers by corpus who are not trained on, but checked.
        check_every: steps between checks.
    """

    steps: int = 300
    batch: int = 48
    rate: float = 1e-4
    head_rate: float = 2e-3
    averaging: float = 0.98
    seed: int = 0
    run: int = 0
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    check_every: int = 200


class Trainer:
    """A network on its way from Whisper's weights to tuned ones.

    Args:
        corpora: by name.
        plan: what to do.
        encoder: Whisper's weights, by the names of ``Encoder``.
        folder: where the state is kept; a state of the same plan there is gone on from.
        tell: called with a line now and then.

    Raises:
        InvalidInputError: a corpus has no clips left, or the folder holds another plan's state.
    """

    def __init__(
        self,
        corpora: Mapping[str, Corpus],
        plan: Plan,
        encoder: Mapping[str, Tensor],
        folder: Path,
        tell: Callable[[str], None] = print,
    ) -> None:
        self._corpora, self._plan, self._tell = corpora, plan, tell
        self._state_path = folder / "state.pt"
        make_folders(folder)
        torch.manual_seed(plan.seed)
        self._rows = {name: _rows(name, corpus, plan) for name, corpus in corpora.items()}
        self._speech = max(corpora, key=lambda name: corpora[name].variants[0].sizes.mean())
        self._sizes = _sizes(corpora, self._speech, plan.batch)
        self.network = EmotionNetwork()
        self.network.encoder.load_state_dict(dict(encoder))
        self.network.encoder.requires_grad_(requires_grad=False)
        tuned = self.network.encoder.blocks[KEPT:].requires_grad_()
        self.objective = Objective(DIMENSION, corpora)
        self.averaged = copy.deepcopy(self.network).eval()
        new = [*self.network.embedding.parameters(), *self.objective.parameters()]
        self._optimizer = torch.optim.AdamW(
            [
                {"params": [*tuned.parameters()], "lr": plan.rate, "weight_decay": 0.05},
                {"params": new, "lr": plan.head_rate, "weight_decay": 0.02},
            ]
        )
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimizer, plan_rate(plan.steps))
        self._step = 0
        torch.manual_seed(plan.seed + 1000 * plan.run)  # what dropout draws
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
        rows = _left_out_rows(corpus, self._plan.left_out[name])[:_MOST_CHECKED]
        data = LabelledVectors(
            embed_rows(self.averaged, corpus, rows),
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

    def average(self, others: Sequence[Trainer]) -> None:
        """Take the mean of the averaged weights over this run and others that started alike
        (Wortsman et al., *Model soups*, ICML 2022)."""
        for mine, *theirs in zip(
            self._kept().values(), *(one._kept().values() for one in others), strict=True
        ):
            if mine.dtype.is_floating_point:
                mine.copy_(torch.stack([mine, *theirs]).mean(dim=0))
        for name in self._plan.left_out:
            self._tell(self.check(name))

    def write(self, path: Path, about: Mapping[str, Any]) -> None:
        """Write the averaged weights, what turns embeddings into vectors and scores, and ``about``
        them."""
        corpus, rows = self._corpora[self._speech], self._rows[self._speech]
        unit = torch.from_numpy(embed_rows(self.averaged, corpus, rows))
        clips = [decode(corpus.clips[row].path, end=LONGEST) for row in rows]
        beside = functional.normalize(torch.from_numpy(Acoustic().embed(clips).vectors))
        labels = torch.from_numpy(corpus.labels[rows])

        def by_label(of: Tensor) -> Tensor:
            return torch.stack(
                [of[labels == one].mean(dim=0) for one in sorted({*labels.tolist()})]
            )

        weaker = emphasis(by_label(unit))
        fitted = {
            "map": weaker,
            "beside_map": emphasis(by_label(beside)),
            "centre": by_label(own_part(unit, weaker)).mean(dim=0),
            "classes": functional.normalize(self.objective.classes.detach()) @ weaker,
        }
        kept = {"classes": list(CLASSES), "about": dict(about)}
        make_folders(path.parent)
        write_weights(path, self.averaged, fitted, kept)

    def _one(self) -> float:
        random = np.random.default_rng([self._plan.seed, self._plan.run, self._step])
        frames = length(random)
        batches: dict[str, Batch] = {
            name: draw(corpus, self._rows[name], self._sizes[name], frames, random)
            for name, corpus in self._corpora.items()
        }
        self.network.train()
        spectra, known = padded([one for batch in batches.values() for one in batch.spectra])
        with torch.autocast("cpu", torch.bfloat16):
            statistics = self.network.statistics(spectra, known)
        together = self.network.embed(statistics)
        parts = torch.split(together, [self._sizes[name] for name in batches])
        loss: Tensor = self.objective(dict(zip(batches, parts, strict=True)), batches)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self._optimizer.step()
        self._schedule.step()
        self._step += 1
        self._average()
        return loss.item()

    def _kept(self) -> dict[str, Tensor]:
        return {**self.averaged.state_dict(), "classes": self.objective.classes.data}

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(self._plan.averaging, self._step / (self._step + 9))
        pairs = zip(
            self.averaged.state_dict().values(), self.network.state_dict().values(), strict=True
        )
        for kept, new in pairs:
            if kept.dtype.is_floating_point:
                kept.mul_(keep).add_(new, alpha=1 - keep)
            else:
                kept.copy_(new)

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


def plan_rate(steps: int) -> Callable[[int], float]:
    """Share of the highest learning rate by step: rising for 10 %, then falling to zero."""
    return lambda step: (
        min(1.0, (step + 1) / (0.1 * steps)) * 0.5 * (1 + math.cos(math.pi * step / steps))
    )


def embed_rows(
    network: EmotionNetwork, corpus: Corpus, rows: NDArray[np.intp]
) -> NDArray[np.float32]:
    """L2-normalised embeddings of the network, (n, dimension), of clips as they are."""
    with torch.inference_mode():
        spectra = (torch.from_numpy(corpus.spectrum(row).T[None].copy()) for row in rows)
        return np.stack([functional.normalize(network(one))[0].numpy() for one in spectra])


def _rows(name: str, corpus: Corpus, plan: Plan) -> NDArray[np.intp]:
    rows = np.setdiff1d(
        np.arange(len(corpus.clips)), _left_out_rows(corpus, plan.left_out.get(name, ()))
    )
    if not len(rows):
        raise InvalidInputError(f"corpus {name} has no clips left to train on")
    return rows


def _left_out_rows(corpus: Corpus, speakers: tuple[str, ...]) -> NDArray[np.intp]:
    return np.flatnonzero([clip.speaker in speakers for clip in corpus.clips])


def _sizes(corpora: Mapping[str, Corpus], speech: str, batch: int) -> dict[str, int]:
    rest = [name for name in corpora if name != speech]
    sizes = {name: max(batch // 4 // len(rest), 2) for name in rest}
    return {name: sizes.get(name, batch - sum(sizes.values())) for name in corpora}
