"""Checkpoint folders: local, in a hub's cache, or downloaded from ModelScope or Hugging Face."""

from __future__ import annotations

import json
import logging
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from emotion_search.index.errors import ModelUnavailableError, reason

log = logging.getLogger(__name__)

_ANSWER_S = 5.0  # to wait for the hub's first answer

CURES = (
    "use the built-in model (--model voice), or a checkpoint folder that you have"
    " (--model /path/to/checkpoint)"
)


def resolve(model: str, *, hub: str) -> Path:
    """The folder of the checkpoint named ``model``, downloaded if it must be.

    Args:
        model: a folder, or a hub id such as ``iic/emotion2vec_plus_large``.
        hub: ``modelscope`` or ``huggingface``; each keeps its own cache and settings
            (MODELSCOPE_CACHE, MODELSCOPE_ENDPOINT; HF_HOME, HF_ENDPOINT).

    Raises:
        ModelUnavailableError: no such folder, an incomplete one, or no way to download.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        return _complete(folder.absolute())
    if model.startswith((".", "/", "~")) or model.count("/") != 1:
        raise ModelUnavailableError(
            f"model {model}: no such folder or plug-in, and not a hub id such as"
            f" iic/emotion2vec_plus_large;"
            f" {CURES}"
        )
    cached = cached_folder(model, hub)
    if cached is not None:
        return cached
    require_reachable(model, hub)
    log.warning("downloading %s from %s; this happens once", model, hub)
    downloaded = _snapshot(model, hub, local_files_only=False)
    if downloaded is None:
        raise ModelUnavailableError(
            f"model {model} is not on {hub}, or its download failed; {CURES}"
        )
    return _complete(downloaded)


def cached_folder(model: str, hub: str) -> Path | None:
    """The folder of a hub's model if it is on this machine, whole; no network is asked."""
    cached = _snapshot(model, hub, local_files_only=True)
    try:
        return cached and _complete(cached)
    except ModelUnavailableError:
        return None


def file_metas(folder: Path) -> dict[str, Any]:
    """Which file of a checkpoint folder is which, by its ``configuration.json``.

    Raises:
        ModelUnavailableError: that cannot be read.
    """
    path = folder / "configuration.json"
    if not path.is_file():
        return {}
    try:
        return section(section(json.loads(path.read_text(encoding="utf-8"))), "file_path_metas")
    except (OSError, ValueError, RecursionError) as error:
        raise ModelUnavailableError(
            f"model folder {folder}: {path.name} cannot be read ({reason(error)})"
        ) from error


def weights_file(folder: Path) -> Path:
    """The file with the weights of the checkpoint in a folder: what its configuration names, or
    ``model.pt``, or ``model.safetensors`` where that is not there.

    Raises:
        ModelUnavailableError: its configuration cannot be read.
    """
    named = folder / str(file_metas(folder).get("init_param") or "model.pt")
    safe = folder / "model.safetensors"
    return safe if safe.is_file() and not named.is_file() else named


def section(within: Any, name: str | None = None) -> dict[str, Any]:
    """A part of a configuration, or the whole; empty where it is left out.

    Raises:
        ValueError: it is no mapping.
    """
    found = within if name is None else within.get(name)
    if found is not None and not isinstance(found, dict):
        raise ValueError(f"{name or 'it'} is {found!r:.80}, no mapping")
    return found or {}


def _complete(folder: Path) -> Path:
    wanted = (folder / "config.yaml", weights_file(folder))
    missing = [path.name for path in wanted if not path.is_file()]
    if missing:
        raise ModelUnavailableError(
            f"model folder {folder} has no {missing[0]}; an emotion2vec checkpoint holds"
            f" {' and '.join(path.name for path in wanted)}"
        )
    return folder


def require_reachable(model: str, hub: str) -> None:
    """Ask the hub for a sign of life first: its own clients retry for half a minute.

    Raises:
        ModelUnavailableError: it gives none; names the cures.
    """
    endpoint = (
        os.environ.get("HF_ENDPOINT", "https://huggingface.co")
        if hub == "huggingface"
        else os.environ.get("MODELSCOPE_ENDPOINT", "https://www.modelscope.cn")
    )
    try:
        request = urllib.request.Request(endpoint, method="HEAD")  # noqa: S310 - the user's setting
        urllib.request.urlopen(request, timeout=_ANSWER_S).close()  # noqa: S310
    except urllib.error.HTTPError:
        return  # it answers; whether it has the model is for its client to find out
    except (OSError, ValueError) as error:
        raise ModelUnavailableError(
            f"model {model} is not on this machine and {hub} cannot be reached"
            f" ({getattr(error, 'reason', error)}): {CURES}"
        ) from error


def _snapshot(model: str, hub: str, *, local_files_only: bool) -> Path | None:
    """The hub client's folder of the model; None if it has none."""
    try:
        if hub == "huggingface":
            from huggingface_hub import snapshot_download

            owner, name = model.split("/")
            repository = f"emotion2vec/{name}" if owner == "iic" else model
            return Path(snapshot_download(repository, local_files_only=local_files_only))
        from modelscope.hub.snapshot_download import snapshot_download as from_modelscope

        return Path(from_modelscope(model, local_files_only=local_files_only))
    except Exception as error:  # noqa: BLE001 - the clients raise dozens of kinds, all meaning no
        log.debug("%s: %s", model, error)
        if not local_files_only:
            log.warning("%s: %s", hub, reason(error))
        return None
