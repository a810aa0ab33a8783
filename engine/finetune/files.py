"""Files of a tuning run: each has its name once it is whole; a full disk leaves the last one."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save as safetensors_bytes
from torch import Tensor

Rows = NDArray[np.float16]
"""What the layers to tune get of a clip, as it is kept in a file: (rows, width)."""


def put(path: Path, data: bytes | memoryview | str) -> None:
    """Write a file in place of the one that is there.

    Raises:
        OSError: it cannot be written; what was there is still there.
    """
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        with temporary.open("wb") as out:
            out.write(data.encode() if isinstance(data, str) else data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


# Torch, safetensors and NumPy write files with code of their own, which reports a full disk as
# another error, or ends the process: they make bytes here, and Python writes these.


def put_torch(path: Path, state: Mapping[str, Any]) -> None:
    """Write what ``torch.load`` reads; see ``put``."""
    content = io.BytesIO()
    torch.save(dict(state), content)
    put(path, content.getbuffer())


def put_safetensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write tensors, and plain data beside them under ``emotion_search``; see ``put``."""
    metadata = {"emotion_search": json.dumps(about, sort_keys=True)}
    put(path, safetensors_bytes(dict(tensors), metadata=metadata))


def put_array(path: Path, array: NDArray[np.generic]) -> None:
    """Write a ``.npy``; see ``put``."""
    content = io.BytesIO()
    np.save(content, array)
    put(path, content.getbuffer())
