"""Triplets with confounds and whose the nearest are: by hand, by brute force, by simulation."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_search.engine.quality.confounds import KINDS, Confounds, confounds
from emotion_search.engine.quality.labelled import LabelledVectors


def measured(data: LabelledVectors, rounds: int = 0) -> Confounds:
    return confounds(data, np.arange(len(data.labels)), rounds=rounds, seed=0)


def at(degrees: list[float], labels: str, speakers: str, texts: str, sources: str = ""):
    """Clips at angles, with one letter each for what is known of them."""
    turned = np.radians(degrees)
    return LabelledVectors(
        np.stack([np.cos(turned), np.sin(turned)], axis=1).astype(np.float32),
        np.array(list(labels)),
        np.array(list(speakers)),
        np.arange(len(degrees)).astype(str),
        "made",
        sources=np.array(list(sources)) if sources else None,
        sentences=np.array([text.strip() for text in texts]),
    )


def test_triplets_of_four_clips_by_hand():
    # Angry and sad, each by speakers s and t, who say another sentence each time but for the last
    # two clips, which share theirs with the first two.
    data = at([0, 30, 40, 90], "aabb", "stst", "xyyx")
    one = measured(data)
    # Anchor 0 (s, x): like 1 (30°). Distractors: 2 is by s, of y (40°): right. 3 shares x: right.
    # Anchor 1 (t, y): like 0 (30°). 3 is by t (60°): right. 2 shares y (10°): wrong.
    # Anchor 2 (s, y): like 3 (50°). 0 is by s (40°): wrong. 1 shares y (10°): wrong.
    # Anchor 3 (t, x): like 2 (50°). 1 is by t (60°): right. 0 shares x (90°): right.
    found = {kind: (t.right.value, t.anchors, t.triplets) for kind, t in one.triplets.items()}
    assert found == {"sentence": (0.5, 4, 4), "speaker": (0.75, 4, 4)}
    assert set(one.left_out) == {"nothing", "source", "both"}
    assert one.left_out["nothing"] == one.left_out["both"] == "there is no such triplet"
    assert one.left_out["source"] == "all labelled clips are of one source"


def test_equal_similarities_are_half_right():
    data = at([0, 20, -20, 20], "aabb", "stuv", "wxyz")
    (right,) = [t.right.value for t in measured(data).triplets.values()]
    # Anchor 0: 1 and its distractors 2 and 3 all at 20°. Anchor 1: 0 at 20° against 40° and 0°.
    # Anchors 2 and 3 have each other at 40°, against (20°, 40°) and (20°, 0°).
    assert right == pytest.approx((0.5 + 0.5 + 0.25 + 0) / 4)


def test_a_clip_of_unknown_words_shares_no_sentence():
    words = at([0, 30, 40, 90, 10, 70], "aabbab", "stuvwx", ["", "", "", "", "p", "q"])
    assert set(measured(words).triplets) == {"nothing"}
    assert measured(words).left_out["sentence"] == "there is no such triplet"
    calls = np.array(list("121233"))
    unknown = measured(replace(words, sentences=None, speakers=None, recordings=calls))
    assert set(unknown.triplets) == {"nothing"}
    assert "no labelled clip has the metadata key text" in unknown.left_out["sentence"]
    assert unknown.left_out["speaker"] == "the speakers are not all known"
    alone = measured(replace(words, speakers=np.full(6, "s")))
    assert alone.left_out == dict.fromkeys(KINDS, "all labelled clips are of one speaker")


def random_clips(seed: int, n: int = 36) -> LabelledVectors:
    """Clips on a coarse grid, so that similarities tie, with some words unknown."""
    rng = np.random.default_rng(seed)
    speakers = rng.integers(6, size=n)
    return LabelledVectors(
        rng.integers([-1, -1, 2], [2, 2, 5], size=(n, 3)).astype(np.float32),
        np.array([f"c{i}" for i in [0, 0, 1, 1, *rng.integers(3, size=n - 4)]]),
        np.array([f"s{i}" for i in speakers]),
        np.arange(n).astype(str),
        "random",
        sources=np.array([f"o{i % 2}" for i in speakers]),
        sentences=np.array([f"t{i}" if i else "" for i in rng.integers(4, size=n)]),
    )


def brute(data: LabelledVectors) -> dict[str, tuple[float, int, int]]:
    """Every triplet, one by one, from what the definitions say."""
    unit = data.vectors.astype(float)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    n, several = len(unit), len(np.unique(data.sources)) > 1
    right = {kind: {} for kind in KINDS}
    for a in range(n):
        sentence = data.sentences[a]
        for p in range(n):
            if data.labels[p] != data.labels[a] or data.speakers[p] == data.speakers[a]:
                continue
            if sentence and data.sentences[p] == sentence:
                continue
            for d in range(n):
                if data.labels[d] == data.labels[a]:
                    continue
                voice = data.speakers[d] == data.speakers[a]
                text = bool(sentence) and data.sentences[d] == sentence
                home = [data.sources[i] == data.sources[a] for i in (p, d)]
                kinds = {
                    "nothing": not voice and not text and home == [not several] * 2,
                    "sentence": not voice and text and home == [True, True],
                    "speaker": voice and not text and home == [True, True],
                    "source": several and not voice and not text and home == [False, True],
                    "both": voice and text and home == [True, True],
                }
                score = np.sign(round(unit[a] @ unit[p], 6) - round(unit[a] @ unit[d], 6))
                for kind in (name for name, holds in kinds.items() if holds):
                    right[kind].setdefault(a, []).append((score + 1) / 2)
    return {
        kind: (
            np.mean([np.mean(some) for some in of.values()]),
            len(of),
            sum(map(len, of.values())),
        )
        for kind, of in right.items()
        if of
    }


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000), one_source=st.booleans())
def test_all_triplets_are_judged_as_one_by_one(seed: int, one_source: bool):
    data = random_clips(seed)
    if one_source:
        data = replace(data, sources=np.full(len(data.labels), "only"))
    found = measured(data).triplets
    expected = brute(data)
    assert set(found) == set(expected)
    for kind, (right, anchors, triplets) in expected.items():
        assert found[kind].right.value == pytest.approx(right)
        assert (found[kind].anchors, found[kind].triplets) == (anchors, triplets)


def test_intervals_are_over_speakers():
    one = measured(random_clips(1), rounds=200).triplets["nothing"].right
    assert one.low < one.value < one.high


def test_whose_the_nearest_are_by_hand():
    # Twelve clips: the query's own source is near at hand, its own recording is one other clip.
    data = at(list(range(12)), "ab" * 6, "sssssstttttt", " " * 12, "oooooooooopp")
    data = replace(data, recordings=np.repeat(np.arange(6), 2).astype(str))
    nearest = confounds(data, np.array([0]), rounds=0, seed=0).nearest
    assert list(nearest) == ["source", "speaker", "recording"]
    assert [one.share for one in nearest.values()] == pytest.approx([0.9, 0.5, 0.1])
    assert [one.chance for one in nearest.values()] == pytest.approx([9 / 11, 5 / 11, 1 / 11])


def test_what_says_nothing_is_left_out_of_the_nearest():
    data = at(list(range(4)), "aabb", "ssss", "    ")
    assert measured(data).nearest == {}  # one speaker, no source, a recording for each clip


def test_chance_of_the_nearest_is_what_random_orders_find():
    data = random_clips(3, n=60)
    rng = np.random.default_rng(0)
    found = []
    for _ in range(100):
        shuffled = replace(data, vectors=rng.normal(size=(60, 8)).astype(np.float32))
        found.append([one.share for one in measured(shuffled).nearest.values()])
    chance = [one.chance for one in measured(data).nearest.values()]
    assert np.mean(found, axis=0) == pytest.approx(chance, abs=0.01)
