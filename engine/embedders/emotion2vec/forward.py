"""Forward pass over emotion2vec's weights: packed clips of any length, no padding.

The network is that of Ma et al. (Findings of ACL 2024), a data2vec 2.0 (Baevski et al., ICML 2023)
over wav2vec 2.0's convolutions; every step gives what FunASR's module gives for a clip alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

from emotion_search.engine.embedders.emotion2vec.linear import Linear, Tensor

_CACHED_TOKENS = 1_600
"""Longest clip (32 s) whose attention bias is kept; longer ones are attended to in chunks."""
_CHUNK = 256  # queries of a long clip at a time
_ROWS = 2_048  # frames of the first convolution at a time: they stay in the processor's cache

Norm = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class _Convolution:
    linear: Linear
    kernel: int
    stride: int
    norm: Norm


@dataclass(frozen=True, eq=False)
class _Positional:
    weight: Tensor
    bias: Tensor
    padding: int
    groups: int


@dataclass(frozen=True, eq=False)
class _Block:
    qkv: Linear
    out: Linear
    norm1: Norm
    up: Linear
    down: Linear
    norm2: Norm


class Forward:
    """Frame features of packs of clips.

    Args:
        module: FunASR's module with weights, on the device to run on.
        conf: its configuration.
        linear: makes a linear layer of a weight (out, in) and a bias (out,).
        dtype: of matrix products and attention; residuals and norms stay float32.
    """

    def __init__(
        self,
        module: Any,
        conf: dict[str, Any],
        *,
        linear: Callable[[Tensor, Tensor | None], Linear],
        dtype: torch.dtype,
    ) -> None:
        encoder = module.modality_encoders["AUDIO"]
        self._dtype = dtype
        self._heads = int(conf["num_heads"])
        self._eps = float(conf.get("norm_eps", 1e-5))
        self._normalise = bool(conf.get("normalize", False))
        self._convolutions = [
            _Convolution(
                # (out, in, kernel) as a matrix over time-major windows (kernel, in)
                linear(conv[0].weight.transpose(1, 2).flatten(1), None),
                conv[0].kernel_size[0],
                conv[0].stride[0],
                _norm(conv[2][1]),
            )
            for conv in encoder.local_encoder.conv_layers
        ]
        _, norm, project = encoder.project_features
        self._project_norm = _norm(norm)
        self._project = linear(project.weight, project.bias)
        self._positional = [
            _Positional(
                layer[0].weight.to(dtype, copy=True),
                layer[0].bias.to(dtype, copy=True),
                layer[0].padding[0],
                layer[0].groups,
            )
            for layer in list(encoder.relative_positional_encoder)[1:-1]
        ]
        self._extra = encoder.extra_tokens[0].clone()
        self._norm = _norm(encoder.context_encoder.norm)
        self._blocks = [
            _Block(
                qkv=linear(block.attn.qkv.weight, block.attn.qkv.bias),
                out=linear(block.attn.proj.weight, block.attn.proj.bias),
                norm1=_norm(block.norm1),
                up=linear(block.mlp.fc1.weight, block.mlp.fc1.bias),
                down=linear(block.mlp.fc2.weight, block.mlp.fc2.bias),
                norm2=_norm(block.norm2),
            )
            for block in (*encoder.context_encoder.blocks, *module.blocks)
        ]
        slopes = torch.tensor(alibi_slopes(self._heads), device=self._extra.device)
        self._slopes = slopes * encoder.alibi_scale.clamp_min(0).flatten()
        self._bias = self._make_bias(range(0), 0)

    @torch.inference_mode()
    def __call__(self, waves: Sequence[Tensor]) -> list[Tensor]:
        """Features of each wave (float32, (samples,), 16 kHz): float32, (frames, dim)."""
        features = [self._convolved(wave) for wave in waves]
        frames = [len(part) for part in features]
        x = F.layer_norm(torch.cat(features), (features[0].shape[1],), *self._project_norm)
        x = self._project(x).float()
        tokens = []
        for part in torch.split(x, frames):
            tokens += [self._extra, part + self._positions(part)]
        x = self._layer_norm(torch.cat(tokens), self._norm)
        lengths = [len(self._extra) + n for n in frames]
        for block in self._blocks:
            attended = block.out(self._attend(block.qkv(x), lengths)).float()
            x = self._layer_norm(attended.add_(x), block.norm1)
            x = self._layer_norm(block.down(block.up(x, gelu=True)).float().add_(x), block.norm2)
        return [part[len(self._extra) :] for part in torch.split(x, lengths)]

    def _layer_norm(self, x: Tensor, norm: Norm) -> Tensor:
        return F.layer_norm(x, (x.shape[1],), *norm, eps=self._eps)

    def _convolved(self, wave: Tensor) -> Tensor:
        """(samples,) to (frames, channels): each convolution one matrix product over windows."""
        if self._normalise:
            wave = F.layer_norm(wave, wave.shape)
        x = wave[:, None]
        for convolution in self._convolutions:
            kernel, stride = convolution.kernel, convolution.stride
            rows, channels = (len(x) - kernel) // stride + 1, x.shape[1]
            windows = x.as_strided((rows, kernel * channels), (stride * channels, 1))
            parts = [
                self._convolve(convolution, windows[i : i + _ROWS]) for i in range(0, rows, _ROWS)
            ]
            x = parts[0] if len(parts) == 1 else torch.cat(parts)
        return x

    @staticmethod
    def _convolve(convolution: _Convolution, windows: Tensor) -> Tensor:
        y = convolution.linear(windows.contiguous()).float()
        y = F.layer_norm(y, (y.shape[1],), *convolution.norm)
        torch.ops.aten.gelu_(y)
        return y

    def _positions(self, x: Tensor) -> Tensor:
        """The relative positional encoding of a clip (frames, dim)."""
        x = x.T[None]
        for convolution in self._positional:
            x = F.conv1d(
                x.to(self._dtype),
                convolution.weight,
                convolution.bias,
                padding=convolution.padding,
                groups=convolution.groups,
            ).float()
            x = F.gelu(F.layer_norm(x.transpose(1, 2), (x.shape[1],))).transpose(1, 2)
        return x[0].T

    def _attend(self, qkv: Tensor, lengths: Sequence[int]) -> Tensor:
        """Attention within each clip: (tokens, 3 * dim) to (tokens, dim)."""
        dim = qkv.shape[1] // 3
        out = qkv.new_empty(len(qkv), dim)
        at = 0
        for n in lengths:
            clip = qkv[at : at + n].view(n, 3, self._heads, dim // self._heads)
            query, key, value = clip.permute(1, 2, 0, 3)[:, None]
            target = out[at : at + n]
            step = n if n <= _CACHED_TOKENS else _CHUNK
            for i in range(0, n, step):
                bias = self._bias_of(n) if step == n else self._make_bias(range(i, i + step), n)
                part = F.scaled_dot_product_attention(
                    query[:, :, i : i + step], key, value, attn_mask=bias
                )
                target[i : i + step] = part[0].transpose(0, 1).flatten(1)
            at += n
        return out

    def _bias_of(self, n: int) -> Tensor:
        """The attention bias of a clip of n tokens: a corner of the largest made so far."""
        bias = self._bias
        if bias.shape[-1] < n:
            size = min(_CACHED_TOKENS, max(n, 2 * bias.shape[-1]))
            self._bias = bias = self._make_bias(range(size), size)
        return bias[:, :, :n, :n]

    def _make_bias(self, queries: range, keys: int) -> Tensor:
        """ALiBi, symmetric: minus distance times slope, zero where an extra token takes part.

        Press, Smith, Lewis, "Train Short, Test Long", ICLR 2022. Shape (1, heads, queries, keys).
        """
        extra = len(self._extra)
        device = self._extra.device
        i = torch.arange(queries.start, min(queries.stop, keys), device=device)[:, None]
        j = torch.arange(keys, device=device)[None]
        distance = torch.where((i >= extra) & (j >= extra), (i - j).abs().neg(), 0).float()
        bias: Tensor = distance * self._slopes[:, None, None]
        return bias[None].to(self._dtype)


def _norm(layer: Any) -> Norm:
    """Gain and bias of a layer norm, copied so that the checkpoint's file can be closed."""
    return layer.weight.clone(), layer.bias.clone()


def alibi_slopes(heads: int) -> list[float]:
    """Slopes of ALiBi for any number of heads, as its authors' code extends them beyond powers of
    two: those of the next lower power, then every second of the next higher one."""
    power = 1 << (heads.bit_length() - 1)
    slopes = [2.0 ** (-8.0 * (i + 1) / power) for i in range(power)]
    if power < heads:
        slopes += [2.0 ** (-8.0 * (i + 1) / (2 * power)) for i in range(0, 2 * power, 2)]
    return slopes[:heads]
