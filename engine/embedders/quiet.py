"""Contain a library's side effects on the process: prints, logging, seeds, threads."""

from __future__ import annotations

import contextlib
import io
import logging
import random
from collections.abc import Iterator

import numpy as np


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Restores random states, torch's threads and the logging set-up; drops what is printed."""
    import torch

    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    # A handler of ours keeps logging.basicConfig from adding one, and its level what is logged.
    sentinel = logging.NullHandler()
    root.handlers = [sentinel]
    threads = torch.get_num_threads()
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            yield
    finally:
        logging.disable(disabled)
        root.handlers, root.level = handlers, level
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
