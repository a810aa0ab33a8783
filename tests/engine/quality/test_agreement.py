"""Agreement of two labellers: Cohen's kappa, of clips that both labelled."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from emotion_search.engine.quality.agreement import agreement_of
from emotion_search.index.database.labels import label_pairs, set_labels
from emotion_search.index.errors import NotFoundError
from tests.engine.trends.test_archive import fill


def test_kappa_is_that_of_scikit_learn():
    ours = np.random.default_rng(0)
    one = ours.choice(["a", "b", "c"], 200)
    two = np.where(ours.random(200) < 0.6, one, ours.choice(["a", "b", "c", "d"], 200))
    pairs: dict[tuple[str, str], int] = {}
    for pair in zip(one.tolist(), two.tolist(), strict=True):
        pairs[pair] = pairs.get(pair, 0) + 1
    found = agreement_of(pairs)
    assert (found.clips, found.agreed) == (200, int((one == two).sum()))
    assert found.kappa == pytest.approx(cohen_kappa_score(one, two))


def test_kappa_is_not_defined_without_clips_or_without_choice():
    assert vars(agreement_of({})) == {"clips": 0, "agreed": 0, "kappa": None}
    assert agreement_of({("a", "a"): 3}).kappa is None


def test_only_clips_with_both_labels_count_and_emotions_by_any_name(database):
    fill(database, [(None, "a", [("angry", 1.0)] * 4)])
    given = [(1, "anger", "angry"), (2, "anger", "happy"), (3, "happiness", None)]
    with database.write() as session:
        set_labels(session, [(clip, "emotion", label) for clip, label, _ in given])
        set_labels(session, [(clip, "emotion, Ann", other) for clip, _, other in given if other])
        pairs = label_pairs(session, "emotion", "emotion, Ann")
        for tasks in (("emotion, Anne", "emotion"), ("emotion", "emotion, Anne")):
            with pytest.raises(NotFoundError, match=r"task emotion, Anne.*emotion, Ann"):
                label_pairs(session, *tasks)
    assert pairs == {("angry", "angry"): 1, ("angry", "happy"): 1} or (
        pairs == {("anger", "anger"): 1, ("anger", "happy"): 1}
    )
