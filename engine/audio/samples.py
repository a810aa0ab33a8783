"""Audio samples: their type, the rate of everything that is embedded, samples as WAV."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

SAMPLE_RATE = 16_000
"""Hz of everything that is embedded."""

SHORTEST = 400
"""Fewest samples of a clip (25 ms at 16 kHz): the receptive field of one frame."""

FRAME_HOP = 320
"""Samples from one frame to the next (20 ms at 16 kHz): 50 frames a second."""


def wav(samples: Samples, rate: int) -> bytes:
    """Samples (float32, (n,)) at ``rate`` Hz as a file of 16-bit WAV."""
    import soundfile  # which nothing else here needs

    content = io.BytesIO()
    soundfile.write(content, samples, rate, format="WAV", subtype="PCM_16")
    return content.getvalue()
