"""Embeddings under another model, and switching to it: ``reembed``, ``use``."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from emotion_search.engine.commands.common import (
    ArchiveOptions,
    DeviceOption,
    JsonOption,
    interruptible,
    notice,
    print_json,
    say_first,
)
from emotion_search.engine.commands.words import counted
from emotion_search.index.errors import DatabaseError

if TYPE_CHECKING:
    from emotion_search.engine.ingest.reembed import Reembedding


def reembed(
    archive: ArchiveOptions,
    model: Annotated[
        str, typer.Option("--model", help="Hub id, checkpoint folder, .safetensors, 'voice'.")
    ],
    claim: Annotated[
        bool,
        typer.Option("--claim", help="Share the work with other processes that run this command."),
    ] = False,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give every clip an embedding under another model too.

    It is made from the audio, while the old one serves on. Stopped or killed, run the same command
    again: it goes on with what is missing, clips added since among it.

    \b
    emotion-search reembed --model ~/finetuned
    emotion-search reembed --model ~/finetuned --claim   # on each machine
    emotion-search evaluate --models voice --models ~/finetuned
    emotion-search use ~/finetuned
    """
    from emotion_search.engine.commands.show.progress import working
    from emotion_search.engine.library.shared_reembed import SharedReembed

    wanted: list[int] = []

    def update(report: Reembedding) -> None:
        wanted.append(report.missing)  # the first says how many there were to do
        progress(report.dealt_with, wanted[0])
        del wanted[1:]

    with (
        archive.open(device=device) as library,
        interruptible() as stop,
        working("reembed") as progress,
    ):
        if claim:
            done, info = SharedReembed(library, model, progress=update, stop=stop).run()
        else:
            done, info = library.reembed(model, progress=update, stop=stop)
        holdings = library.holdings()
    if as_json:
        record = {
            "model": info.name,
            "fingerprint": info.fingerprint,
            "clips": done.clips,
            "missing": done.missing,
            "of_clips": done.of_clips,
            "stopped": done.stopped,
            "failed": [{"file": f, "reason": r, "clips": n} for f, r, n in done.failed],
        }
        print_json(record)
    else:
        print(
            f"{counted(done.clips, 'clip')} embedded under {info.name};"
            f" {done.of_clips - done.missing} of"
            f" {counted(done.of_clips, 'clip')} embedded under it"
        )
    say_first([f"{file}: {why} ({counted(clips, 'clip')})" for file, why, clips in done.failed])
    serving = next((one.model for one in holdings if one.active), None)
    if done.missing:
        notice(
            f"{counted(done.missing, 'clip')} missing under {info.name}; run the same command again"
        )
    elif serving is not None and serving.id != info.id:
        same = serving.name == info.name
        old, new = (one.fingerprint[:12] if same else one.name for one in (serving, info))
        notice(
            f"compare: emotion-search evaluate --models {old} --models {new};"
            f" switch: emotion-search use {new}"
        )
    if done.stopped:
        raise typer.Exit(130)
    if done.failed:
        raise typer.Exit(1)


def use(
    archive: ArchiveOptions,
    model: Annotated[str, typer.Argument(help="Name, or the beginning of its fingerprint.")],
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Even if clips lack embeddings; no search finds those."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Let another model serve; running servers follow at once.

    Its embeddings are in the archive already, made by reembed.

    \b
    emotion-search use ~/finetuned
    emotion-search use voice
    """
    with archive.open() as library:
        before = None
        with suppress(DatabaseError):  # of an archive that does not say which model serves
            before = library.status().space
        holding = library.use(model, partial=partial)
        after = library.status().space
    if before is not None and before.version and not (after is not None and after.version):
        notice(
            f"{holding.model.name} serves in the plain space, the model before it had a space of"
            f" {before.method.value}; fit one by: emotion-search tune"
        )
    if as_json:
        record = {
            "model": holding.model.name,
            "fingerprint": holding.model.fingerprint,
            "embedded": holding.embedded,
            "clips": holding.clips,
        }
        print_json(record)
    else:
        print(
            f"{holding.model.name} serves now ({holding.embedded}"
            f" of {counted(holding.clips, 'clip')})"
        )
