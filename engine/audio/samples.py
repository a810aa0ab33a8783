"""What decoded audio is: the type of its samples, and the rate of everything that is embedded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

SAMPLE_RATE = 16_000
"""Hz of everything that is embedded."""

SHORTEST = 400
"""Fewest samples of a clip (25 ms at 16 kHz): the receptive field of one frame."""

FRAME_HOP = 320
"""Samples from one frame to the next (20 ms at 16 kHz): 50 frames a second."""
