"""One clip or recording: ``show``, ``play``, ``extract``, ``open``."""

from __future__ import annotations

import shutil
import subprocess
import sys
import webbrowser
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

import typer

from emotion_search.engine.api.http.loopback import is_loopback
from emotion_search.engine.commands.common import (
    ArchiveOptions,
    JsonOption,
    OverwriteOption,
    claim,
    notice,
    print_json,
)
from emotion_search.index.errors import EmotionSearchError, InvalidInputError

if TYPE_CHECKING:
    from emotion_search.engine.audio.samples import Samples
    from emotion_search.engine.library.library import Library

_INSTEAD = "write it to a file: emotion-search extract ID --output clip.wav"


@dataclass(frozen=True)
class ClipOptions:
    """A clip, or a recording."""

    clip: Annotated[
        int | None, typer.Argument(min=1, max=2**63 - 1, help="Id of a clip, as hits have it.")
    ] = None
    recording: Annotated[
        int | None,
        typer.Option("--recording", min=1, max=2**63 - 1, help="A recording instead, by its id."),
    ] = None


@dataclass(frozen=True)
class SoundOptions(ClipOptions):
    """A clip, or a stretch of a recording."""

    start: Annotated[
        float | None, typer.Option(min=0, help="With --recording: from here, in seconds.")
    ] = None
    end: Annotated[float | None, typer.Option(min=0, help="With --recording: up to here.")] = None
    channel: Annotated[
        int | None, typer.Option("--channel", min=0, help="With --recording: one channel, from 0.")
    ] = None


def show(archive: ArchiveOptions, what: ClipOptions, as_json: JsonOption = False) -> None:
    """Show all that is known of a clip, or of a recording.

    \b
    emotion-search show 42
    emotion-search show --recording 7 --json
    """
    from emotion_search.engine.commands.show.rows import print_clip, print_recording
    from emotion_search.engine.transfer.records import clip_record, recording_record

    with archive.open() as library:
        owner = _recording_of(library, what)
        about, paths, clips = (
            library.recording(owner),
            library.paths(owner),
            library.clips_of(owner),
        )
        confident = library.settings.min_confidence
    if what.clip is None:
        if as_json:
            record = {**recording_record(about), "paths": paths}
            print_json({**record, "clips": [clip_record(one) for one in clips]})
        else:
            print_recording(about, paths, clips, confident)
        return
    number = [one.id for one in clips].index(what.clip)
    this = clips[number]
    beside = [
        next((one for one in some if one.channel == this.channel), None)
        for some in (clips[:number][::-1], clips[number + 1 :])
    ]
    if as_json:
        before, after = (None if one is None else one.id for one in beside)
        print_json({**clip_record(this), "paths": paths, "before": before, "after": after})
    else:
        print_clip(this, paths, beside, confident)


def play(archive: ArchiveOptions, what: SoundOptions) -> None:
    """Play a clip, or a stretch of a recording.

    By FFmpeg's ffplay, or the Python package sounddevice.

    \b
    emotion-search play 42
    emotion-search play --recording 7 --start 60 --end 75 --channel 1
    """
    from emotion_search.engine.audio.samples import wav

    with archive.open() as library:
        samples, rate = _sound(library, what)
    if player := shutil.which("ffplay"):
        command = [player, "-nodisp", "-autoexit", "-loglevel", "error", "-i", "-"]
        played = subprocess.run(  # noqa: S603 - of constants
            command, input=wav(samples, rate), capture_output=True, check=False
        )
        if played.returncode or b"audio open failed" in played.stderr:  # it ends with 0 then
            raise EmotionSearchError(f"ffplay finds no way to play sound here; {_INSTEAD}")
        return
    try:
        device = import_module("sounddevice")
    except (ImportError, OSError) as error:  # OSError: PortAudio is not there
        raise EmotionSearchError(
            f"nothing is here to play it: install FFmpeg, or sounddevice by pip; or {_INSTEAD}"
        ) from error
    try:
        device.play(samples, rate, blocking=True)
    except device.PortAudioError as error:
        raise EmotionSearchError(f"sounddevice cannot play it ({error}); {_INSTEAD}") from error


def extract(
    archive: ArchiveOptions,
    what: SoundOptions,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write, 16-bit WAV; - for stdout.")
    ],
    overwrite: OverwriteOption = False,
) -> None:
    """Write the samples of a clip, or of a stretch, as WAV.

    At the sampling rate of the recording.

    \b
    emotion-search extract 42 --output clip.wav
    emotion-search extract --recording 7 --start 60 --end 75 -o stretch.wav
    """
    from emotion_search.engine.audio.samples import wav
    from emotion_search.engine.files.atomic import put

    if output.suffix.lower() not in ("", ".wav", ".wave"):
        raise InvalidInputError(f"{output}: what is written is WAV; name it {output.stem}.wav")
    claim(output, overwrite=overwrite)
    with archive.open() as library:
        samples, rate = _sound(library, what)
    if str(output) == "-":
        sys.stdout.buffer.write(wav(samples, rate))
        return
    put(output, wav(samples, rate))
    print(f"{output}: {len(samples) / rate:.2f} s at {rate} Hz")


def open_page(
    archive: ArchiveOptions,
    what: ClipOptions,
    address: Annotated[
        str, typer.Option(help="Where emotion-search serve answers.")
    ] = "http://127.0.0.1:8000",
) -> None:
    """Open the dashboard of a running server at a clip or recording.

    The address is printed, too.

    \b
    emotion-search open 42
    emotion-search open --recording 7 --address http://voices.example:8000
    """
    address = address.rstrip("/")
    with archive.open() as library:
        owner = _recording_of(library, what)
    page = f"{address}/#/recordings/{owner}" + (f"?clip={what.clip}" if what.clip else "")
    try:
        near = is_loopback(urlsplit(address).hostname or "")  # no proxy leads there
        opener = build_opener(ProxyHandler({} if near else None))
        opener.open(f"{address}/healthz", timeout=5).close()
    except (OSError, ValueError) as error:
        raise EmotionSearchError(
            f"no server answers at {address}; start one: emotion-search serve --port 8000"
        ) from error
    print(page)
    if sys.stdout.isatty():
        webbrowser.open(page)


def _recording_of(library: Library, what: ClipOptions) -> int:
    """The recording that is meant, or whose clip is.

    Raises:
        InvalidInputError: neither or both are given.
        NotFoundError: no such clip or recording.
    """
    if (what.clip is None) == (what.recording is None):
        raise InvalidInputError("give the id of a clip, or --recording and the id of one")
    if what.recording is not None:
        return library.recording(what.recording).id
    return library.clip(what.clip or 0).recording_id


def _sound(library: Library, what: SoundOptions) -> tuple[Samples, int]:
    """What is asked for: mono float32 (n,), and its sample rate in Hz."""
    from emotion_search.engine.archive.playback import span_of_recording

    start, end, channel = what.start or 0.0, what.end, what.channel
    if end is not None and not start < end:
        raise InvalidInputError(f"--start {start:g} --end {end:g}: nothing is between them")
    _recording_of(library, what)  # raises where there is none
    if what.recording is not None:
        length = library.recording(what.recording).duration
        if end is not None and start < length < end:
            notice(f"the recording ends at {length:.2f} s")
        return span_of_recording(library, what.recording, start=start, end=end, channel=channel)
    assert what.clip is not None
    samples, rate, _ = library.clip_audio(what.clip)
    return samples, rate
