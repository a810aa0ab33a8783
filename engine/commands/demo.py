"""A search over synthetic voices, without an archive: ``demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    audio: Annotated[
        Path | None, typer.Option(help="Use this folder of audio instead of synthetic voices.")
    ] = None,
) -> None:
    """Make a small archive of synthetic voices, and search it.

    \b
    emotion-search demo
    emotion-search demo --audio ~/recordings
    """
    from emotion_search.engine.commands.show.hits import print_hits
    from emotion_search.engine.demo import run_demo
    from emotion_search.engine.settings import load_settings

    for line in run_demo(audio):
        if isinstance(line, str):
            print(line)
        else:
            print_hits(line, load_settings().min_confidence)
