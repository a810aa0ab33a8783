"""Features that an ONNX file takes in place of samples: a log-mel spectrogram, as declared."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from emotion_search.engine.audio.file import Samples
from emotion_search.engine.embedders.base import Floats
from emotion_search.index.errors import ModelUnavailableError


class LogMel(BaseModel):
    """A log-mel spectrogram: power of Hann windows, in mel bands, logarithm. It is computed by
    ``transformers.audio_utils``, where scales and norms are described.

    Attributes:
        n_mels: bands, from ``f_min`` to ``f_max`` (Hz; half the sample rate if left out).
        n_fft, win_length, hop_length: in samples of the description's rate.
        center: whether frames are centred on multiples of the hop, the ends reflected.
        mel_scale, norm: of the bands; by default those of torchaudio. librosa has slaney for both.
        log: ``log`` is natural, ``dB`` is 10 log10.
        floor: least power.
        time_first: whether the input is (frames, bands), else (bands, frames).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_mels: int = Field(ge=1, le=1024)
    n_fft: int = Field(ge=16, le=65_536)
    win_length: int = Field(ge=16, le=65_536)
    hop_length: int = Field(ge=1, le=65_536)
    f_min: float = Field(default=0.0, ge=0)
    f_max: float | None = Field(default=None, gt=0)
    center: bool = True
    mel_scale: Literal["htk", "slaney", "kaldi"] = "htk"
    norm: Literal["slaney"] | None = None
    log: Literal["log", "log10", "dB"] = "log"
    floor: float = Field(default=1e-10, gt=0)
    time_first: bool = True

    def of(self, samples: Samples, rate: int) -> Floats:
        """The features of samples at a rate in Hz: float32, (frames, bands) or (bands, frames).
        Fewer samples than a window are filled up with zeros.

        Raises:
            ModelUnavailableError: transformers is missing, or the settings make no sense together.
        """
        try:
            from transformers.audio_utils import spectrogram
        except ImportError as error:
            raise ModelUnavailableError(
                "features need transformers: pip install 'emotion-search[hf]'"
            ) from error
        samples = np.pad(samples, (0, max(0, self.win_length - len(samples))))
        try:
            window, filters = _window_and_filters(self, rate)
            found = spectrogram(
                samples,
                window,
                frame_length=self.win_length,
                hop_length=self.hop_length,
                fft_length=self.n_fft,
                power=2.0,
                center=self.center,
                mel_filters=filters,
                mel_floor=self.floor,
                log_mel=self.log,
            )
        except ValueError as error:
            raise ModelUnavailableError(f"features cannot be computed: {error}") from error
        return np.ascontiguousarray(found.T if self.time_first else found, np.float32)


@lru_cache(maxsize=8)
def _window_and_filters(features: LogMel, rate: int) -> tuple[Any, Any]:
    from transformers.audio_utils import mel_filter_bank, window_function

    filters = mel_filter_bank(
        num_frequency_bins=features.n_fft // 2 + 1,
        num_mel_filters=features.n_mels,
        min_frequency=features.f_min,
        max_frequency=features.f_max or rate / 2,
        sampling_rate=rate,
        norm=features.norm,
        mel_scale=features.mel_scale,
    )
    return window_function(features.win_length, "hann"), filters
