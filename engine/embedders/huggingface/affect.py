"""Heads of transformers' folders that estimate arousal, dominance and valence themselves."""

from __future__ import annotations

import logging

import torch
from torch import Tensor, nn

from emotion_search.engine.embedders.huggingface.folder import weight_files
from emotion_search.engine.embedders.huggingface.load import Loaded
from emotion_search.index.database.affect import DIMENSIONS
from emotion_search.index.errors import ModelUnavailableError, reason

log = logging.getLogger(__name__)

_DENSE, _OUT = "classifier.dense.", "classifier.out_proj."


class AffectHead(nn.Module):
    """Valence, arousal and dominance, -1 to 1, of a head whose outputs are those from 0 to 1.

    Args:
        layers: of embeddings (n, width) the outputs (n, 3).
        names: what the outputs are, in order.
    """

    def __init__(self, layers: nn.Module, names: list[str]) -> None:
        super().__init__()
        self.layers = layers
        self._order = [names.index(name) for name in DIMENSIONS]

    def forward(self, vectors: Tensor) -> Tensor:
        """Of embeddings (n, width): (n, 3), in the order of ``DIMENSIONS``."""
        found: Tensor = self.layers(vectors)[:, self._order]
        return (2 * found - 1).clamp(-1, 1)


def affect_head(loaded: Loaded) -> AffectHead | None:
    """The head of a folder whose three outputs are called arousal, dominance and valence, in any
    order; None if it has none.

    It is transformers' own of regression (``…ForSequenceClassification``), or that which audeering
    publishes beside wav2vec 2.0 (Wagner et al., *Dawn of the transformer era in speech emotion
    recognition*, IEEE TPAMI 45, 2023): two linear layers with a tanh between, on the mean of the
    last layer.

    Raises:
        ModelUnavailableError: its weights cannot be read, or have another shape.
    """
    model = loaded.model
    names = [str(name).strip().lower() for _, name in sorted(model.config.id2label.items())]
    if sorted(names) != sorted(DIMENSIONS):
        return None
    if hasattr(model, "projector"):
        return AffectHead(nn.Sequential(model.projector, model.classifier), names)
    width = model.config.hidden_size
    layers = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 3))
    wanted = layers.state_dict()
    found = _tensors(loaded, [name.replace("0.", _DENSE).replace("2.", _OUT) for name in wanted])
    if len(found) < len(wanted):
        log.warning("%s: its head is of a kind that is not known, and left out", loaded.name)
        return None
    for (name, tensor), mine in zip(found.items(), wanted.values(), strict=True):
        if tensor.shape != mine.shape:
            raise ModelUnavailableError(f"model {loaded.name}: weight {name} is of another shape")
        mine.copy_(tensor)
    return AffectHead(layers.eval().requires_grad_(requires_grad=False), names)


def _tensors(loaded: Loaded, names: list[str]) -> dict[str, Tensor]:
    """Those of the weights that the folder has, in this order; no code of the files is run."""
    from safetensors import safe_open

    found: dict[str, Tensor] = {}
    try:
        for path in weight_files(loaded.folder):
            if path.suffix == ".safetensors":
                with safe_open(path, framework="pt") as file:
                    there = set(file.keys())
                    found |= {name: file.get_tensor(name) for name in names if name in there}
            elif path.suffix == ".bin":
                state = torch.load(path, map_location="cpu", weights_only=True)
                found |= {name: state[name] for name in names if name in state}
    except Exception as error:
        raise ModelUnavailableError(
            f"model {loaded.name}: its head cannot be read: {reason(error)}"
        ) from error
    return {name: found[name] for name in names if name in found}
