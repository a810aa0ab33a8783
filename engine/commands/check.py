"""Find and mend damage: ``check``."""

from __future__ import annotations

from typing import Annotated

import typer

from emotion_search.engine.commands.common import ArchiveOptions, JsonOption, notice, print_json
from emotion_search.engine.commands.words import counted
from emotion_search.index.errors import EmotionSearchError


def check(
    archive: ArchiveOptions,
    audio: Annotated[
        bool, typer.Option("--audio", help="Read every recording's file, too.")
    ] = False,
    mend: Annotated[
        bool,
        typer.Option("--mend", help="Make damaged embeddings anew from the audio, and the index."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Look for damage, and mend it.

    Looked at are the database, its embeddings, the saved index, uploads, and audio on demand. Each
    line names what is damaged and the cure; exit code 1 if there is any.

    \b
    emotion-search check
    emotion-search check --audio
    emotion-search check --mend
    """
    from emotion_search.engine.archive.check import check as find
    from emotion_search.engine.archive.check import drop_damaged, remove_useless

    number = 0
    with archive.open() as library:
        if mend:
            for model in drop_damaged(library):
                done, _ = library.reembed(model.name)
                notice(
                    f"{model.name}: {counted(done.clips, 'embedding')}"
                    f" made anew, {done.missing} missing"
                )
            for what in remove_useless(library):
                notice(f"mended: {what}")
            if library.model() is not None:
                library.rebuild_index()
        for one in find(library, audio=audio):
            number += 1
            if as_json:
                print_json(vars(one))
            else:
                print(f"{one.where}: {one.what}; {one.cure}")
        if as_json and not number:
            counts, models = library.status().counts, library.holdings()
            record = {"damages": 0, "recordings": counts.recordings, "clips": counts.clips}
            print_json({**record, "models": [one.model.name for one in models], "audio": audio})
    if number:
        raise EmotionSearchError(f"{counted(number, 'damage')} found; each line names the cure")
    if not as_json:
        print("no damage found")
