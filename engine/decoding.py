"""Decoding in processes of its own: a file that hangs or kills its decoder costs itself alone."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

import numpy as np

from engine.audio import AudioFile, Samples
from index.errors import AudioError

_STOP_S = 5.0  # that a decoder has for letting go of a file


@dataclass(frozen=True)
class Opened:
    """A file before its first samples."""

    sha256: str


@dataclass(frozen=True, eq=False)
class Block:
    """The next samples of each channel: float32, (n,), 16 kHz; and the seconds of the whole file
    as its header tells (None: it does not)."""

    tracks: list[Samples]
    told: float | None = None


@dataclass(frozen=True)
class Ended:
    """A file after its last samples; duration in seconds, sample rate in Hz."""

    duration: float
    sample_rate: int
    channels: int
    tags: dict[str, str] = field(default_factory=dict)


Message = Opened | Block | Ended


def read(path: Path, channels: Sequence[int | None] | None) -> Iterator[Message]:
    """A file as messages, in this process.

    Args:
        channels: as ``AudioFile.tracks`` has them; None for each channel there is.

    Raises:
        AudioError: it cannot be decoded.
        OSError: it cannot be read.
    """
    with path.open("rb") as handle:
        yield Opened(hashlib.file_digest(handle, "sha256").hexdigest())
    with AudioFile(path) as audio:
        wanted = range(audio.channels) if channels is None else channels
        for tracks in audio.tracks(list(wanted)):
            yield Block(tracks, audio.told)
        yield Ended(audio.duration, audio.sample_rate, audio.channels, audio.tags)


class Decoders:
    """Decoder processes that are started when first needed, and used again.

    Safe for use from several threads. Without a way to start them (on Windows) files are decoded
    in this process.

    Args:
        timeout: seconds that a decoder may take for ten seconds of audio before it is given up.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._idle: queue.SimpleQueue[_Decoder] = queue.SimpleQueue()
        self._all: set[_Decoder] = set()
        self._lock = threading.Lock()

    def read(
        self, path: Path, channels: Sequence[int | None] | None
    ) -> Generator[Message, None, None]:
        """A file as messages, decoded in another process; see ``read``.

        Raises:
            AudioError: it cannot be decoded, or the decoder died or took too long.
            OSError: it cannot be read.
        """
        if os.name != "posix":
            yield from read(path, channels)
            return
        decoder = self._taken()
        try:
            yield from decoder.read(path, channels, self._timeout)
        except BaseException:
            decoder.let_go()
            raise
        finally:
            if decoder.alive:
                self._idle.put(decoder)
            else:
                with self._lock:
                    self._all.discard(decoder)

    def warm(self) -> None:
        """Start a process, if none waits for work, without waiting for it."""
        if os.name == "posix" and self._idle.empty():
            self._idle.put(self._started())

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            decoders, self._all = self._all, set()
        for decoder in decoders:
            decoder.kill()

    def _taken(self) -> _Decoder:
        while True:
            try:
                decoder = self._idle.get_nowait()
            except queue.Empty:
                decoder = self._started()
            if decoder.alive:
                return decoder

    def _started(self) -> _Decoder:
        decoder = _Decoder()
        with self._lock:
            self._all.add(decoder)
        return decoder


class _Decoder:
    """One process, which decodes one file at a time."""

    def __init__(self) -> None:
        self._pipe, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-m", "engine.decoding", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=Path(__file__).parents[1],
                start_new_session=True,  # Ctrl-C is for the program, which then ends us
            )
        self._busy = False

    @property
    def alive(self) -> bool:
        return not self._busy and self._process.poll() is None

    def read(
        self, path: Path, channels: Sequence[int | None] | None, timeout: float
    ) -> Iterator[Message]:
        self._busy = True
        wanted = None if channels is None else list(channels)
        try:
            self._pipe.send_bytes(json.dumps([os.path.abspath(path), wanted]).encode())  # noqa: PTH100
            while True:
                if not self._pipe.poll(timeout):
                    self.kill()
                    raise AudioError(f"was given up: its decoder did nothing for {timeout:g} s")
                message = self._message()
                if isinstance(message, Exception):
                    self._busy = False
                    raise message
                if isinstance(message, Ended):
                    self._busy = False
                yield message
                if isinstance(message, Ended):
                    return
        except (EOFError, BrokenPipeError, ConnectionResetError) as error:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=_STOP_S)
            self.kill()
            code = self._process.returncode
            raise AudioError(f"kills its decoder (exit code {code})") from error

    def let_go(self) -> None:
        """Leave the file that is being decoded."""
        if not self._busy:
            return
        try:
            self._pipe.send_bytes(b"stop")
            while self._pipe.poll(_STOP_S):
                if not isinstance(self._message(), (Opened, Block)):
                    self._busy = False
                    return
        except (OSError, EOFError):
            pass
        self.kill()

    def kill(self) -> None:
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait()
        self._pipe.close()

    def _message(self) -> Message | Exception:
        kind, *rest = json.loads(self._pipe.recv_bytes())
        if kind == "opened":
            return Opened(*rest)
        if kind == "block":
            data = [self._pipe.recv_bytes() for _ in range(rest[0])]
            return Block([np.frombuffer(one, np.float32) for one in data], rest[1])
        if kind == "ended":
            return Ended(*rest)
        if kind == "os-error":
            return OSError(rest[0], rest[1])
        return AudioError(rest[0])


def serve(pipe: Connection) -> None:
    """Decode what is asked for over the pipe, until it closes."""
    while True:
        try:
            path, channels = json.loads(pipe.recv_bytes())
        except (EOFError, ConnectionResetError):
            return
        except ValueError:  # a stop that came after the end
            continue
        try:
            for message in read(Path(path), channels):
                if pipe.poll() and pipe.recv_bytes() == b"stop":
                    _send(pipe, "error", "was let go")
                    break
                _tell(pipe, message)
        except AudioError as error:
            _send(pipe, "error", str(error))
        except OSError as error:
            _send(pipe, "os-error", error.errno, error.strerror)
        except Exception as error:  # noqa: BLE001 - a library stumbled over this file alone
            _send(pipe, "error", f"cannot be decoded as audio ({type(error).__name__}: {error})")


def _tell(pipe: Connection, message: Message) -> None:
    if isinstance(message, Opened):
        _send(pipe, "opened", message.sha256)
    elif isinstance(message, Block):
        _send(pipe, "block", len(message.tracks), message.told)
        for track in message.tracks:
            pipe.send_bytes(np.ascontiguousarray(track, np.float32).tobytes())
    else:
        _send(
            pipe,
            "ended",
            message.duration,
            message.sample_rate,
            message.channels,
            message.tags,
        )


def _send(pipe: Connection, *parts: Any) -> None:
    pipe.send_bytes(json.dumps(parts).encode())


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(Connection(int(sys.argv[1])))
