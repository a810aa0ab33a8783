"""Fine-tuning of emotion2vec checkpoints: which layers are tuned, and how one is written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from emotion_search.engine.audio.file import FRAME_HOP, SHORTEST, Samples
from emotion_search.engine.embedders.emotion2vec.checkpoint import read_checkpoint
from emotion_search.engine.embedders.emotion2vec.model import english
from emotion_search.engine.files.atomic import put, put_torch
from emotion_search.engine.finetune.examples import Rows
from emotion_search.index.errors import UnusableError

_UNKNOWN = "unuse_unk"
"""FunASR's tokenizer wants a symbol for what it does not know; a class whose name begins so gets no
score from FunASR, nor here."""


class CheckpointBase:
    """A checkpoint folder of FunASR's class ``Emotion2vec``; its layers are transformer blocks."""

    cosine = False
    rate = 5e-5
    large = True
    licence = (
        "Derived from `{name}`, whose terms hold for it. The authors of emotion2vec have not stated"
        " a licence for their weights (ddlBoJack/emotion2vec issue 78): settle for yourself whether"
        " your use, and handing this on, is covered."
    )

    def __init__(self, folder: Path, device: torch.device) -> None:
        self._folder, self._device = folder, device
        checkpoint = read_checkpoint(folder)
        self.fingerprint = checkpoint.fingerprint
        self._module: Any = checkpoint.module.to(device)
        self._normalise = bool(checkpoint.conf.get("normalize", False))
        self._used = checkpoint.used
        self.classes = tuple(english(checkpoint.labels[i]) for i in self._used)
        self.most = len(self._module.blocks)
        self._extra = int(self._module.modality_encoders["AUDIO"].modality_cfg.num_extra_tokens)
        self._layers = 0
        self._bias: Tensor | None = None

    def encode(self, samples: Samples, layers: int) -> tuple[Tensor, Rows]:
        """See ``Base``; the rows are tokens, the extra ones first."""
        with torch.inference_mode():
            given, found = self._run(torch.tensor(samples).to(self._device), layers)
        vector = found.mean(dim=0).float().cpu()
        return vector, given[0].half().cpu().numpy() if layers else np.empty((0, 0), np.float16)

    def head(self) -> tuple[Tensor, Tensor]:
        """See ``Base``."""
        proj = self._module.proj
        return proj.weight[self._used].cpu().clone(), proj.bias[self._used].cpu().clone()

    def top(self, layers: int) -> nn.Module:
        """See ``Base``."""
        self._layers = layers
        blocks = nn.ModuleList(list(self._module.blocks)[len(self._module.blocks) - layers :])
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
        for block in list(self._module.blocks)[self.most - self._layers :]:
            block.train(random is not None)
            x, _ = block(x, padding_mask=padded, alibi_bias=bias)
        real = (~padded)[:, self._extra :, None]
        return (x[:, self._extra :] * real).sum(dim=1) / real.sum(dim=1)

    def write(
        self,
        folder: Path,
        classes: Sequence[str],
        head: tuple[Tensor, Tensor],
        about: Mapping[str, Any],
    ) -> Path:
        """A checkpoint folder; see ``Base``. ``about`` has no place in it.

        ``tokens.txt`` names the classes in order, then ``unuse_unk``, whose row of the head is
        zero.
        """
        state = {
            f"d2v_model.{name}": value.detach().cpu().contiguous().clone()
            for name, value in self._module.state_dict().items()
            if not name.startswith("proj.")
        }
        weight, bias = head
        state["proj.weight"] = torch.cat([weight, torch.zeros(1, weight.shape[1])]).contiguous()
        state["proj.bias"] = torch.cat([bias, torch.zeros(1)])
        config = yaml.safe_load((self._folder / "config.yaml").read_text(encoding="utf-8"))
        config |= {
            "scope_map": ["d2v_model.", "none"],
            "tokenizer": "CharTokenizer",
            "tokenizer_conf": {"unk_symbol": _UNKNOWN, "split_with_space": True},
        }
        metas = {
            "init_param": "model.pt",
            "config": "config.yaml",
            "tokenizer_conf": {"token_list": "tokens.txt"},
        }
        configuration = {
            "framework": "pytorch",
            "model": {"type": "funasr"},
            "file_path_metas": metas,
        }
        put(folder / "tokens.txt", "\n".join([*classes, _UNKNOWN]))
        put(folder / "config.yaml", yaml.safe_dump(config, allow_unicode=True))
        put(folder / "configuration.json", json.dumps(configuration))
        put_torch(folder / "model.pt", {"model": state})
        return folder

    def _run(self, wave: Tensor, layers: int) -> tuple[Tensor, Tensor]:
        """What reaches the top ``layers``, (1, tokens, dim), and the features, (frames, dim)."""
        seen: list[Tensor] = []

        def keep(_module: nn.Module, arguments: Any, named: Any) -> None:
            seen.append(arguments[0])
            self._last_bias = named["alibi_bias"]

        block = self._module.blocks[self.most - max(layers, 1)]
        handle = block.register_forward_pre_hook(keep, with_kwargs=True)
        try:
            source = functional.layer_norm(wave, wave.shape) if self._normalise else wave
            found = self._module.extract_features(source[None], padding_mask=None)["x"][0]
        finally:
            handle.remove()
        return seen[0], found

    def _bias_of(self, tokens: int) -> Tensor:
        """The attention bias of so many tokens: a corner of that of the longest clip so far."""
        if self._bias is None or self._bias.shape[-1] < tokens:
            samples = (tokens - self._extra - 1) * FRAME_HOP + SHORTEST
            noise = torch.randn(samples, generator=torch.Generator().manual_seed(0))
            with torch.no_grad():
                self._module.eval()
                self._run(noise.to(self._device), 1)
            self._bias = self._last_bias.detach().clone()
        return self._bias[..., :tokens, :tokens]


def check_classes(classes: Sequence[str]) -> None:
    """Refuse names that a checkpoint cannot hold.

    Raises:
        InvalidInputError: names the class.
    """
    for name in classes:
        one_line = name.splitlines() == [name]  # as the file of class names is read
        if name.startswith("unuse") or "/" in name or name == "<unk>" or not one_line:
            raise UnusableError(
                f"the label {name!r} cannot be a class of a checkpoint (one line, no slash, not"
                " <unk>, and it may not begin with unuse): change the label"
            )
    for name, count in Counter(name.strip().lower() for name in classes).items():
        if count > 1:
            raise UnusableError(f"{count} labels differ from {name} in their case alone: merge")
