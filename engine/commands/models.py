"""Embedding models, here and in the archive: ``models``, ``models fetch|check|export|forget``."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emotion_search.engine.commands.common import (
    ArchiveOptions,
    DeviceOption,
    JsonOption,
    OverwriteOption,
    claim,
    print_json,
)
from emotion_search.engine.commands.show.tables import PlainTable
from emotion_search.engine.commands.words import counted
from emotion_search.index.errors import EmotionSearchError, InvalidInputError

if TYPE_CHECKING:
    from emotion_search.engine.settings import Settings

models_app = typer.Typer(
    help="Show, download and check embedding models.", invoke_without_command=True
)


@models_app.callback()
def models(archive: ArchiveOptions, ctx: typer.Context, as_json: JsonOption = False) -> None:
    """List the models that are known, which are on this machine, and what the archive has of each.

    \b
    emotion-search models
    emotion-search models fetch iic/emotion2vec_plus_base
    emotion-search models check /path/to/checkpoint
    emotion-search models export /path/to/checkpoint --onnx model.onnx
    """
    from emotion_search.engine.archive.database import database_exists
    from emotion_search.engine.embedders.catalogue import list_models

    if ctx.invoked_subcommand is not None:
        if archive != ArchiveOptions() or as_json:
            raise InvalidInputError(f"options go after the command: {ctx.invoked_subcommand}")
        return
    settings, holdings = archive.settings(), []
    if database_exists(settings):
        with archive.open() as library:
            holdings = library.holdings()
    table = PlainTable()
    table.column("model", no_wrap=True)  # what others are named by
    table.column("dim.", justify="right", no_wrap=True)
    for name in ("scores", "licence", "here"):
        table.column(name)
    for one in list_models(settings, holdings):
        if as_json:
            print_json(vars(one))
        else:
            marks = [] if one.place == one.name else [one.place]
            if one.fingerprint is not None:
                marks.append(f"{one.embedded} of {one.clips} clips embedded")
            marks += ["serves this archive"] if one.active else []
            table.row(
                one.name, str(one.dimension or "?"), one.about, one.licence or "", ", ".join(marks)
            )
    if not as_json:
        table.print()


@models_app.command()
def fetch(name: Annotated[str, typer.Argument(help="Hub id.")]) -> None:
    """Download a model, check that it is whole.

    It goes into the hub client's cache; its checksum and licence are printed.

    \b
    emotion-search models fetch iic/emotion2vec_plus_large
    emotion-search models fetch hf:microsoft/wavlm-base-plus
    """
    from emotion_search.engine.embedders.registry import absolute, family_of, is_path, load_embedder

    settings = ArchiveOptions().settings()
    embedder = load_embedder(name, settings)
    place = absolute(name) if is_path(name) else family_of(name).place(name, settings)
    licence = embedder.licence or family_of(name).licence(name, settings)
    print(f"{name}: {place}\nfingerprint {embedder.fingerprint}\nlicence {licence or 'not known'}")


@models_app.command()
def check(
    archive: ArchiveOptions,
    name: Annotated[str, typer.Argument(help="Hub id or checkpoint folder.")],
    device: DeviceOption = None,
) -> None:
    """Compare an emotion2vec model with FunASR's numbers.

    Synthetic voices are embedded by this program and by FunASR, on this machine. Then it says how
    fast each precision is here, on clips of the archive, and how many neighbours it changes.

    \b
    emotion-search models check /path/to/checkpoint
    """
    from emotion_search.engine.embedders.emotion2vec.compare import compare_with_funasr
    from emotion_search.engine.embedders.emotion2vec.family import Emotion2vecFamily
    from emotion_search.engine.embedders.registry import family_of

    if not isinstance(family_of(name), Emotion2vecFamily):
        raise InvalidInputError(f"{name} is no emotion2vec model: FunASR has no numbers for it")
    settings = archive.settings(device=device)
    result = compare_with_funasr(name, settings)
    print(f"cosine to FunASR's embedding   {result.cosine:.9f} (at least {result.least_cosine})")
    print(f"largest difference of a score  {result.difference:.2e} (at most {result.most:g})")
    if not result.agrees:
        raise EmotionSearchError(f"model {name} does not give FunASR's numbers on this machine")
    _print_precisions(archive, name, settings)


def _print_precisions(archive: ArchiveOptions, name: str, settings: Settings) -> None:
    """How fast each precision is, and what it changes, on clips of the archive if there is one."""
    from emotion_search.engine.archive.database import database_exists
    from emotion_search.engine.audio.synthetic_voices import MANNERS, speak
    from emotion_search.engine.embedders.emotion2vec.compare import measure_precisions

    with ExitStack() as stack:
        library = stack.enter_context(archive.open()) if database_exists(settings) else None
        clips = library.some_audio() if library else []
        voices = [speak(one, speaker=n, seed=0, seconds=3.0) for n, one in enumerate(MANNERS)]
        found = measure_precisions(name, settings, clips or voices)
        whole = found["float32"]
        model = library.model() if library and clips else None
        for precision, one in found.items():
            least = (one.vectors * whole.vectors).sum(axis=1).min()
            text = f"{precision:<9} {one.rate:8.1f} s of audio a second"
            if one is not whole:
                text += f", cosine to float32 at least {least:.6f}"
                if library and model and model.fingerprint == one.fingerprint:
                    same = library.same_neighbours(whole.vectors, one.vectors)
                    text += f", {100 * same:.1f} % of the ten nearest the same ({len(clips)} clips)"
            print(text)
    fastest = max(found, key=lambda one: found[one].rate)
    print(f"fastest   {fastest}; keep to one precision in an archive")


@models_app.command("export")
def export_model(
    name: Annotated[str, typer.Argument(help="Hub id, checkpoint folder, or voice.")],
    onnx: Annotated[Path, typer.Option("--onnx", help="File to write, and .json beside it.")],
    overwrite: OverwriteOption = False,
) -> None:
    """Write voice or an emotion2vec model as ONNX.

    With its head, for clips of any length.

    \b
    emotion-search models export voice --onnx voice.onnx
    emotion-search models export /path/to/checkpoint --onnx model.onnx
    """
    from emotion_search.engine.embedders.onnx.description import describes

    if onnx.suffix != ".onnx":
        raise InvalidInputError(f"--onnx {onnx}: name a file that ends in .onnx")
    claim(onnx, describes(onnx), overwrite=overwrite)
    from emotion_search.engine.embedders.onnx.export import export_onnx
    from emotion_search.engine.embedders.registry import family_of

    model = family_of(name).load(name, ArchiveOptions().settings(device="cpu"))
    exported = export_onnx(model, onnx)
    for seconds, difference in exported.differences.items():
        print(f"{seconds:6g} s   differs by {difference:.1e}")
    print(f"written: {exported.path}; use it by --model onnx:{exported.path}")


@models_app.command("forget")
def forget_model(
    archive: ArchiveOptions,
    model: Annotated[str, typer.Argument(help="Name, or the beginning of its fingerprint.")],
) -> None:
    """Remove a model that does not serve from the archive.

    That is its embeddings, spaces and index.

    \b
    emotion-search models forget ~/finetuned
    """
    with archive.open() as library:
        info, removed = library.forget_model(model)
    print(f"{info.name} forgotten ({counted(removed, 'embedding')})")
