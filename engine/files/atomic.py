"""Atomic writes: a file has its name once it is whole; a full disk leaves the one before."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_search.index.disk.sync import publish, unfinished


def put(path: Path, data: bytes | memoryview | str) -> None:
    """Write a file in place of the one that is there.

    Raises:
        OSError: it cannot be written; what was there is still there.
    """
    temporary = unfinished(path)
    try:
        with temporary.open("wb") as out:
            out.write(data.encode() if isinstance(data, str) else data)
        publish(temporary, path)
    except OSError as error:
        error.filename = str(path)  # a full disk names none, others the temporary name
        raise
    finally:
        temporary.unlink(missing_ok=True)


# Torch, safetensors and NumPy write files with code of their own, which reports a full disk as
# another error, or ends the process: they make bytes here, and Python writes these.


def put_torch(path: Path, state: Mapping[str, Any]) -> None:
    """Write what ``torch.load`` reads; see ``put``."""
    import torch

    content = io.BytesIO()
    torch.save(dict(state), content)
    put(path, content.getbuffer())


def put_safetensors(path: Path, tensors: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Write torch's tensors, and plain data beside them under ``emotion_search``; see ``put``."""
    from safetensors.torch import save

    metadata = {"emotion_search": json.dumps(about, sort_keys=True)}
    put(path, save(dict(tensors), metadata=metadata))


def put_array(path: Path, array: NDArray[np.generic]) -> None:
    """Write a ``.npy``; see ``put``."""
    content = io.BytesIO()
    np.save(content, array)
    put(path, content.getbuffer())
