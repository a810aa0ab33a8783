"""Emotion predictions of audio files: ``predict``."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emotion_search.engine.commands.common import (
    JsonOption,
    ModelOptions,
    OverwriteOption,
    audio_files,
    notice,
    print_json,
    say_error,
    say_first,
    stdin_lines,
)

if TYPE_CHECKING:
    from emotion_search.engine.inference.predict import Prediction


def predict(
    archive: ModelOptions,
    files: Annotated[
        list[str],
        typer.Argument(help="Audio files, folders, s3://BUCKET/PREFIX; - for a list on stdin."),
    ],
    granularity: Annotated[
        str,
        typer.Option(metavar="utterance|window|frame", help="The whole, by window, 50 a second."),
    ] = "utterance",
    window: Annotated[float, typer.Option(help="Seconds of a window.")] = 3.0,
    hop: Annotated[
        float | None, typer.Option(help="Seconds from window to window; default: end to end.")
    ] = None,
    speaker: Annotated[
        str | None, typer.Option(help="Who speaks in the files, as the archive names them.")
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Where the files are from, as the archive names it.")
    ] = None,
    output_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Also write result.json and embedding.npy of each file."
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Predict the emotion in files; no archive needed.

    \b
    emotion-search predict clip.wav --model voice
    emotion-search predict call.wav --granularity window --window 5 --json
    find /calls -name '*.wav' | emotion-search predict - --output-dir predictions
    emotion-search predict s3://calls/2026-11 --json

    Scores are adapted to the archive, where there is one of the model, else to each long file.
    """
    from emotion_search.engine.embedders.registry import load_embedder
    from emotion_search.engine.inference.parts import Granularity
    from emotion_search.engine.inference.predict import predict_files, together
    from emotion_search.engine.library.library import context_in, model_name
    from emotion_search.index.vectors.baselines import Place

    how = Granularity(granularity, window, hop)
    settings = archive.settings()
    named = [line for one in files for line in (stdin_lines() if one == "-" else [one])]
    paths, unusable = _paths(named)
    embedder = load_embedder(model_name(settings), settings)
    failed, alone = False, 0
    notices: list[str] = []
    with context_in(settings, embedder, Place(source, speaker)) as context:
        run = predict_files(
            paths,
            embedder,
            how,
            context=together(paths, embedder, context),
            folder=output_dir,
            overwrite=overwrite,
        )
        for prediction in chain(unusable, run):
            failed |= prediction.error is not None
            whole = prediction.granularity == "utterance"
            alone += whole and embedder.adapts and prediction.adapted == "none"
            notices += [f"{prediction.file}: {text}" for text in prediction.notices]
            _show(prediction, as_json=as_json)
    say_first(notices, "more such notices", notice)
    if alone:
        notice(
            f"scores are unadapted, files: {alone}; they are short and fewer than 20, and there is"
            " no archive of 20 clips of the same weights that was ingested into, or tuned, by this"
            " version"
        )
    if failed:
        raise typer.Exit(1)


def _paths(named: list[str]) -> tuple[list[Path | str], list[Prediction]]:
    """Files, also of folders, and objects at or below addresses; and errors of these."""
    from emotion_search.engine.files.scan import Scan
    from emotion_search.engine.inference.predict import Prediction
    from emotion_search.index.database.addresses import is_object

    scan = Scan([one for one in named if is_object(one)])
    paths: list[Path | str] = [
        path for one in named if not is_object(one) for path in audio_files(one)
    ]
    paths += [one.path for one in scan]
    return paths, [Prediction(path, "utterance", error=why) for path, why in scan.found.unusable]


def _show(prediction: Prediction, *, as_json: bool) -> None:
    from emotion_search.engine.commands.show.hits import clock

    if as_json:
        fields = vars(prediction).items()  # notices are on stderr
        print_json({name: value for name, value in fields if name != "notices"})
    elif prediction.error is not None:
        say_error(f"{prediction.file}: {prediction.error}")
    else:
        top = sorted((prediction.scores or {}).items(), key=lambda pair: -pair[1])[:3]
        shown = "  ".join(f"{name} {score:.3f}" for name, score in top)
        part = prediction.granularity != "utterance"
        span = f" {clock(prediction.start or 0)}–{clock(prediction.end or 0)}" if part else ""
        print(f"{prediction.file}{span}  {shown}")
