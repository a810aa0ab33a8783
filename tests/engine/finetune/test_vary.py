"""Variation of features in fine-tuning fills any length."""

import numpy as np

from emotion_search.engine.finetune.vary import vary


def test_short_and_long_clips_fill_any_length():
    random = np.random.default_rng(0)
    for n in (1, 5, 90, 1000):
        varied = vary(random.normal(size=(n, 68)).astype(np.float32), 60, random)
        assert varied.shape == (60, 68)
        assert np.isfinite(varied).all()
