"""What can be tuned: emotion2vec checkpoints and the built-in network, behind one protocol."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from emotion_search.engine.audio.file import FRAME_HOP, SHORTEST, Samples
from emotion_search.engine.embedders.acoustic.features import CHANNELS, features
from emotion_search.engine.embedders.acoustic.model import WEIGHTS, fingerprint_of, read_weights
from emotion_search.engine.embedders.acoustic.network import Shape, VoiceNetwork
from emotion_search.engine.embedders.emotion2vec.checkpoint import read_checkpoint
from emotion_search.engine.embedders.emotion2vec.model import english
from emotion_search.engine.training.batches import length, vary
from emotion_search.index.errors import InvalidInputError

Rows = NDArray[np.float16]


class Base(Protocol):
    """A model to be tuned.

    Attributes:
        classes: of its scores before; empty if it gives none.
        cosine: whether its head takes cosines (the built-in model's), else it is linear.
        most: layers that can be tuned at most, from the top.
        rate: learning rate that suits its layers.
        fingerprint: hex sha256 of weights and configuration, as the archive knows it.
    """

    fingerprint: str
    classes: tuple[str, ...]
    cosine: bool
    most: int
    rate: float

    def hear(self, samples: Samples, layers: int) -> tuple[Tensor, Rows]:
        """The vector (dim,) that the head gets, on the CPU, and what the top ``layers`` get,
        float16 (rows, width), of a clip."""

    def own(self) -> tuple[Tensor, Tensor]:
        """Weight (classes, dim) and bias (classes,) of its own head, on the CPU."""

    def top(self, layers: int) -> nn.Module:
        """The layers that are tuned, their parameters ready to be; in place."""

    def vectors(self, some: Sequence[Rows], random: np.random.Generator | None) -> Tensor:
        """Vectors (n, dim), on the device, of what ``hear`` gave; varied by ``random`` in
        training."""


class CheckpointBase:
    """A checkpoint folder of FunASR's class ``Emotion2vec``; its layers are transformer blocks."""

    cosine = False
    rate = 5e-5

    def __init__(self, folder: Path, device: torch.device) -> None:
        self.folder, self._device = folder, device
        self.checkpoint = read_checkpoint(folder)
        self.fingerprint = self.checkpoint.fingerprint
        self.module: Any = self.checkpoint.module.to(device)
        self._normalise = bool(self.checkpoint.conf.get("normalize", False))
        labels = self.checkpoint.labels
        self._used = [i for i, label in enumerate(labels) if not label.startswith("unuse")]
        self.classes = tuple(english(labels[i]) for i in self._used)
        self.most = len(self.module.blocks)
        self._extra = int(self.module.modality_encoders["AUDIO"].modality_cfg.num_extra_tokens)
        self._layers = 0
        self._bias: Tensor | None = None

    def hear(self, samples: Samples, layers: int) -> tuple[Tensor, Rows]:
        """See ``Base``; the rows are tokens, the extra ones first."""
        with torch.inference_mode():
            held, found = self._run(torch.tensor(samples).to(self._device), layers)
        vector = found.mean(dim=0).float().cpu()
        return vector, held[0].half().cpu().numpy() if layers else np.empty((0, 0), np.float16)

    def own(self) -> tuple[Tensor, Tensor]:
        """See ``Base``."""
        proj = self.module.proj
        return proj.weight[self._used].cpu().clone(), proj.bias[self._used].cpu().clone()

    def top(self, layers: int) -> nn.Module:
        """See ``Base``."""
        self._layers = layers
        blocks = nn.ModuleList(list(self.module.blocks)[len(self.module.blocks) - layers :])
        for parameter in blocks.parameters():  # mapped from the checkpoint's file until here
            parameter.data = parameter.data.clone()
            parameter.requires_grad_()
        return blocks

    def vectors(self, some: Sequence[Rows], random: np.random.Generator | None) -> Tensor:
        """See ``Base``. Padding is exact here: what looks at neighbours lies below."""
        x = pad_sequence([torch.tensor(one) for one in some], batch_first=True)
        x = x.to(self._device).float()
        sizes = torch.tensor([len(one) for one in some], device=self._device)
        padded = torch.arange(x.shape[1], device=self._device)[None] >= sizes[:, None]
        bias = self._bias_of(x.shape[1])
        for block in list(self.module.blocks)[self.most - self._layers :]:
            block.train(random is not None)
            x, _ = block(x, padding_mask=padded, alibi_bias=bias)
        real = (~padded)[:, self._extra :, None]
        return (x[:, self._extra :] * real).sum(dim=1) / real.sum(dim=1)

    def _run(self, wave: Tensor, layers: int) -> tuple[Tensor, Tensor]:
        """What reaches the top ``layers``, (1, tokens, dim), and the features, (frames, dim)."""
        seen: list[Tensor] = []

        def keep(_module: nn.Module, given: Any, named: Any) -> None:
            seen.append(given[0])
            self._last_bias = named["alibi_bias"]

        block = self.module.blocks[self.most - max(layers, 1)]
        handle = block.register_forward_pre_hook(keep, with_kwargs=True)
        try:
            source = functional.layer_norm(wave, wave.shape) if self._normalise else wave
            found = self.module.extract_features(source[None], padding_mask=None)["x"][0]
        finally:
            handle.remove()
        return seen[0], found

    def _bias_of(self, tokens: int) -> Tensor:
        """The attention bias of so many tokens: a corner of that of the longest clip so far."""
        if self._bias is None or self._bias.shape[-1] < tokens:
            samples = (tokens - self._extra - 1) * FRAME_HOP + SHORTEST
            noise = torch.randn(samples, generator=torch.Generator().manual_seed(0))
            with torch.no_grad():
                self.module.eval()
                self._run(noise.to(self._device), 1)
            self._bias = self._last_bias.detach().clone()
        return self._bias[..., :tokens, :tokens]


class NetworkBase:
    """The built-in network. Its layers, from the top: pooling and embedding, the residual blocks,
    the first convolutions."""

    cosine = True
    rate = 5e-5

    def __init__(self, weights: Path, device: torch.device) -> None:
        self.about, self.tensors = read_weights(weights)
        self.fingerprint = fingerprint_of(weights)
        shape = self.about["shape"]
        self.network = VoiceNetwork(Shape(**{**shape, "dilations": tuple(shape["dilations"])}))
        own = {k.removeprefix("network."): v for k, v in self.tensors.items() if k[:3] == "net"}
        self.network.load_state_dict(own, strict=False)
        self.network.eval().requires_grad_(requires_grad=False).to(device)
        self._device = device
        self.classes = tuple(self.about["classes"])
        network = self.network
        self._groups: list[list[nn.Module]] = [
            [network.embedding, network.described, network.pooled, network.attention],
            *([block] for block in reversed(network.blocks)),
            [network.join, network.spectral, network.prosodic],
        ]
        self.most = len(self._groups)

    def hear(self, samples: Samples, layers: int) -> tuple[Tensor, Rows]:
        """See ``Base``; the rows are frames of features."""
        with torch.inference_mode():
            heard = features(torch.tensor(samples))
            vector = self.network(heard[None].to(self._device))[0].cpu()
        return vector, heard.T.half().numpy() if layers else np.empty((0, 0), np.float16)

    def own(self) -> tuple[Tensor, Tensor]:
        """See ``Base``; no bias."""
        return self.tensors["classes"], torch.zeros(len(self.classes))

    def top(self, layers: int) -> nn.Module:
        """See ``Base``. Batch norms keep the statistics that they have: few clips have others."""
        chosen = nn.ModuleList([part for group in self._groups[:layers] for part in group])
        return chosen.requires_grad_()

    def vectors(self, some: Sequence[Rows], random: np.random.Generator | None) -> Tensor:
        """See ``Base``. In training all clips get one length, and are varied as when the shipped
        weights were trained."""
        self.network.training = random is not None  # for the dropout alone
        if random is None:
            each = [
                torch.from_numpy(one.astype(np.float32).T.reshape(1, CHANNELS, -1)) for one in some
            ]
            return torch.cat([self.network(one.to(self._device)) for one in each])
        frames = length(random)
        batch = np.stack([vary(one.astype(np.float32), frames, random).T for one in some])
        return self.network(torch.from_numpy(batch).to(self._device))  # type: ignore[no-any-return]


def open_base(name: str, folder: Path | None, device: torch.device) -> CheckpointBase | NetworkBase:
    """The model to tune: ``acoustic``, a ``.safetensors`` file, or the checkpoint in ``folder``.

    Raises:
        ModelUnavailableError: it is none of these, or broken.
    """
    if name == "acoustic":
        return NetworkBase(WEIGHTS, device)
    if folder is None:
        return NetworkBase(Path(name), device)
    return CheckpointBase(folder, device)


def check_layers(base: Base, layers: int) -> None:
    """Refuse a number of layers that there are not.

    Raises:
        InvalidInputError: names how many there are.
    """
    if not 0 <= layers <= base.most:
        raise InvalidInputError(
            f"--layers {layers}: this model has {base.most} layers that can be tuned; 0 trains the"
            " head alone"
        )
