"""Choice of the device (CPU, CUDA, MPS) that a model runs on."""

from __future__ import annotations

import torch

from emotion_search.index.errors import ModelUnavailableError


def pick_device(wanted: str) -> torch.device:
    """The device of this name; for ``auto`` CUDA if there is one, else the CPU.

    Raises:
        ModelUnavailableError: it cannot be used here.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelUnavailableError(
            f"device {wanted} is not usable here; use --device cpu"
        ) from error
    return device
