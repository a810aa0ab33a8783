"""Whisper tiny's encoder, read out of smart-turn's ONNX file (pipecat-ai/smart-turn, BSD-2-Clause).

The file holds the encoder with weights of 8 bits, quantised statically, and rounds what flows
between the layers too; here only the weights are as they were rounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emotion_search.engine.embedders.voice.network import BLOCKS
from emotion_search.index.errors import InvalidInputError

Array = NDArray[np.float32]

_PREFIX = "inner.encoder."
_NAMES = {
    "self_attn_layer_norm": "attention_norm",
    "self_attn.q_proj": "query",
    "self_attn.k_proj": "key",
    "self_attn.v_proj": "value",
    "self_attn.out_proj": "out",
    "final_layer_norm": "units_norm",
    "fc1": "units",
    "fc2": "back",
}


def read_encoder(path: Path) -> dict[str, Tensor]:
    """Weights by the names of ``Encoder``, float32, of an ``.onnx`` (which needs the package
    ``onnx``) or of an ``.npz`` that holds them by the names of the Hugging Face port.

    Raises:
        InvalidInputError: it is neither, or lacks some.
    """
    try:
        if path.suffix == ".onnx":
            found = dict(_from_onnx(path))
        else:
            with np.load(path) as file:
                found = {name: file[name] for name in file.files}
        return {
            ours: torch.from_numpy(found[theirs].reshape(-1) if "bias" in theirs else found[theirs])
            for ours, theirs in _wanted()
        }
    except ImportError as error:
        raise InvalidInputError(f"{path}: pip install onnx, which reads such files") from error
    except (OSError, KeyError, ValueError) as error:
        raise InvalidInputError(f"{path} holds no encoder of Whisper tiny: {error!r}") from error


def _wanted() -> Iterator[tuple[str, str]]:
    yield "positions", "embed_positions.weight"
    for part in ("conv1", "conv2"):
        yield f"{part}.weight", f"{part}.weight"
        yield f"{part}.bias", f"{part}.bias"
    for block in range(BLOCKS):
        for theirs, ours in _NAMES.items():
            yield f"blocks.{block}.{ours}.weight", f"layers.{block}.{theirs}.weight"
            if ours != "key":
                yield f"blocks.{block}.{ours}.bias", f"layers.{block}.{theirs}.bias"


def _from_onnx(path: Path) -> Iterator[tuple[str, Array]]:
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(path)).graph
    arrays = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    for name, values in arrays.items():
        if name.startswith(_PREFIX) and values.dtype == np.float32 and "_scale" not in name:
            yield name.removeprefix(_PREFIX), values
    for part in ("conv1", "conv2"):
        stem = f"{_PREFIX}{part}"
        yield f"{part}.weight", _plain(arrays, f"{stem}.weight", 0)
        bias = arrays[f"{stem}.bias_quantized"].astype(np.float32)
        yield f"{part}.bias", bias * arrays[f"{stem}.bias_quantized_scale"]
    used: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            used.setdefault(name, []).append(node)
    keys = 0
    for node in (one for one in graph.node if one.op_type == "MatMul"):
        weights = node.input[1].removesuffix("_DequantizeLinear_Output")
        if f"{weights}_quantized" not in arrays:
            continue
        name = _bias_added_to(node, used)
        if name is None and re.match(r"layer_norm(_\d+)?_D", node.input[0]):
            name, keys = f"layers.{keys}.self_attn.k_proj", keys + 1  # the only ones without bias
        if name is not None:
            yield f"{name}.weight", _plain(arrays, weights, 1).T.copy()


def _bias_added_to(node: Any, used: dict[str, list[Any]]) -> str | None:
    """Whose bias is added to the node's product, if any is."""
    output = node.output[0]
    for _ in range(3):
        after = used.get(output, [])
        for one in after:
            for name in one.input if one.op_type == "Add" else ():
                if name.startswith(_PREFIX) and name.endswith(".bias"):
                    return str(name.removeprefix(_PREFIX).removesuffix(".bias"))
        if not after:
            return None
        output = after[0].output[0]
    return None


def _plain(arrays: dict[str, Any], name: str, axis: int) -> Array:
    """Quantised weights as float32; scales and zero points are one, or one a row of ``axis``."""
    scale = arrays[f"{name}_scale"]
    shape = [-1 if i == axis and scale.ndim else 1 for i in range(arrays[f"{name}_quantized"].ndim)]
    zero = arrays[f"{name}_zero_point"].astype(np.float32).reshape(shape)
    values = arrays[f"{name}_quantized"].astype(np.float32) - zero
    return np.asarray(values * scale.reshape(shape), dtype=np.float32)
