"""What is derived from class scores, and how clips come in its order."""

import numpy as np
import pytest

from emotion_search import ClipFilter, Library
from emotion_search.index.database.affect import affect


def test_it_is_the_mean_of_the_classes_places_by_their_scores():
    found = affect(["anger", "neutral", "sad"], np.array([[0.5, 0.25, 0.25], [0, 1, 0]]))

    angry, sad = np.array([-0.51, 0.59, 0.25]), np.array([-0.63, -0.27, -0.33])
    assert found == pytest.approx(np.array([0.5 * angry + 0.25 * sad, np.zeros(3)]))


def test_clips_have_what_follows_from_their_scores(filled: Library):
    for clip in filled.clips():
        derived = affect(list(clip.scores), np.array(list(clip.scores.values())))
        assert list(clip.affect.values()) == pytest.approx(derived.tolist())
        assert clip.derived
    found = [one.clip.affect["arousal"] for one in filled.sorted_clips("arousal").clips]
    assert found == sorted(found, reverse=True)
    middle = ClipFilter(min_arousal=found[8], max_arousal=found[3], max_valence=1.0)
    assert len(filled.clips(middle)) == 6
    assert filled.clips(ClipFilter(min_valence=0.9)) == []
