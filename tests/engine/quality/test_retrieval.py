"""Retrieval metrics: equal to scikit-learn's, chance equal to what random orders find."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from emotion_search.engine.quality.labelled import LabelledVectors, read_labelled_vectors
from emotion_search.engine.quality.retrieval import METRICS, Gallery, _chance, _metrics, judge
from emotion_search.engine.quality.summary import over_classes, over_queries
from emotion_search.index.errors import InvalidInputError


def clips(seed: int, n: int = 40, classes: int = 3, speakers: int = 4) -> LabelledVectors:
    rng = np.random.default_rng(seed)
    labels = np.array([f"c{i}" for i in rng.integers(classes, size=n)])
    labels[:4] = ["c0", "c0", "c1", "c1"]
    return LabelledVectors(
        rng.normal(size=(n, 6)).astype(np.float32),
        labels,
        np.array([f"s{i % speakers}" for i in range(n)]),
        np.array([f"r{i // 2}" for i in range(n)]),
        "random",
    )


def naive(data: LabelledVectors, query: int, away: np.ndarray) -> list[float]:
    unit = data.vectors / np.linalg.norm(data.vectors, axis=1, keepdims=True)
    cosines, relevant = (unit @ unit[query])[away], (data.labels == data.labels[query])[away]
    first = relevant[np.argsort(-cosines)]
    return [
        average_precision_score(relevant, cosines),
        float(first[0]),
        first[:10].mean(),
        first[:10].sum() / first.sum(),
        first[:100].sum() / first.sum(),
    ]


@settings(deadline=None, max_examples=12)
@given(seed=st.integers(0, 10_000), gallery=st.sampled_from(list(Gallery)))
def test_metrics_are_scikit_learns(seed: int, gallery: Gallery):
    data = clips(seed)
    judged = judge(data, gallery)
    for query, values in zip(judged.queries, judged.values, strict=True):
        away = np.arange(len(data.labels)) != query
        if gallery is Gallery.SPEAKER:
            away &= data.speakers != data.speakers[query]
        if gallery is Gallery.RECORDING:
            away &= data.recordings != data.recordings[query]
        assert values == pytest.approx(naive(data, query, away), abs=1e-6)


@pytest.mark.parametrize("gallery", [1, 2, 5, 11])
def test_chance_is_the_mean_over_every_order(gallery: int):
    for relevant in range(1, min(gallery, 3) + 1):
        found = []
        for places in combinations(range(gallery), relevant):
            order = np.zeros(gallery, bool)
            order[list(places)] = True
            found.append(_metrics(order))
        assert _chance(gallery, relevant) == pytest.approx(np.mean(found, axis=0))


def test_the_tenth_and_the_hundredth_still_count():
    order = np.zeros(120, bool)
    order[[0, 9, 10, 99, 100]] = True
    average = (1 + 2 / 10 + 3 / 11 + 4 / 100 + 5 / 101) / 5
    assert _metrics(order) == pytest.approx([average, 1, 0.2, 2 / 5, 4 / 5])


def test_chance_is_what_random_orders_find():
    data = clips(1)
    rng = np.random.default_rng(0)
    found = []
    for _ in range(100):
        shuffled = replace(data, vectors=rng.normal(size=data.vectors.shape).astype(np.float32))
        found.append(judge(shuffled, Gallery.SPEAKER).values.mean(axis=0))
    chance = judge(data, Gallery.SPEAKER).chance.mean(axis=0)
    assert np.mean(found, axis=0) == pytest.approx(chance, abs=0.015)


def test_perfect_vectors_find_everything():
    data = clips(2)
    names, classes = np.unique(data.labels, return_inverse=True)
    judged = judge(
        replace(data, vectors=np.eye(len(names), dtype=np.float32)[classes]), Gallery.NONE
    )
    assert judged.values[:, METRICS.index("mAP")].min() == 1.0
    assert judged.unanswerable == 0


def test_a_label_that_only_one_speaker_has_cannot_be_asked_for_among_others():
    data = clips(3)
    labels = data.labels.copy()
    labels[0] = "rare"
    changed = LabelledVectors(data.vectors, labels, data.speakers, data.recordings, "x")
    judged = judge(changed, Gallery.SPEAKER)
    assert judged.unanswerable == 1
    assert 0 not in judged.queries


def test_macro_means_weigh_classes_alike():
    values = np.array([[1.0], [1.0], [1.0], [0.0]])
    labels, groups = np.array(["a", "a", "a", "b"]), np.array(["s", "t", "u", "v"])
    assert over_queries(values, groups, rounds=0, seed=0)[0].value == 0.75
    assert over_classes(values, labels, groups, rounds=0, seed=0)[0].value == 0.5


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        centres = rng.normal(size=(30, 1))  # of 30 speakers, ten queries each
        values = np.repeat(centres, 10, axis=0) + 0.3 * rng.normal(size=(300, 1))
        groups = np.repeat(np.arange(30).astype(str), 10)
        one = over_queries(values, groups, rounds=300, seed=trial)[0]
        covered += one.low <= 0.0 <= one.high
    assert 0.88 <= covered / 200 <= 0.99


def test_a_single_group_gives_no_interval():
    one = over_queries(np.ones((3, 1)), np.array(["s"] * 3), rounds=100, seed=0)[0]
    assert (one.low, one.high) == (None, None)


@pytest.mark.parametrize("rounds", [0, 1, 250])
def test_an_interval_is_asked_for_by_its_rounds(rounds: int):
    values, groups = np.arange(4.0)[:, None], np.array(list("stuv"))
    one = over_queries(values, groups, rounds=rounds, seed=0)[0]
    assert one.value == 1.5
    assert (one.low is None) == (one.high is None) == (rounds == 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.array(["a"] * 6)}, "two classes"),
        ({"labels": np.array(list("abcdef"))}, "two classes"),
        ({"vectors": np.ones((6, 3), np.float32)}, "all embeddings are equal"),
        (
            {
                "vectors": np.ones((1, 3), np.float32),
                "labels": np.array(["a"]),
                "recordings": np.array(["1"]),
            },
            "1 labelled clips of 1 class",
        ),
        ({"vectors": np.zeros((6, 3), np.float32)}, "zero or not finite"),
        ({"vectors": np.ones((5, 3), np.float32)}, "one row each"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(change: dict[str, np.ndarray], message: str):
    rng = np.random.default_rng(0)
    fields = {
        "vectors": rng.normal(size=(6, 3)).astype(np.float32),
        "labels": np.array(list("aabbcc")),
        "speakers": None,
        "recordings": np.array(list("123456")),
    }
    with pytest.raises(InvalidInputError, match=message):
        LabelledVectors(**(fields | change), name="x")


def test_galleries_of_other_speakers_need_two_known_ones():
    data = clips(4, speakers=1)
    with pytest.raises(InvalidInputError, match="two speakers"):
        judge(data, Gallery.SPEAKER)
    unknown = LabelledVectors(data.vectors, data.labels, None, data.recordings, "x")
    with pytest.raises(InvalidInputError, match="speaker of every labelled clip"):
        judge(unknown, Gallery.SPEAKER)


def test_vectors_of_ones_own_are_read_with_their_labels(tmp_path: Path):
    np.save(tmp_path / "x.npy", np.arange(12.0).reshape(4, 3))
    (tmp_path / "l.csv").write_text("label,speaker\na,s\na,t\nb,s\nb,t\n")
    data = read_labelled_vectors(tmp_path / "x.npy", tmp_path / "l.csv")
    assert data.vectors.dtype == np.float32
    assert data.labels.tolist() == ["a", "a", "b", "b"]
    assert data.speakers.tolist() == ["s", "t", "s", "t"]
    (tmp_path / "l.csv").write_text("label,speaker\na,s\na,\nb,s\nb,\n")
    some = read_labelled_vectors(tmp_path / "x.npy", tmp_path / "l.csv")
    assert some.speakers is None
    assert some.groups.tolist() == ["speaker s", "recording row 1", "speaker s", "recording row 3"]
    (tmp_path / "l.csv").write_text("label,speaker\na,s\na,t\nb,s\nb,t\n")
    every = read_labelled_vectors(tmp_path / "x.npy", tmp_path / "l.csv")
    assert (every.groups.tolist(), every.by) == (["s", "t", "s", "t"], "speakers")
    assert replace(every, speakers=None).groups.tolist() == ["row 0", "row 1", "row 2", "row 3"]


def test_what_is_said_and_where_is_read_from_columns(tmp_path: Path):
    np.save(tmp_path / "x.npy", np.arange(12.0).reshape(4, 3))
    (tmp_path / "l.csv").write_text("label,source,text,line\na,o,hi,1\na,,,2\nb,o,hi,1\nb,o,,\n")
    data = read_labelled_vectors(tmp_path / "x.npy", tmp_path / "l.csv")
    assert data.sources.tolist() == ["o", "", "o", "o"]
    assert data.sentences.tolist() == ["0", "", "0", ""]
    named = read_labelled_vectors(tmp_path / "x.npy", tmp_path / "l.csv", sentence_key="line")
    assert named.sentences.tolist() == ["0", "1", "0", ""]
    with pytest.raises(InvalidInputError, match="no labelled clip has the metadata key words"):
        read_labelled_vectors(tmp_path / "x.npy", tmp_path / "l.csv", sentence_key="words")


def test_a_part_keeps_what_is_known_of_its_clips():
    data = replace(clips(0), sentences=np.arange(40).astype(str), score_classes=("a",))
    part = replace(data, scores=np.arange(40, dtype=np.float32)[:, None]).part(np.arange(3, 30))
    assert part.sentences.tolist() == [str(i) for i in range(3, 30)]
    assert part.scores[:, 0].tolist() == list(range(3, 30))
    assert (part.sources, part.score_classes, part.name) == (None, ("a",), "random")


def test_clips_without_a_label_are_left_out(tmp_path: Path):
    np.save(tmp_path / "x.npy", np.arange(15.0).reshape(5, 3))
    (tmp_path / "l.csv").write_text("label\na\na\n''\nb\nb\n".replace("''", '""'))
    assert len(read_labelled_vectors(tmp_path / "x.npy", tmp_path / "l.csv").labels) == 4


@pytest.mark.parametrize(
    ("array", "text", "message"),
    [
        (np.ones((3, 2)), "label\na\nb\n", "2 rows for 3 embeddings"),
        (np.ones(3), "label\na\nb\nc\n", "shape"),
        (np.array([["x"], ["y"]]), "label\na\nb\n", "not numbers"),
        (np.ones((2, 2)), "emotion\na\nb\n", "no column label"),
        (np.array([[1, 1], [1e300, 1]]), "label\na\nb\n", r"\(row 1\) is zero or not finite"),
    ],
)
def test_files_that_do_not_fit_together_are_refused(
    tmp_path: Path, array: np.ndarray, text: str, message: str
):
    np.save(tmp_path / "x.npy", array)
    (tmp_path / "l.csv").write_text(text)
    with pytest.raises(InvalidInputError, match=message):
        read_labelled_vectors(tmp_path / "x.npy", tmp_path / "l.csv")


def test_a_pickle_is_never_opened(tmp_path: Path):
    np.save(tmp_path / "x.npy", np.array([{}]), allow_pickle=True)
    (tmp_path / "l.csv").write_text("label\na\n")
    with pytest.raises(InvalidInputError, match="not a readable"):
        read_labelled_vectors(tmp_path / "x.npy", tmp_path / "l.csv")
