"""Reading an emotion2vec checkpoint folder: configuration, class names, weights."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file

from emotion_search.engine.embedders.emotion2vec.funasr_class import emotion2vec_class
from emotion_search.engine.embedders.hub import file_metas, section, weights_file
from emotion_search.index.errors import ModelUnavailableError, reason

_SPEC = re.compile(r"[\[\]()+*,\s\d]{1,500}")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A checkpoint as read.

    Attributes:
        conf: the model's configuration (``model_conf``).
        labels: every class name as the folder writes it; empty without a head.
        module: FunASR's module with the weights in it, in evaluation mode. Its weights are mapped
            from the file: memory is taken only for what is read.
        fingerprint: hex sha256 of configuration, class names and weights.
    """

    conf: dict[str, Any]
    labels: tuple[str, ...]
    module: Any
    fingerprint: str

    @property
    def used(self) -> list[int]:
        """Which of ``labels`` are classes; those that are called ``unuse…`` are not."""
        return [i for i, label in enumerate(self.labels) if not label.startswith("unuse")]


def read_checkpoint(folder: Path) -> Checkpoint:
    """The checkpoint in ``folder``, as the hubs publish it; no code in the file is run.

    Raises:
        ModelUnavailableError: another kind of model, a file that is missing or truncated, weights
            that are missing or of another shape.
    """
    try:
        config = section(yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")))
        labels = _labels(folder)
        conf = copy.deepcopy(section(config, "model_conf"))
        audio = section(section(conf, "modalities"), "audio")
        scopes = _scopes(config.get("scope_map"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ModelUnavailableError(
            f"model folder {folder} cannot be read: {reason(error)}"
        ) from error
    if config.get("model") != "Emotion2vec":
        raise ModelUnavailableError(
            f"model folder {folder} holds a model {config.get('model')!r:.80}, not an Emotion2vec"
        )
    if config.get("trust_remote_code"):
        raise ModelUnavailableError(
            f"model folder {folder} wants to run its own code (trust_remote_code); not loaded"
        )
    _check_supported(folder, conf, audio)
    state = _state(weights_file(folder))
    module = _build(folder, conf, labels)
    chosen = _choose(folder, module, state, scopes)
    module.load_state_dict(chosen, strict=True, assign=True)
    module.eval().requires_grad_(requires_grad=False)
    return Checkpoint(conf, labels, module, _fingerprint(conf, labels, chosen))


def _labels(folder: Path) -> tuple[str, ...]:
    """Class names in order: one a line, or a JSON list."""
    named = section(file_metas(folder), "tokenizer_conf").get("token_list", "tokens.txt")
    path = folder / str(named)
    if not path.is_file():
        return ()
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        listed = json.loads(text)
        if not isinstance(listed, list):
            raise ValueError(f"{path.name} holds no list of class names")
        return tuple(map(str, listed))
    return tuple(line.rstrip() for line in text.splitlines())


def _scopes(scope_map: Any) -> list[str]:
    """FunASR's pairs of prefixes: in the file, and in the module."""
    listed = scope_map.split(",") if isinstance(scope_map, str) else scope_map or []
    if not isinstance(listed, list):
        raise ValueError(f"scope_map is {scope_map!r:.80}, no list")
    return [str(scope) for scope in listed]


def _check_supported(folder: Path, conf: dict[str, Any], audio: dict[str, Any]) -> None:
    """Refuse variants of the architecture that no published emotion2vec has."""
    expected: list[tuple[dict[str, Any], str, Any]] = [
        (conf, "layer_norm_first", False),
        (audio, "extractor_mode", "layer_norm"),
        (audio, "learned_alibi", False),
        (audio, "learned_alibi_scale_per_layer", False),
        (audio, "conv_pos_pre_ln", False),
    ]
    for part, key, wanted in expected:
        if part.get(key, wanted) != wanted:
            raise ModelUnavailableError(
                f"model folder {folder}: {key} is {part[key]!r}; only {wanted!r} is supported"
            )
    spec = str(audio.get("feature_encoder_spec", ""))
    if not _SPEC.fullmatch(spec):  # FunASR evaluates it as code
        raise ModelUnavailableError(
            f"model folder {folder}: feature_encoder_spec {spec[:80]!r} is no list of layers"
        )
    audio["decoder"] = None  # of pre-training; its weights are not published


def _state(path: Path) -> dict[str, torch.Tensor]:
    """The named tensors in a checkpoint file, mapped from it where its format allows."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        try:
            loaded = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        except RuntimeError as error:
            if "mmap can only be used" not in str(error):
                raise
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelUnavailableError(
            f"{path} holds more than weights, or is no checkpoint; it is not loaded"
        ) from error
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, SafetensorError) as error:
        why = reason(error)
        raise ModelUnavailableError(f"{path} is truncated or no checkpoint ({why})") from error
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict):
        raise ModelUnavailableError(f"{path} holds no named weights")
    return {str(name): value for name, value in loaded.items() if isinstance(value, torch.Tensor)}


def _build(folder: Path, conf: dict[str, Any], labels: tuple[str, ...]) -> Any:
    """FunASR's module without memory for weights."""
    try:
        with emotion2vec_class() as emotion2vec, torch.device("meta"):
            return emotion2vec(model_conf=conf, vocab_size=len(labels) or -1)
    except Exception as error:
        raise ModelUnavailableError(
            f"model folder {folder}: its configuration makes no Emotion2vec"
            f" ({type(error).__name__}: {error})"
        ) from error


def _choose(
    folder: Path, module: Any, state: dict[str, torch.Tensor], scopes: list[str]
) -> dict[str, torch.Tensor]:
    """The weights under the module's names.

    FunASR leaves what is missing or of another shape at random values; here it is an error.
    """
    prefixes = [scope for scope in scopes[::2] if scope.lower() != "none"]
    chosen = {}
    for name, wanted in module.state_dict().items():
        places = [prefix + name for prefix in (*prefixes, "d2v_model.", "module.", "")]
        found = next((state[place] for place in places if place in state), None)
        if found is None or found.shape != wanted.shape:
            what = "is missing" if found is None else f"has shape {tuple(found.shape)}"
            raise ModelUnavailableError(
                f"model folder {folder}: weight {name} {what}, wanted {tuple(wanted.shape)};"
                " not a whole checkpoint of this model"
            )
        chosen[name] = found.float()
    return chosen


def _fingerprint(
    conf: dict[str, Any], labels: tuple[str, ...], state: dict[str, torch.Tensor]
) -> str:
    digest = hashlib.sha256(json.dumps([conf, labels], sort_keys=True).encode())
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(state[name].contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
