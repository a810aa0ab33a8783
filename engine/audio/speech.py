"""Voice activity detection: the speech probability of every 32 ms, by Silero VAD in numpy."""

from __future__ import annotations

import math
import pickle
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.audio.samples import SAMPLE_RATE, Samples
from emotion_search.index.errors import ModelUnavailableError

Array = NDArray[np.float32]

CHUNK = 512
"""Samples of one probability (32 ms at 16 kHz)."""

LIKELY = 0.5
"""Probability from which on somebody speaks."""

LEAST_S = 0.25
"""Least seconds of speech that count."""

_CONTEXT = 64  # samples of the chunk before, put in front of each
_FFT, _HOP = 256, 128
_BINS = _FFT // 2 + 1


class SpeechDetector:
    """Silero VAD (MIT; github.com/snakers4/silero-vad), 16 kHz, with the weights of its wheel.

    It is small and recurrent: in numpy it runs at some hundred times realtime in any thread,
    without torch. It keeps a state: feed it the blocks of one recording in order.

    Raises:
        ModelUnavailableError: the package silero-vad is not installed whole.
    """

    def __init__(self) -> None:
        self._weights = _weights()
        self._context = np.zeros(_CONTEXT, np.float32)
        self._rest = np.empty(0, np.float32)
        self._hidden = np.zeros(128, np.float32)
        self._cell = np.zeros(128, np.float32)

    def feed(self, block: Samples) -> Array:
        """Probabilities of the chunks that this block completes: float32, (n,), 0 to 1."""
        samples = np.concatenate([self._rest, block])
        whole = len(samples) - len(samples) % CHUNK
        self._rest = samples[whole:]
        return self._probabilities(samples[:whole])

    def finish(self) -> Array:
        """The probability of what is left, filled up with silence: (1,), or (0,) if nothing is."""
        if not len(self._rest):
            return np.empty(0, np.float32)
        rest, self._rest = self._rest, np.empty(0, np.float32)
        return self._probabilities(np.pad(rest, (0, CHUNK - len(rest))))

    def _probabilities(self, samples: Samples) -> Array:
        if not len(samples):
            return np.empty(0, np.float32)
        stream = np.concatenate([self._context, samples])
        self._context = samples[-_CONTEXT:]
        chunks = np.lib.stride_tricks.sliding_window_view(stream, _CONTEXT + CHUNK)[::CHUNK]
        with np.errstate(over="ignore", invalid="ignore"):  # absurd samples are no speech
            return np.nan_to_num(self._decoded(self._encoded(chunks)))

    def _encoded(self, chunks: Array) -> Array:
        """What the convolutions make of chunks (n, 576): (n, 128)."""
        w = self._weights
        padded = np.pad(chunks, ((0, 0), (0, _CONTEXT)), mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT, axis=1)[:, ::_HOP]
        spectra = frames @ w.transform
        x = np.sqrt(spectra[..., :_BINS] ** 2 + spectra[..., _BINS:] ** 2)
        for (kernel, bias), stride in zip(w.convolutions, (1, 2, 2, 1), strict=True):
            x = np.maximum(_convolved(x, kernel, stride) + bias, 0)
        return x[:, 0]

    def _decoded(self, x: Array) -> Array:
        """Probabilities, (n,), of the convolutions' answers, through the recurrent cell."""
        w = self._weights
        outputs = np.empty((len(x), 128), np.float32)
        hidden, cell = self._hidden, self._cell
        for i, given in enumerate(x @ w.input + w.bias):
            gates = given + hidden @ w.recurrent
            enter, keep, out = (
                _sigmoid(gates[:128]),
                _sigmoid(gates[128:256]),
                _sigmoid(gates[384:]),
            )
            cell = keep * cell + enter * np.tanh(gates[256:384])
            hidden = out * np.tanh(cell)
            outputs[i] = hidden
        self._hidden, self._cell = hidden, cell
        return np.asarray(_sigmoid(np.maximum(outputs, 0) @ w.final + w.final_bias))


def spoken(blocks: Iterable[Samples]) -> float:
    """Seconds of speech in the blocks of a recording, counted until they are ``LEAST_S``."""
    detector, chunks = SpeechDetector(), 0
    for block in blocks:
        chunks += int((detector.feed(block) >= LIKELY).sum())
        if chunks * CHUNK >= LEAST_S * SAMPLE_RATE:
            break
    return chunks * CHUNK / SAMPLE_RATE


@dataclass(frozen=True, eq=False)
class _Weights:
    transform: Array  # (256, 258)
    convolutions: tuple[tuple[Array, Array], ...]  # ((3 * in, out), (out,))
    input: Array  # (128, 512)
    recurrent: Array  # (128, 512)
    bias: Array  # (512,)
    final: Array  # (128,)
    final_bias: Array  # ()


@cache
def _weights() -> _Weights:
    # Not imported: its package loads torch and sets its number of threads for the whole process.
    package = find_spec("silero_vad")
    if package is None or package.origin is None:
        raise ModelUnavailableError("speech detection needs the package silero-vad: install it")
    # The wheel's .safetensors holds another model, whose probabilities differ by up to 0.3.
    path = Path(package.origin).parent / "data" / "silero_vad.jit"
    try:
        with zipfile.ZipFile(path) as archive:
            model = _Reader(archive).load()["_model"]
        encoder, decoder = model["encoder"], model["decoder"]
        convolutions = [
            (
                encoder[str(i)]["reparam_conv"]["weight"].transpose(2, 1, 0).reshape(-1, n).copy(),
                encoder[str(i)]["reparam_conv"]["bias"],
            )
            for i, n in enumerate((128, 64, 64, 128))
        ]
        return _Weights(
            transform=np.ascontiguousarray(model["stft"]["forward_basis_buffer"][:, 0].T),
            convolutions=tuple(convolutions),
            input=np.ascontiguousarray(decoder["rnn"]["weight_ih"].T),
            recurrent=np.ascontiguousarray(decoder["rnn"]["weight_hh"].T),
            bias=decoder["rnn"]["bias_ih"] + decoder["rnn"]["bias_hh"],
            final=decoder["decoder"]["2"]["weight"][0, :, 0],
            final_bias=decoder["decoder"]["2"]["bias"][0],
        )
    except (OSError, zipfile.BadZipFile, pickle.UnpicklingError, KeyError, ValueError) as error:
        raise ModelUnavailableError(
            f"silero-vad's weights in {path} cannot be used ({error!r}); install silero-vad 6.2"
        ) from error


class _Part(dict[str, Any]):
    """A module of the model: its parameters and modules by name."""

    def __init__(self, *_: object) -> None:
        super().__init__()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.update(state)


class _Reader(pickle.Unpickler):
    """Reads the parameters of a TorchScript archive without torch; runs none of its code."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive, self._root = archive, archive.namelist()[0].split("/")[0]
        super().__init__(archive.open(f"{self._root}/data.pkl"))

    def find_class(self, module: str, name: str) -> Any:
        return _tensor if name == "_rebuild_tensor_v2" else _Part

    def persistent_load(self, pid: tuple[str, ...]) -> Array:
        return np.frombuffer(self._archive.read(f"{self._root}/data/{pid[2]}"), "<f4")


def _tensor(storage: Array, first: int, shape: tuple[int, ...], *_: object) -> Array:
    return storage[first : first + math.prod(shape)].reshape(shape)


def _convolved(x: Array, kernel: Array, stride: int) -> Array:
    """A convolution of width 3 over axis 1 of x (n, frames, in), with a zero on either side."""
    padded = np.pad(x, ((0, 0), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 3, axis=1)[:, ::stride]
    taps = windows.transpose(0, 1, 3, 2).reshape(len(x), -1, kernel.shape[0])
    return np.asarray(taps @ kernel)


def _sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))
