"""Emotion2vec with its head as a module that ONNX can express: one clip of any length."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from emotion_search.engine.embedders.emotion2vec.checkpoint import Checkpoint
from emotion_search.engine.embedders.emotion2vec.forward import alibi_slopes


class Emotion2vecGraph(nn.Module):
    """What ``emotion2vec.forward.Forward`` computes, by FunASR's layers one after the other.

    Args:
        checkpoint: its module stays as it is.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        module, conf = checkpoint.module, checkpoint.conf
        encoder = module.modality_encoders["AUDIO"]
        self._normalise = bool(conf.get("normalize", False))
        self._heads = int(conf["num_heads"])
        self._eps = float(conf.get("norm_eps", 1e-5))
        self.convolutions = encoder.local_encoder.conv_layers
        self.project = encoder.project_features
        self.positions = encoder.relative_positional_encoder
        self.blocks: Any = nn.ModuleList([*encoder.context_encoder.blocks, *module.blocks])
        self.norm = encoder.context_encoder.norm
        self.extra = nn.Parameter(encoder.extra_tokens[0].detach(), requires_grad=False)
        slopes = (
            torch.tensor(alibi_slopes(self._heads)) * encoder.alibi_scale.clamp_min(0).flatten()
        )
        self.slopes = nn.Parameter(slopes.detach()[:, None, None], requires_grad=False)
        self.head: nn.Linear | None = None
        if checkpoint.used and checkpoint.labels:
            used = checkpoint.used
            self.head = nn.Linear(int(conf["embed_dim"]), len(used))
            self.head.weight = nn.Parameter(module.proj.weight[used], requires_grad=False)
            self.head.bias = nn.Parameter(module.proj.bias[used], requires_grad=False)

    def forward(self, samples: Tensor) -> tuple[Tensor, ...]:
        """Vector (1, dim) and, with a head, scores (1, classes), of samples: float32, (1, n)."""
        x = samples[:, None]
        if self._normalise:
            x = x - x.mean(dim=2, keepdim=True)
            x = x / (x.square().mean(dim=2, keepdim=True) + 1e-5).sqrt()
        for convolution in self.convolutions:
            x = convolution[0](x)
            x = F.gelu(_norm(x.transpose(1, 2), convolution[2][1])).transpose(1, 2)
        _, norm, linear = self.project
        x = linear(_norm(x.transpose(1, 2), norm))
        y = x.transpose(1, 2)
        for layer in list(self.positions)[1:-1]:
            y = F.conv1d(
                y, layer[0].weight, layer[0].bias, padding=layer[0].padding, groups=layer[0].groups
            )
            y = F.gelu(F.layer_norm(y.transpose(1, 2), (x.shape[2],))).transpose(1, 2)
        x = torch.cat([self.extra[None], x + y.transpose(1, 2)], dim=1)
        bias = self._bias(x)
        x = self._layer_norm(x, self.norm)
        for block in self.blocks:
            x = self._layer_norm(x + self._attend(block.attn, x, bias), block.norm1)
            x = self._layer_norm(x + block.mlp.fc2(F.gelu(block.mlp.fc1(x))), block.norm2)
        vector = x[:, len(self.extra) :].mean(dim=1)
        return (vector,) if self.head is None else (vector, self.head(vector).softmax(dim=1))

    def _attend(self, attention: Any, x: Tensor, bias: Tensor) -> Tensor:
        parts = attention.qkv(x).unflatten(2, (3, self._heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = parts[0], parts[1], parts[2]
        likeness = query @ key.transpose(2, 3) * query.shape[3] ** -0.5 + bias
        seen = likeness.softmax(dim=3) @ value
        found: Tensor = attention.proj(seen.transpose(1, 2).flatten(2))
        return found

    def _bias(self, x: Tensor) -> Tensor:
        """ALiBi: see ``emotion2vec.forward.Forward``."""
        at = torch.arange(x.shape[1], device=x.device).to(torch.float32)
        distance = (at[:, None] - at[None]).abs()
        within = (at >= len(self.extra)).to(torch.float32)
        return -distance * (within[:, None] * within[None]) * self.slopes

    def _layer_norm(self, x: Tensor, norm: Any) -> Tensor:
        return F.layer_norm(x, (x.shape[2],), norm.weight, norm.bias, self._eps)


def _norm(x: Tensor, norm: Any) -> Tensor:
    return F.layer_norm(x, (x.shape[2],), norm.weight, norm.bias)
