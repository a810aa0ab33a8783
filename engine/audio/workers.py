"""Audio decoding in worker processes: a file that hangs or crashes one harms no other file."""

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
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

import numpy as np

from emotion_search.engine.audio.confine import allow_seconds, confine
from emotion_search.engine.audio.file import AudioFile, Samples
from emotion_search.index.errors import AudioError

_VARIABLES = "PATH LANG LC_ALL LC_CTYPE TZ TMPDIR LD_LIBRARY_PATH VIRTUAL_ENV PYTHONPATH PYTHONHOME"
_KEPT = frozenset(_VARIABLES.split())
"""Variables that a decoder gets; the others may hold passwords and keys."""
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

_STOP_S = 5.0  # that a decoder has for letting go of a file
_CPU_S = 120  # of processor time up to the next message, should nobody be left to end it
_MEMORY = 384 << 20  # bytes that a decoder may take beyond those that it starts with
_HASHED = 1 << 22  # bytes after which a decoder gives a sign of life


@dataclass(frozen=True)
class Opened:
    """A file before its first samples."""

    sha256: str


@dataclass(frozen=True, eq=False)
class Block:
    """The next samples of each channel: float32, (n,), 16 kHz; and the seconds of the whole file
    by its header (None: it gives none)."""

    tracks: list[Samples]
    header_duration: float | None = None


@dataclass(frozen=True)
class Ended:
    """A file after its last samples; duration in seconds, sample rate in Hz, and what somebody
    should know who reads it."""

    duration: float
    sample_rate: int
    channels: int
    tags: dict[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Busy:
    """A sign of life."""


Message = Opened | Block | Ended


def _read(
    path: Path, channels: Sequence[int | None] | None, sha256: str | None, track: int | None
) -> Iterator[Message | _Busy]:
    """See ``Decoders.read``."""
    if sha256 is None:
        digest = hashlib.sha256()
        with path.open("rb") as handle:
            while piece := handle.read(_HASHED):
                digest.update(piece)
                yield _Busy()
        sha256 = digest.hexdigest()
    yield Opened(sha256)
    with _bytes_first(path), AudioFile(path, track=track) as audio:
        wanted = range(audio.channels) if channels is None else channels
        for tracks in audio.tracks(list(wanted)):
            yield Block(tracks, audio.header_duration)
        yield Ended(audio.duration, audio.sample_rate, audio.channels, audio.tags, audio.notices)


@contextlib.contextmanager
def _bytes_first(path: Path) -> Iterator[None]:
    """Within, a file whose bytes cannot be read is not taken for one that cannot be decoded."""
    try:
        yield
    except AudioError:
        if path.is_file():
            with path.open("rb") as file:
                while file.read(_HASHED):
                    pass
        raise


def _read_span(
    path: Path, channel: int | None, start: float, end: float, track: int | None
) -> Iterator[Message | _Busy]:
    with _bytes_first(path), AudioFile(path, channel, track) as audio:
        for block in audio.span(start, end):
            yield Block([block])
        yield Ended(end - start, audio.sample_rate, audio.channels)


def _read_header(path: Path) -> Iterator[Ended]:
    """Its duration is the header's, 0 where that gives none."""
    with _bytes_first(path), AudioFile(path) as audio:
        yield Ended(audio.header_duration or 0.0, audio.sample_rate, audio.channels)


class Decoders:
    """Decoder processes that are started when first needed, and used again.

    Safe for use from several threads. Without a way to start them (on Windows) files are decoded
    in this process.

    Args:
        timeout: seconds that a decoder may take for ten seconds of audio, or for a few MiB of the
            file, before it is given up.
    """

    def __init__(self, timeout: float = 60.0) -> None:
        self._timeout = timeout
        self._idle: queue.SimpleQueue[_Decoder] = queue.SimpleQueue()
        self._all: set[_Decoder] = set()
        self._lock = threading.Lock()

    def read(
        self,
        path: Path,
        channels: Sequence[int | None] | None,
        sha256: str | None = None,
        track: int | None = None,
    ) -> Generator[Message, None, None]:
        """A file as messages, decoded in another process.

        Args:
            channels: as ``AudioFile.tracks`` has them; None for each channel there is.
            sha256: of its bytes; None to have it computed.
            track: as ``AudioFile`` has it.

        Raises:
            AudioError: it cannot be decoded, or the decoder died or took too long.
            OSError: it cannot be read.
        """
        wanted = None if channels is None else list(channels)
        yield from self._answers("read", path, wanted, sha256, track)

    def read_span(
        self, path: Path, *, channel: int | None, start: float, end: float, track: int | None = None
    ) -> tuple[Samples, int]:
        """A span (seconds) as it was recorded, for listening: mono float32 (n,), and its own
        sample rate in Hz.

        Raises:
            AudioError: it cannot be decoded there, or the decoder died or took too long.
            OSError: it cannot be read.
        """
        blocks: list[Samples] = []
        for message in self._answers("span", path, channel, start, end, track):
            if isinstance(message, Block):
                blocks += message.tracks
        assert isinstance(message, Ended)
        return np.concatenate(blocks or [np.empty(0, np.float32)]), message.sample_rate

    def header_duration(self, path: Path) -> float | None:
        """Seconds of a file by its header, nothing decoded; None where it gives none.

        Raises:
            AudioError: it is no audio, or the decoder died or took too long.
            OSError: it cannot be read.
        """
        (message,) = self._answers("header", path)
        assert isinstance(message, Ended)
        return message.duration or None

    def _answers(self, request: str, path: Path, *more: Any) -> Iterator[Message]:
        if os.name != "posix":
            for message in _REQUESTS[request](path, *more):
                if not isinstance(message, _Busy):
                    yield message
            return
        with self._borrowed() as decoder:
            asked = [request, os.path.abspath(path), *more]  # noqa: PTH100
            yield from decoder.answers(asked, self._timeout)

    def warm(self) -> None:
        """Start a process, if none waits for work, without waiting for it."""
        if os.name == "posix" and self._idle.empty():
            self._idle.put(self._start())

    def counts(self) -> tuple[int, int]:
        """How many processes decode, and how many wait for work."""
        with self._lock:
            idle = sum(decoder.alive for decoder in self._all)
            return len(self._all) - idle, idle

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            decoders, self._all = self._all, set()
        for decoder in decoders:
            decoder.kill()

    @contextlib.contextmanager
    def _borrowed(self) -> Iterator[_Decoder]:
        decoder = self._take()
        try:
            yield decoder
        except BaseException:
            decoder.abandon()
            raise
        finally:
            if decoder.alive:
                self._idle.put(decoder)
            else:
                with self._lock:
                    self._all.discard(decoder)

    def _take(self) -> _Decoder:
        while True:
            try:
                decoder = self._idle.get_nowait()
            except queue.Empty:
                decoder = self._start()
            if decoder.alive:
                return decoder

    def _start(self) -> _Decoder:
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
                [sys.executable, "-m", "emotion_search.engine.audio.workers", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=Path(__file__).parents[3],
                env={name: os.environ[name] for name in _KEPT & os.environ.keys()} | _ONE_THREAD,
                start_new_session=True,  # Ctrl-C is for the program, which then ends us
            )
        self._busy = False

    @property
    def alive(self) -> bool:
        return not self._busy and self._process.poll() is None

    def answers(self, request: list[Any], timeout: float) -> Iterator[Message]:
        """What the process answers to a request."""
        self._busy = True
        try:
            self._pipe.send_bytes(json.dumps(request).encode())
            while True:
                if not self._pipe.poll(timeout):
                    self.kill()
                    raise AudioError(f"was given up: its decoder did nothing for {timeout:g} s")
                message = self._message()
                if isinstance(message, Exception):
                    self._busy = False
                    raise message
                last = isinstance(message, Ended)
                self._busy = not last
                if not isinstance(message, _Busy):
                    yield message
                if last:
                    return
        except (EOFError, BrokenPipeError, ConnectionResetError) as error:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=_STOP_S)
            self.kill()
            code = self._process.returncode
            raise AudioError(f"kills its decoder (exit code {code})") from error

    def abandon(self) -> None:
        """Stop decoding the file."""
        if not self._busy:
            return
        try:
            self._pipe.send_bytes(b"stop")
            while self._pipe.poll(_STOP_S):
                if not isinstance(self._message(), _Busy | Opened | Block):
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

    def _message(self) -> Message | _Busy | Exception:
        kind, *parts = json.loads(self._pipe.recv_bytes())
        if kind == "Block":
            data = [self._pipe.recv_bytes() for _ in range(parts[0])]
            return Block([np.frombuffer(one, np.float32) for one in data], parts[1])
        return _KINDS[kind](*parts)


_KINDS: dict[str, Callable[..., Message | _Busy | Exception]] = {
    kind.__name__: kind for kind in (Opened, Ended, _Busy, AudioError, OSError)
}
"""Messages that go over the pipe as their name and values, in JSON."""


_REQUESTS: dict[str, Callable[..., Iterator[Message | _Busy]]] = {
    "read": _read,
    "span": _read_span,
    "header": _read_header,
}


def serve(pipe: Connection) -> None:
    """Decode what is asked for over the pipe, until it closes."""
    while True:
        try:
            request, path, *rest = json.loads(pipe.recv_bytes())
        except (EOFError, ConnectionResetError):
            return
        except ValueError:  # a stop that came after the end
            continue
        try:
            for message in _REQUESTS[request](Path(path), *rest):
                allow_seconds(_CPU_S)
                if pipe.poll() and pipe.recv_bytes() == b"stop":
                    _send(pipe, "AudioError", "was let go")
                    break
                _send_message(pipe, message)
        except AudioError as error:
            _send(pipe, "AudioError", str(error))
        except OSError as error:
            _send(pipe, "OSError", error.errno, error.strerror)
        except Exception as error:  # noqa: BLE001 - a library stumbled over this file alone
            reason = f"cannot be decoded as audio ({type(error).__name__}: {error})"
            _send(pipe, "AudioError", reason)


def _send_message(pipe: Connection, message: Message | _Busy) -> None:
    if isinstance(message, Block):
        _send(pipe, "Block", len(message.tracks), message.header_duration)
        for track in message.tracks:
            pipe.send_bytes(np.ascontiguousarray(track, np.float32).tobytes())
    else:
        _send(pipe, type(message).__name__, *vars(message).values())


def _send(pipe: Connection, *parts: Any) -> None:
    pipe.send_bytes(json.dumps(parts).encode())


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    confine(_MEMORY)
    serve(Connection(int(sys.argv[1])))
