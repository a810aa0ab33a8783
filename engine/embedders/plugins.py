"""Plug-ins: embedding models of other packages, found by their entry points."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from functools import cache
from typing import TYPE_CHECKING

from emotion_search.engine.embedders.base import Embedder
from emotion_search.engine.embedders.family import Family
from emotion_search.engine.settings import Settings
from emotion_search.index.errors import EmotionSearchError, ModelUnavailableError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "emotion_search.embedders"
"""Entry points: a model's name, and what makes an ``Embedder`` of a name and a device."""

_NAME = re.compile(r"([\w.-]+)(:[^/\\]*)?")


class PluginFamily(Family):
    """The models of plug-ins: ``NAME``, or ``NAME:…`` where the plug-in reads the rest."""

    adapts = True  # perhaps: the model itself says

    @property
    def known(self) -> Mapping[str, tuple[int | None, str]]:
        """Names of the plug-ins that are installed, and their packages."""
        return {
            name: (None, "plug-in " + " and ".join(map(_package, found)))
            for name, found in _declared().items()
        }

    def answers(self, name: str) -> bool:
        """Whether a plug-in is called so. Installed packages are not asked about paths and ids."""
        matched = _NAME.fullmatch(name)
        return matched is not None and matched[1] in _declared()

    def path(self, name: str) -> str:
        """Plug-ins go before folders of their name."""
        return ""

    def load(self, name: str, settings: Settings) -> Embedder:
        """The model of the one plug-in of this name, its attributes checked."""
        from emotion_search.engine.embedders.device import pick_device  # loads torch

        entry, *others = _declared()[name.partition(":")[0]]
        package = _package(entry)
        if others:
            also = " and ".join(map(_package, others))
            raise ModelUnavailableError(
                f"model {name}: both {package} and {also} provide it; uninstall one of them"
            )
        device = str(pick_device(settings.device))
        try:
            with redirect_stdout(sys.stderr):  # which is no part of a command's answer
                embedder: Embedder = entry.load()(name, device)
            fault = fault_of(embedder)
            if embedder.name != name:
                fault = fault or f"it was called {name}, and says it is {embedder.name!r:.70}"
        except EmotionSearchError as error:
            raise ModelUnavailableError(f"model {name} of {package}: {error}") from error
        except (Exception, SystemExit) as error:
            raise ModelUnavailableError(
                f"model {name}: its package {package} cannot be used"
                f" ({type(error).__name__}: {error})"
            ) from error
        if fault:
            raise ModelUnavailableError(
                f"model {name}: its package {package} breaks the rules:"
                f" {fault} (see emotion_search.testing)"
            )
        return embedder

    def licence(self, name: str, settings: Settings) -> str | None:
        """That of the package, as its metadata has it; the model may have one of its own."""
        entry, *others = _declared()[name.partition(":")[0]]
        if others or entry.dist is None:
            return None
        about = entry.dist.metadata
        named = [about[key].strip() for key in ("License-Expression", "License") if key in about]
        return named[0].partition("\n")[0] if named and named[0] else None

    def place(self, name: str, settings: Settings) -> str:
        """Installed, or not usable since two packages claim the name."""
        return "installed" if len(_declared()[name]) == 1 else "provided twice"


@cache
def _declared() -> dict[str, list[EntryPoint]]:
    """Entry points by name. Takes some milliseconds: the metadata of every package is read."""
    from importlib.metadata import entry_points  # not while the program starts

    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        found.setdefault(entry.name, []).append(entry)
    return found


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value


def fault_of(embedder: Embedder) -> str | None:
    """What is wrong with the attributes of an embedder."""
    classes = embedder.classes
    if not embedder.name or not isinstance(embedder.name, str):
        return "its name is no text"
    if not re.fullmatch("[0-9a-f]{64}", str(embedder.fingerprint)):
        return f"its fingerprint {embedder.fingerprint!r:.70} is no sha256 in hexadecimal"
    if not isinstance(embedder.dimension, int) or embedder.dimension < 1:
        return f"its dimension is {embedder.dimension!r:.70}"
    if not isinstance(classes, tuple) or not all(isinstance(c, str) and c.strip() for c in classes):
        return f"its classes {classes!r:.70} are no tuple of names"
    if len({*classes}) < len(classes):
        return f"two of its classes {classes!r:.70} have one name"
    if not isinstance(getattr(embedder, "licence", None), str | None):
        return "its licence is no text"
    if not isinstance(embedder.adapts, bool) or embedder.adapts == (embedder.centre is None):
        return "it has a centre without adapting, or adapts without one"
    missing = [n for n in ("embed", "scores", "frames") if not callable(getattr(embedder, n, None))]
    return f"it has no method {missing[0]}" if missing else None
