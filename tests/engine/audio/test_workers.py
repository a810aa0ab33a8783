"""Decoders in processes: the same samples, and a decoder that dies costs its file alone."""

import hashlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from inspect import unwrap
from pathlib import Path

import numpy as np
import pytest

from emotion_search.engine.audio.file import AudioFile
from emotion_search.engine.audio.workers import Block, Decoders, Ended, Opened
from emotion_search.index.errors import AudioError
from tests.conftest import tone, write_wav
from tests.reading import read_span


@pytest.fixture(autouse=True)
def _nothing_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes start and end as they do outside of tests."""
    for name in ("_start", "close"):
        monkeypatch.setattr(Decoders, name, unwrap(getattr(Decoders, name)))


@pytest.fixture
def decoders() -> Iterator[Decoders]:
    made = Decoders(timeout=5.0)
    yield made
    made.close()


@pytest.fixture
def call(tmp_path: Path) -> Path:
    """A minute on two channels."""
    return write_wav(tmp_path / "call.wav", np.stack([tone(60.0), tone(60.0, 330)], axis=1), 16_000)


def processes(decoders: Decoders) -> list[int]:
    return [decoder._process.pid for decoder in decoders._all]


@pytest.mark.parametrize("channels", [None, [None], [1], [1, 0]])
def test_messages_are_those_of_decoding_here(decoders: Decoders, call: Path, channels):
    first, *blocks, last = decoders.read(call, channels)
    assert first == Opened(hashlib.sha256(call.read_bytes()).hexdigest())
    with AudioFile(call) as file:
        here = list(file.tracks([0, 1] if channels is None else channels))
        assert last == Ended(60.0, 16_000, 2, file.tags, file.notices)
    assert len(blocks) == len(here)
    for block, tracks in zip(blocks, here, strict=True):
        assert isinstance(block, Block)
        assert block.header_duration == 60.0
        assert all(map(np.array_equal, block.tracks, tracks))


def test_a_process_decodes_many_files(decoders: Decoders, call: Path):
    for _ in range(3):
        list(decoders.read(call, [None]))
    assert len(processes(decoders)) == 1


def test_what_is_no_audio_is_told_and_the_process_lives(decoders: Decoders, tmp_path: Path):
    (tmp_path / "text.wav").write_text("hello")
    with pytest.raises(AudioError, match="cannot be decoded"):
        list(decoders.read(tmp_path / "text.wav", [None]))
    with pytest.raises(FileNotFoundError):
        list(decoders.read(tmp_path / "gone.wav", [None]))
    assert len(processes(decoders)) == 1


def test_a_decoder_that_dies_costs_its_file_alone(decoders: Decoders, call: Path):
    messages = decoders.read(call, [None])
    next(messages)
    (first,) = processes(decoders)
    os.kill(first, signal.SIGSEGV)
    with pytest.raises(AudioError, match="kills its decoder"):
        list(messages)
    assert sum(len(m.tracks[0]) for m in decoders.read(call, [0]) if isinstance(m, Block)) > 0
    assert processes(decoders) != [first]


def test_a_decoder_that_hangs_is_given_up(call: Path):
    decoders = Decoders(timeout=3.0)
    messages = decoders.read(call, [None])
    next(messages)
    (pid,) = processes(decoders)
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(AudioError, match="did nothing for 3 s"):
        list(messages)
    assert len(list(decoders.read(call, [None]))) > 2
    decoders.close()


def test_a_large_file_that_is_slow_to_read_is_not_given_up(tmp_path: Path):
    pipe, large = tmp_path / "pipe", 5 * (1 << 22)
    os.mkfifo(pipe)

    def feed() -> None:
        with pipe.open("wb") as file:
            for _ in range(5):
                file.write(bytes(large // 5))
                file.flush()
                time.sleep(0.8)

    decoders = Decoders(timeout=3.0)
    list(decoders.read(write_wav(tmp_path / "x.wav", tone(1.0)), [None]))  # a process waits
    threading.Thread(target=feed, daemon=True).start()
    messages = decoders.read(pipe, [None])
    assert next(messages) == Opened(hashlib.sha256(bytes(large)).hexdigest())
    with pytest.raises(AudioError, match="regular file"):
        next(messages)
    decoders.close()


def test_headers_tell_of_durations_in_a_process_too(decoders: Decoders, call: Path):
    assert decoders.header_duration(call) == 60.0
    (call.parent / "text.wav").write_text("hello")
    with pytest.raises(AudioError, match="cannot be decoded"):
        decoders.header_duration(call.parent / "text.wav")
    assert len(list(decoders.read(call, [None]))) > 2
    assert len(processes(decoders)) == 1


def test_a_file_may_be_left_in_the_middle(decoders: Decoders, call: Path):
    for _ in range(3):
        messages = decoders.read(call, [None])
        next(messages)
        next(messages)
        messages.close()
    assert len(list(decoders.read(call, [None]))) > 2
    assert len(processes(decoders)) == 1


def test_several_threads_have_a_process_each(decoders: Decoders, call: Path):
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(len(list(decoders.read(call, [None])))))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 3


def test_closing_ends_the_processes(call: Path):
    decoders = Decoders(timeout=5.0)
    list(decoders.read(call, [None]))
    (pid,) = processes(decoders)
    decoders.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_span_is_the_same_through_a_process(decoders: Decoders, call: Path):
    there = decoders.read_span(call, channel=1, start=30.25, end=45.0)
    here = read_span(call, channel=1, start=30.25, end=45.0)
    assert np.array_equal(there[0], here[0])
    assert there[1] == here[1] == 16_000


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="Linux tells of processes")
def test_decoders_have_no_secrets_and_only_what_they_need(
    decoders: Decoders, call: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("EMOTION_SEARCH_DATABASE_URL", "postgresql://me:secret@host/db")
    monkeypatch.setenv("PGPASSWORD", "secret")
    list(decoders.read(call, [None]))
    (pid,) = processes(decoders)
    process = Path(f"/proc/{pid}")
    assert b"secret" not in (process / "environ").read_bytes()
    assert len(list((process / "fd").iterdir())) <= 5
    status = dict(
        line.split(":\t", 1)
        for line in (process / "status").read_text().splitlines()
        if ":\t" in line
    )
    assert status["NoNewPrivs"] == "1"
    limits = {line[:26].strip(): line[26:].split()[0] for line in limits_of(process)}
    assert limits["Max core file size"] == limits["Max file size"] == "0"
    assert limits["Max open files"] == "64"
    assert int(limits["Max address space"]) < 1 << 30
    assert int(limits["Max cpu time"]) < 300


def limits_of(process: Path) -> list[str]:
    return (process / "limits").read_text().splitlines()[1:]


def test_what_takes_too_much_memory_costs_its_file_alone(
    call: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    decoders = Decoders()
    wide = write_wav(tmp_path / "wide.wav", np.zeros((900_000, 48), np.float32), 48_000)
    assert len(list(decoders.read(wide, None))) > 2
    (pid,) = processes(decoders)
    peak = next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmHWM" in x)
    assert int(peak.split()[1]) < 512 * 1024
    decoders.close()
