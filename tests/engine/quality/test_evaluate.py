"""A whole evaluation: probes, calibration, report."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from emotion_search.engine.commands.show.evaluation import (
    print_comparison,
    print_evaluation,
    print_tuning,
)
from emotion_search.engine.pages.evaluation import write_report
from emotion_search.engine.quality.calibration import check_calibration
from emotion_search.engine.quality.evaluate import evaluate
from emotion_search.engine.quality.labelled import LabelledVectors, voices_of
from emotion_search.engine.quality.methods import compare_methods
from emotion_search.engine.quality.probes import probe
from emotion_search.engine.quality.retrieval import Gallery
from emotion_search.engine.quality.tune import Tuning
from emotion_search.index.errors import InvalidInputError
from emotion_search.index.vectors.arrays import normalise
from emotion_search.index.vectors.space import Method, Space, fit_space


def speech(speakers: int = 8, spread: float = 1.0, speaker_weight: float = 1.0) -> LabelledVectors:
    """Clips of three emotions by some speakers, whose voices differ more than the emotions."""
    rng = np.random.default_rng(0)
    emotions = rng.normal(size=(3, 12))
    voices = speaker_weight * 2 * rng.normal(size=(speakers, 12))
    rows = [(e, s) for e in range(3) for s in range(speakers) for _ in range(6)]
    vectors = [emotions[e] + voices[s] + spread * rng.normal(size=12) for e, s in rows]
    return LabelledVectors(
        np.array(vectors, dtype=np.float32),
        np.array([f"emotion{e}" for e, _ in rows]),
        np.array([f"speaker{s}" for _, s in rows]),
        np.array([str(i) for i in range(len(rows))]),
        "made",
    )


def test_an_evaluation_tells_every_part_and_is_json():
    result = evaluate(speech(), Space(), rounds=50)
    record = json.loads(json.dumps(asdict(result)))
    assert record["gallery"] == "speaker"
    assert record["clips"] == {"emotion0": 48, "emotion1": 48, "emotion2": 48}
    assert record["micro"]["mAP"]["low"] < record["micro"]["mAP"]["value"]
    assert set(record["steps"]) == {"plain", "centred", "whitened", "learned"}
    assert record["calibration"]["readings"]
    assert [one["gallery"] for one in record["galleries"]] == ["recording"]
    assert set(record["triplets"]) == {"nothing", "speaker"}
    assert record["nearest"]["speaker"]["share"] > record["nearest"]["speaker"]["chance"]


def test_galleries_beside_the_first_are_those_that_nobody_asked_for():
    data = replace(speech(4), sources=np.array(["desk", "street"] * 36))
    one = evaluate(data, Space(), rounds=0)
    assert [it.gallery for it in (one, *one.galleries)] == ["speaker", "recording", "source"]
    for gallery in (Gallery.SPEAKER, Gallery.RECORDING):
        (only,) = evaluate(data, Space(), gallery=gallery, rounds=0).galleries
        assert only.gallery == "source"
    kept = evaluate(data, Space(), gallery="recording", rounds=0)
    assert (one.galleries[0].micro, one.galleries[0].chance) == (kept.micro, kept.chance)
    with pytest.raises(InvalidInputError, match="gallery nobody: choose speaker, recording, none"):
        evaluate(data, Space(), gallery="nobody")


@pytest.mark.parametrize(
    ("known", "by"), [(24, "speakers"), (12, "speakers or recordings"), (0, "recordings")]
)
def test_halves_are_called_what_they_are_of(capsys, tmp_path: Path, known: int, by: str):
    data = speech(8)
    speakers = np.array([name if int(name[-1]) * 3 < known else "" for name in data.speakers])
    voices = voices_of(speakers, data.recordings)
    data = replace(data, speakers=speakers if speakers.all() else None, voices=voices)
    found = evaluate(data, Space(), rounds=0)
    print_evaluation(found)
    print_comparison([found])
    tuned = Tuning(1, Method.PLAIN, 9, "emotion", compare_methods(data), (8, 0), data.by)
    print_tuning(tuned)
    printed = capsys.readouterr().out
    assert f"(halves of the {by} it was not fitted to)" in printed
    assert f"mAP, plain, unseen {by} " in printed
    assert f"\non other {by}  mAP triplets\n" in printed
    assert f"judged on unseen {by}\n" in printed
    write_report(found, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert f"random halves of the {by};" in page
    assert f"Calibrated on half of the {by}, read" in page


def test_where_no_label_is_in_two_sources_other_sources_are_left_out():
    data = speech()
    one = evaluate(replace(data, sources=data.labels), Space(), rounds=0)
    assert [it.gallery for it in one.galleries] == ["recording"]
    assert one.left_out["other sources"] == "no label is in two sources"


def test_a_learned_space_is_not_judged_on_the_labels_that_taught_it():
    data = speech()
    learned = fit_space(Method.LEARNED, data.vectors, data.labels)
    plain, judged = evaluate(data, Space(), rounds=20), evaluate(data, learned, rounds=20)
    assert judged.learned
    assert judged.calibration != plain.calibration  # taken from others in any case
    assert replace(judged, learned=False, calibration=plain.calibration) == plain
    assert (
        judged.steps["learned"]
        < evaluate(replace(data, vectors=learned.apply(data.vectors)), Space(), rounds=0)
        .micro["mAP"]
        .value
    )


def test_the_same_seed_gives_the_same_evaluation():
    assert evaluate(speech(4), Space(), rounds=50) == evaluate(speech(4), Space(), rounds=50)


def test_a_probe_is_at_chance_on_labels_that_mean_nothing():
    data = speech()
    labels = np.random.default_rng(0).permutation(data.labels)
    shuffled = LabelledVectors(data.vectors, labels, data.speakers, data.recordings, "x")
    for one in probe(shuffled, seed=0):
        assert one.uar == pytest.approx(1 / 3, abs=0.12)


def test_a_probe_reads_what_is_there():
    for one in probe(speech(spread=0.1, speaker_weight=0.1), seed=0):
        assert one.uar > 0.95
        assert one.folds == 8
        assert sum(map(sum, one.confusion)) == 144


def test_a_class_that_one_speaker_alone_has_is_no_part_of_a_probe():
    data = speech(spread=0.1, speaker_weight=0.1)
    own = np.where(data.speakers == "speaker3", "own", data.labels)
    for one, all_there in zip(
        probe(replace(data, labels=own), seed=0), probe(data, seed=0), strict=True
    ):
        assert (one.classes, one.chance) == (all_there.classes, all_there.chance)
        assert one.uar > 0.95
    assert probe(replace(data, labels=np.where(own == "own", "own", "all")), seed=0) == []
    why = evaluate(replace(data, labels=own), Space(), rounds=0).left_out["probes"]
    assert why == "classes that one speaker alone has: own"
    assert "probes" not in evaluate(data, Space(), rounds=0).left_out


@pytest.mark.parametrize("method", [Method.PLAIN, Method.LEARNED])
def test_a_percentile_means_what_it_says_on_other_speakers(method: Method):
    check = check_calibration(speech(40, speaker_weight=0.3), method, seed=0)
    for reading in check.readings:
        assert reading.share == pytest.approx(100 - reading.percentile, rel=0.2)
        assert 0 < reading.deviation < reading.share


def test_halves_of_the_speakers_are_halves_of_each_source():
    data = speech(20, speaker_weight=0.1)
    far = np.isin(data.speakers, ["speaker0", "speaker1"])  # from elsewhere: near to each other
    vectors = data.vectors + 20 * far[:, None]
    sources = np.where(far, "elsewhere", "here")
    check = check_calibration(replace(data, vectors=vectors, sources=sources), Method.PLAIN, seed=0)
    assert check.readings[0].share == pytest.approx(50, abs=3)


def test_what_a_percentile_means_is_not_told_from_one_voice():
    assert check_calibration(speech(3), Method.PLAIN, seed=0) is None
    assert check_calibration(speech(4), Method.PLAIN, seed=0) is not None


def test_a_percentile_is_that_of_what_is_left_without_baselines():
    data = speech(12)
    voice = np.unique(data.speakers, return_inverse=True)[1]
    unit = normalise(data.vectors)
    centres = np.stack([unit[voice == one].mean(axis=0) for one in range(12)])[voice]
    check = check_calibration(replace(data, centres=centres), Method.BASELINE, seed=0)
    same = check_calibration(replace(data, vectors=unit - centres), Method.PLAIN, seed=0)
    for one, other in zip(check.readings, same.readings, strict=True):
        assert one.share == pytest.approx(other.share, abs=0.1)
    assert check.readings != check_calibration(data, Method.PLAIN, seed=0).readings


def test_of_all_pairs_as_many_share_their_label_as_there_are():
    assert check_calibration(speech(8), Method.PLAIN, seed=0).same == pytest.approx(1 / 3)


def test_where_one_voice_alone_has_a_label_no_half_can_be_learned_from():
    data = speech(4)
    labels = np.where((data.speakers == "speaker0") & (np.arange(72) % 2), "rare", "common")
    assert check_calibration(replace(data, labels=labels), Method.LEARNED, seed=0) is None


def test_pairs_at_a_high_percentile_share_their_label_more_often():
    check = check_calibration(speech(speaker_weight=0.2, spread=0.5), Method.PLAIN, seed=0)
    assert 1 >= check.readings[-1].same > check.same + 0.3


def test_the_report_is_one_page_that_asks_for_nothing(tmp_path: Path):
    path = tmp_path / "report.html"
    data = speech()
    labels = np.array([{"0": "anger", "1": "sad", "2": "<irony>"}[one[-1]] for one in data.labels])
    scores = np.random.default_rng(0).dirichlet([1, 1], len(labels)).astype(np.float32)
    sources = np.array(["desk", "street"] * 72)
    known = {"labels": labels, "scores": scores, "score_classes": ("angry", "sad")}
    write_report(evaluate(replace(data, sources=sources, **known), Space(), rounds=20), path)
    page = path.read_text()
    assert "Query by example with made" in page
    assert page.count('class="plotly-graph-div"') == 12
    for text in ("among other sources", "with the speaker kept in", "Reliability of the scores"):
        assert text in page
    assert "&lt;irony&gt; 48 (no class of the model)" in page
    assert "no labelled clip has the metadata key text" in page
    assert '<script src="http' not in page


def test_a_report_that_cannot_be_written_says_so(tmp_path: Path):
    result = evaluate(speech(4), Space(), rounds=0)
    with pytest.raises(InvalidInputError, match="cannot be written"):
        write_report(result, tmp_path / "missing" / "report.html")
