"""Training on an archive's labels, classifying it, and what to label next; on both databases."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save
from sqlalchemy import text, update

from emotion_search.engine.classify import apply
from emotion_search.engine.classify import suggest as suggest_module
from emotion_search.engine.classify.apply import classify, load_classifier
from emotion_search.engine.classify.compare import splits_of
from emotion_search.engine.classify.examples import LeftOut
from emotion_search.engine.classify.methods import METHODS
from emotion_search.engine.classify.suggest import suggest
from emotion_search.engine.classify.train import train
from emotion_search.engine.pages.classifier import write_report
from emotion_search.index.database.classifiers import delete_classifier, list_classifiers
from emotion_search.index.database.clips import list_clips
from emotion_search.index.database.connection import Database
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.labels import set_labels
from emotion_search.index.database.matching import matching_ids
from emotion_search.index.database.recordings import remove_recording
from emotion_search.index.database.schema import ClassifierRow
from emotion_search.index.database.spaces import add_space
from emotion_search.index.errors import (
    DatabaseError,
    InvalidInputError,
    ModelMismatchError,
    NotFoundError,
)
from emotion_search.index.vectors.arrays import normalise
from emotion_search.index.vectors.space import Method, fit_space
from tests.archives import blobs, fill, twin

LINEAR = "linear discriminant"
"""The quicker of the methods, for what is the same whatever the method."""


def archive(database: Database, **options):
    vectors, labels, speakers = blobs(**options)
    return fill(database, vectors, labels=labels, speakers=speakers)


def test_the_best_is_stored_with_where_it_comes_from(database: Database, tmp_path: Path):
    model = archive(database)
    done = train(database, model, task="emotion", rounds=50)
    assert [one.name for one in done.compared] == ["linear discriminant", "random forest"]
    assert done.best.measured.uar.value > 0.95
    with database.read() as session:
        (info,) = list_classifiers(session)
    assert (info.task, info.version, info.classes) == ("emotion", 1, ("class0", "class1", "class2"))
    record = json.loads(json.dumps(info.provenance))
    assert record["fingerprint"] == model.fingerprint
    assert record["labels"] == "archive"
    assert record["data"]["groups"] == 6
    assert record["setting"] == done.best.title.removeprefix("linear discriminant, ")
    assert record["data"]["left_out"] == {}
    kinds = record["calibration"]["kinds"]
    assert record["calibration"]["kind"] == min(kinds, key=lambda kind: kinds[kind]["loss"])
    assert sum(map(sum, record["metrics"]["confusion"])) == 90
    write_report(done, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert page.count('class="plotly-graph-div"') == 3
    assert '<script src="http' not in page


def test_no_speaker_is_on_both_sides_of_any_split(sqlite: Database):
    for speakers in (6, 30):
        model = archive(sqlite, speakers=speakers, each=2) if speakers == 6 else None
        if model is None:
            vectors, labels, who = blobs(speakers=30, each=2)
            who = [f"new {one}" for one in who]
            model = fill(sqlite, vectors, labels=labels, speakers=who, begin=1000)
        examples = train(sqlite, model, task="emotion", method=LINEAR, rounds=0).examples
        splits = splits_of(examples.classes, examples.groups)
        assert len(splits) == (6 if speakers == 6 else 5)
        tested = np.concatenate([rows for _, rows in splits])
        assert sorted(tested) == list(range(len(examples.ids)))
        for fit, rows in splits:
            assert not set(examples.groups[fit]) & set(examples.groups[rows])


def test_labels_that_only_tell_the_speaker_are_not_learned(sqlite: Database):
    rng = np.random.default_rng(0)
    voices = rng.normal(size=(12, 16))
    speakers = [s for s in range(12) for _ in range(10)]
    vectors = np.array([voices[s] + 0.05 * rng.normal(size=16) for s in speakers], np.float32)
    labels = [f"class{s % 2}" for s in speakers]  # one label a speaker: known speakers give it away
    model = fill(sqlite, vectors, labels=labels, speakers=[str(s) for s in speakers])
    done = train(sqlite, model, task="emotion", rounds=0)
    assert done.best.measured.uar.value < 0.85
    fitted = load(sqlite, model).fitted.scores(vectors).argmax(axis=1)
    assert (fitted == [s % 2 for s in speakers]).mean() > 0.95


def load(database: Database, model):
    with database.read() as session:
        return load_classifier(session, model, "emotion")


def test_a_space_that_was_taught_by_labels_is_not_used(sqlite: Database):
    vectors, labels, speakers = blobs()
    model = fill(sqlite, vectors, labels=labels, speakers=speakers)
    with sqlite.write() as session:
        space = fit_space(Method.CENTRED, vectors)
        add_space(session, model, space, task=None, clips=90, gain=None)
    centred = train(sqlite, model, task="emotion", method=LINEAR, rounds=0)
    assert centred.classifier.space_version == 1
    with sqlite.write() as session:
        space = fit_space(Method.LEARNED, vectors, np.array(labels))
        add_space(session, model, space, task="emotion", clips=90, gain=None)
    plain = train(sqlite, model, task="emotion", method=LINEAR, rounds=0)
    assert plain.classifier.space_version == 0


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a"] * 20, r"there are: a \(20\)\. Label more of another class"),
        (
            ["a"] * 18 + ["b"] * 2,
            r"a \(18\), b \(2, fewer than 3 clips\)\. Label more of b;.*suggest",
        ),
        (["a"] * 10 + ["b"] * 5 + [None] * 5, r"a \(10, all of one speaker\), b \(5, all of one"),
    ],
)
def test_what_cannot_be_learned_is_refused(sqlite: Database, labels, message):
    vectors = np.random.default_rng(0).normal(size=(20, 8))
    speakers = [str(label) for label in labels]  # a speaker for each label
    if "one speaker" not in message:
        speakers = [str(i) for i in range(20)]
    model = fill(sqlite, vectors, labels=labels, speakers=speakers, task="mood")
    with pytest.raises(InvalidInputError, match=message):
        train(sqlite, model, task="mood")


def test_classes_of_too_few_clips_or_speakers_are_left_out_and_named(
    database: Database, tmp_path: Path
):
    vectors, labels, speakers = blobs()
    model = fill(database, vectors, labels=labels, speakers=speakers)
    new = ["two", "two", "three", "three", "three", "alone", "alone", "alone"]
    who = ["a", "b", "a", "b", "c", "a", "a", "a"]
    fill(database, vectors[:8], labels=new, speakers=who, begin=500)
    done = train(database, model, task="emotion", method=LINEAR, rounds=0)
    assert done.left_out == {
        "two": LeftOut(2, "fewer than 3 clips"),
        "alone": LeftOut(3, "all of one speaker"),
    }
    assert done.classifier.classes == ("class0", "class1", "class2", "three")
    left_out = done.classifier.provenance["data"]["left_out"]
    assert left_out["two"] == {"clips": 2, "why": "fewer than 3 clips"}
    write_report(done, tmp_path / "report.html")
    assert "alone (3: all of one speaker)" in (tmp_path / "report.html").read_text()


def test_what_a_sample_lacks_is_left_out_too(sqlite: Database):
    vectors, labels, speakers = blobs()
    model = fill(sqlite, vectors, labels=labels, speakers=speakers)
    fill(sqlite, vectors[:3], labels=["rare"] * 3, speakers=["a", "b", "c"], begin=500)
    done = train(sqlite, model, task="emotion", method=LINEAR, most=40, rounds=0)
    assert set(done.left_out) == {"rare"}
    assert len(done.examples.ids) <= 40


def test_an_unknown_task_method_or_class_is_named(sqlite: Database):
    model = archive(sqlite)
    nothing = r"under the task emotions; did you mean emotion\?; give labels"
    with pytest.raises(NotFoundError, match=nothing):
        train(sqlite, model, task="emotions")
    with pytest.raises(InvalidInputError, match="choose linear discriminant"):
        train(sqlite, model, task="emotion", method="oracle")
    with pytest.raises(NotFoundError, match=r"--without joy: .*there are class0"):
        train(sqlite, model, task="emotion", without=["joy"])
    two = train(sqlite, model, task="emotion", without=["class1"], method=LINEAR, rounds=0)
    assert two.classifier.classes == ("class0", "class2")


@pytest.mark.parametrize("column", ["clip", "path"])
def test_labels_from_a_table_are_used_and_not_stored(sqlite: Database, tmp_path: Path, column):
    vectors, labels, speakers = blobs()
    model = fill(sqlite, vectors, speakers=speakers)
    table = tmp_path / "labels.csv"
    names = [i + 1 if column == "clip" else f"/made/{i}.wav" for i in range(90)]
    rows = [f"{name},{label}" for name, label in zip(names, labels, strict=True)]
    table.write_text(f"{column},label\n" + "\n".join(rows))
    done = train(sqlite, model, task="mood", table=table, method=LINEAR, rounds=0)
    assert done.classifier.provenance["labels"] == str(table)
    assert done.best.measured.uar.value > 0.95
    with sqlite.read() as session:
        assert session.scalar(text("SELECT count(*) FROM labels")) == 0
    table.write_text("clip,label\n9999,low\n")
    with pytest.raises(InvalidInputError, match="labels no clip"):
        train(sqlite, model, task="mood", table=table)


def test_a_table_may_label_spans_and_rows_of_no_clip_are_counted(
    sqlite: Database, tmp_path: Path, caplog
):
    vectors, labels, speakers = blobs()
    model = fill(sqlite, vectors, speakers=speakers)
    table = tmp_path / "labels.csv"
    rows = [f"/made/{i}.wav;0;1.0;{label}" for i, label in enumerate(labels)]
    rows += ["/made/3.wav;0.5;1.0;class2", "/elsewhere/x.wav;0;1;class0"]
    table.write_text("path;start;end;label\n" + "\n".join(rows))
    done = train(sqlite, model, task="mood", table=table, method=LINEAR, rounds=0)
    assert [done.examples.names[c] for c in done.examples.classes] == labels
    assert "2 rows of" in caplog.text
    caplog.clear()
    rows = [f"{i + 1},{label}" for i, label in enumerate(labels)]
    table.write_text("clip,label\n" + "\n".join([*rows, "5000,class0"]))
    train(sqlite, model, task="mood", table=table, method=LINEAR, rounds=0)
    assert "1 rows of" in caplog.text


def test_everything_is_classified_and_labels_stay(database: Database):
    model = archive(database)
    train(database, model, task="emotion", method=LINEAR, rounds=0)
    assert classify(database, model, task="emotion", dry_run=True).done == 90
    done = classify(database, model, task="emotion")
    assert done.done == 90
    assert sum(done.counts.values()) == 90
    with database.write() as session:
        set_labels(session, [(1, "emotion", "something else")])
    assert classify(database, model, task="emotion").done == 0
    with database.read() as session:
        ids = matching_ids(session, ClipFilter(predicted=("class0",)))
        assert set(ids) == set(range(1, 31))
        sure = matching_ids(session, ClipFilter(predicted=("class0",), min_probability=0.5))
        assert 0 < len(sure) <= 30
        assert not len(matching_ids(session, ClipFilter(predicted=("class0",), task="mood")))
        both = ClipFilter(predicted=("class0",), labels=("something else",))
        assert list(matching_ids(session, both)) == [1]
        (clip,) = list_clips(session, model, both, limit=5)
        assert clip.label == "something else"


def predictions(database: Database) -> dict[int, tuple[str, float, int]]:
    with database.read() as session:
        rows = session.execute(
            text("SELECT clip_id, value, probability, classifier_id FROM predictions")
        )
        return {row[0]: tuple(row[1:]) for row in rows}


def test_an_example_is_classified_as_without_its_speaker(database: Database):
    """Else a forest would say of nearly all examples what it remembers, at probabilities near 1."""
    model = archive(database, spread=2.0)
    done = train(database, model, task="emotion", method="random forest", rounds=0)
    classify(database, model, task="emotion")
    record = predictions(database)
    given = done.best.scores.argmax(axis=1)
    names = done.examples.names
    assert [record[i][0] for i in range(1, 91)] == [names[c] for c in given]
    chances = [record[i][1] for i in range(1, 91)]
    np.testing.assert_allclose(chances, done.checked.chances[np.arange(90), given], atol=1e-6)
    assert np.mean(chances) == pytest.approx(done.best.measured.accuracy, abs=0.1)
    ready = load(database, model)
    ids = np.array([3, 500])
    vectors = np.stack([blobs(spread=2.0)[0][2]] * 2)
    with database.read() as session:
        alone = ready.decide(session, ids[:1], vectors[:1])[1]
        both = ready.decide(session, ids, vectors)[1]
    np.testing.assert_array_equal(both[0], alone[0])
    assert both[1].max() > both[0].max()  # one that is no example is classified by all of them


def test_a_slow_run_does_not_write_over_a_newer_classifier(database: Database, monkeypatch):
    model = archive(database)
    first = train(database, model, task="emotion", method=LINEAR, rounds=0).classifier
    real = apply.next_unclassified
    monkeypatch.setattr(apply, "next_unclassified", lambda *a, **k: real(*a, **{**k, "limit": 40}))

    def overtaken(done: int, total: int) -> None:
        if done == 40:
            train(database, model, task="emotion", method=LINEAR, rounds=0)
            assert classify(database, model, task="emotion").done == 90

    assert classify(database, model, task="emotion", progress=overtaken).done == 40
    assert {by for _, _, by in predictions(database).values()} == {first.id + 1}
    assert classify(database, model, task="emotion").done == 0
    named = classify(database, model, task="emotion", version=1)
    assert (named.done, sum(named.counts.values())) == (90, 90)


def test_predictions_made_between_reading_and_writing_stand(sqlite: Database, monkeypatch):
    model = archive(sqlite)
    train(sqlite, model, task="emotion", method=LINEAR, rounds=0)
    real = apply.next_unclassified

    def overtaken(*given, **how):
        found = real(*given, **how)
        monkeypatch.setattr(apply, "next_unclassified", real)
        if len(found[0]):
            train(sqlite, model, task="emotion", method=LINEAR, rounds=0)
            classify(sqlite, model, task="emotion")
        return found

    monkeypatch.setattr(apply, "next_unclassified", overtaken)
    assert classify(sqlite, model, task="emotion").done == 0
    assert {by for _, _, by in predictions(sqlite).values()} == {2}


def test_what_a_newer_classifier_of_another_model_said_is_replaced(sqlite: Database):
    model = archive(sqlite)
    train(sqlite, model, task="emotion", method=LINEAR, rounds=0)
    other = twin(sqlite, blobs()[0])
    train(sqlite, other, task="emotion", method=LINEAR, rounds=0)
    assert classify(sqlite, other, task="emotion").done == 90
    assert classify(sqlite, model, task="emotion").done == 90


def test_new_clips_and_new_versions_are_caught_up_with(database: Database):
    model = archive(database)
    train(database, model, task="emotion", method=LINEAR, rounds=0)
    wanted = ClipFilter(speakers=("speaker0",))
    assert classify(database, model, task="emotion", wanted=wanted).done == 15
    fill(database, blobs()[0][:7], begin=500)
    assert classify(database, model, task="emotion").done == 82
    second = train(database, model, task="emotion", method=LINEAR, rounds=0).classifier
    assert second.version == 2
    assert classify(database, model, task="emotion").done == 97
    with database.read() as session:
        assert [one.predictions for one in list_classifiers(session)] == [0, 97]
    with database.write() as session:
        remove_recording(session, 3)
    with database.write() as session:
        assert delete_classifier(session, "emotion", 2) == 96
    with database.read() as session:
        assert session.scalar(text("SELECT count(*) FROM predictions")) == 0
    assert train(database, model, task="emotion", method=LINEAR, rounds=0).classifier.version == 2


def test_a_run_that_is_killed_goes_on_where_it_stopped(database: Database, monkeypatch):
    model = archive(database)
    train(database, model, task="emotion", method=LINEAR, rounds=0)
    real = apply.next_unclassified
    monkeypatch.setattr(apply, "next_unclassified", lambda *a, **k: real(*a, **{**k, "limit": 20}))

    def killed(done: int, total: int) -> None:
        if done == 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        classify(database, model, task="emotion", progress=killed)
    assert classify(database, model, task="emotion").done == 50


@pytest.mark.parametrize("method", METHODS)
def test_no_vector_is_stored_in_a_classifier(sqlite: Database, method: str):
    model = archive(sqlite)
    train(sqlite, model, task="emotion", method=method, rounds=0)
    with sqlite.read() as session:
        data = session.scalar(text("SELECT parameters FROM classifiers"))
        vectors = session.scalars(text("SELECT vector FROM embeddings")).all()
    assert not any(vector in data for vector in vectors)


def test_a_classifier_of_another_model_or_none_is_refused(sqlite: Database):
    model = archive(sqlite)
    with pytest.raises(NotFoundError, match="emotion-search train --task emotion"):
        classify(sqlite, model, task="emotion")
    train(sqlite, model, task="emotion", method=LINEAR, rounds=0)
    with pytest.raises(NotFoundError, match="version 7"):
        classify(sqlite, model, task="emotion", version=7)
    with pytest.raises(ModelMismatchError, match="trained on embeddings of model made"):
        classify(sqlite, replace(model, id=99, name="other"), task="emotion")


def test_suggestions_are_unlabelled_doubtful_and_the_same_again(database: Database):
    vectors, labels, speakers = blobs(spread=0.8)
    middle = (vectors[:10] + vectors[30:40]) / 2  # between two classes
    model = fill(database, vectors, labels=labels, speakers=speakers)
    fill(database, middle, begin=200)
    fill(database, vectors[:10], begin=300)
    cold = suggest(database, model, task="mood", limit=4)
    assert len({one.clip.id for one in cold}) == 4
    assert cold[0].value is None
    train(database, model, task="emotion", method=LINEAR, rounds=0)
    found = suggest(database, model, task="emotion", limit=6)
    assert found == suggest(database, model, task="emotion", limit=6)
    assert found != suggest(database, model, task="emotion", limit=6, seed=1)
    doubts = [one.uncertainty for one in found]
    assert doubts == sorted(doubts, reverse=True)
    assert 0 <= doubts[-1] <= doubts[0] <= 1
    reason = {True: "emotion 1 is not sure", False: "drawn by chance: emotion 1 is sure"}
    assert [one.why for one in found] == [reason[one.probability < 0.9] for one in found]
    assert {one.why for one in found} == {*reason.values()}
    drawn = [
        one.clip.id
        for seed in range(30)
        for one in suggest(database, model, task="emotion", limit=6, seed=seed)
    ]
    assert set(drawn) <= set(range(91, 111))
    between = np.mean([clip <= 100 for clip in drawn])
    assert 0.6 < between < 1  # more often than the others, which are not passed over
    some = suggest(database, model, task="emotion", limit=500)
    assert len(some) == 20
    for limit in (0, 501):
        with pytest.raises(InvalidInputError, match="limit must be"):
            suggest(database, model, task="emotion", limit=limit)
    with pytest.raises(InvalidInputError, match="no clip matches"):
        suggest(database, model, task="emotion", wanted=ClipFilter(sources=("none",)))


def test_the_clip_of_which_there_is_least_doubt_comes_last(sqlite: Database):
    vectors, labels, speakers = blobs(spread=2.0)
    model = fill(sqlite, vectors, labels=labels, speakers=speakers)
    train(sqlite, model, task="emotion", method=LINEAR, rounds=0)
    centres = [vectors[first : first + 30].mean(axis=0) for first in (0, 30)]
    mixed = [share * centres[0] + (1 - share) * centres[1] for share in (0.5, 0.6)]
    fill(sqlite, np.array(mixed), begin=200)
    more, less = suggest(sqlite, model, task="emotion", limit=2)
    assert more.uncertainty > 1.2 * less.uncertainty > 0.2
    for seed in range(12):
        assert suggest(sqlite, model, task="emotion", limit=1, seed=seed) == [more]


def test_without_a_classifier_the_most_typical_of_each_part_comes_first(sqlite: Database):
    sizes = [12, 10, 8, 6, 4, 2]
    part = np.repeat(np.arange(6), sizes)
    vectors = np.eye(6, 16)[part] + 0.02 * np.random.default_rng(0).normal(size=(42, 16))
    model = fill(sqlite, vectors)
    unit = normalise(vectors.astype(np.float32))
    centres = normalise(np.stack([unit[part == i].mean(axis=0) for i in range(6)]))
    typical = [1 + int(np.where(part == i, unit @ centres[i], -1).argmax()) for i in range(6)]
    found = suggest(sqlite, model, task="emotion", limit=3)
    assert [one.clip.id for one in found] == typical[:3]
    assert [one.why for one in found] == [
        f"typical of {size} clips, none of them labelled" for size in sizes[:3]
    ]
    with sqlite.write() as session:  # what has labels comes after what has none
        set_labels(session, [(typical[0], "emotion", "angry")])
    found = suggest(sqlite, model, task="emotion", limit=3)
    assert [one.clip.id for one in found] == typical[1:4]


def test_a_batch_of_suggestions_is_diverse(sqlite: Database):
    """Of a hundred doubtful clips that are all alike and ten others, not only the first."""
    vectors, labels, speakers = blobs()
    model = fill(sqlite, vectors, labels=labels, speakers=speakers)
    train(sqlite, model, task="emotion", method=LINEAR, rounds=0)
    same = (vectors[0] + vectors[30]) / 2 + 1e-3 * np.random.default_rng(0).normal(size=(40, 16))
    fill(sqlite, same, begin=200)
    others = [(vectors[i] + vectors[60 + i]) / 2 for i in range(30)]
    fill(sqlite, np.array(others), begin=300)
    found = suggest(sqlite, model, task="emotion", limit=20)
    alike = sum(one.clip.id <= 130 for one in found)
    assert 5 <= alike <= 16


def test_clips_of_one_recording_take_turns_with_those_of_others(sqlite: Database):
    model = archive(sqlite)
    train(sqlite, model, task="emotion", method=LINEAR, rounds=0)
    fill(sqlite, np.repeat(blobs()[0][:1], 8, axis=0), begin=500)  # each as doubtful
    with sqlite.write() as session:  # six of the eight clips are of one recording
        session.execute(text("UPDATE clips SET recording_id = 91 WHERE id BETWEEN 91 AND 96"))
        session.execute(text("UPDATE clips SET start_s = id, end_s = id + 0.5 WHERE id > 90"))
        session.execute(text("UPDATE recordings SET duration = 100"))
    for seed in range(5):
        found = suggest(sqlite, model, task="emotion", limit=3, seed=seed)
        assert {one.clip.recording_id for one in found} == {91, 97, 98}


def test_the_few_clips_without_a_label_are_found_among_many_with_one(sqlite: Database, monkeypatch):
    monkeypatch.setattr(suggest_module, "_SAMPLE", 5)
    model = archive(sqlite)
    fill(sqlite, blobs()[0][:2], begin=500)
    assert {one.clip.id for one in suggest(sqlite, model, task="emotion")} == {91, 92}


def test_a_classifier_of_another_model_is_said_to_be_one(sqlite: Database):
    model = archive(sqlite)
    train(sqlite, model, task="emotion", method=LINEAR, rounds=0)
    fill(sqlite, blobs()[0][:2], begin=500)
    other = twin(sqlite, blobs()[0][[*range(90), 0, 1]])
    found = suggest(sqlite, other, task="emotion")
    assert len(found) == 2
    assert all("trained on embeddings of model made, not of twin" in one.why for one in found)


def test_a_classifier_that_cannot_be_read_is_no_obstacle_to_suggestions(sqlite: Database):
    model = archive(sqlite)
    train(sqlite, model, task="emotion", method=LINEAR, rounds=0)
    fill(sqlite, blobs()[0][:2], begin=500)
    with sqlite.write() as session:  # as of a version with other methods
        old = save({"neighbours.k": np.ones(1), "calibration.y": np.ones(1)})
        session.execute(update(ClassifierRow).values(parameters=old))
    with pytest.raises(DatabaseError, match="train it again"):
        classify(sqlite, model, task="emotion")
    found = suggest(sqlite, model, task="emotion")
    assert {one.clip.id for one in found} == {91, 92}
    assert "train it again" in found[0].why


def test_nothing_is_suggested_where_all_is_labelled(sqlite: Database):
    model = archive(sqlite)
    with pytest.raises(InvalidInputError, match="every clip that matches is labelled"):
        suggest(sqlite, model, task="emotion")
