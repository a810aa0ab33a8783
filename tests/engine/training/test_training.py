"""Training the model voice: deterministic, resumable, refused on what it cannot learn from."""

import csv
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from emotion_search.engine.audio.file import decode
from emotion_search.engine.audio.synthetic_voices import MANNERS, speak
from emotion_search.engine.embedders.acoustic.model import Acoustic
from emotion_search.engine.embedders.voice.encoder import Encoder
from emotion_search.engine.embedders.voice.model import Voice, emphasis
from emotion_search.engine.embedders.voice.network import BLOCKS
from emotion_search.engine.training.batches import Batch, Corpus, draw, padded, vary
from emotion_search.engine.training.corpora import read_emogator, read_labelled, some_of_each
from emotion_search.engine.training.objective import CLASSES, Objective, _contrast, class_of
from emotion_search.engine.training.prepare import prepare
from emotion_search.engine.training.smart_turn import read_encoder
from emotion_search.engine.training.train import Plan, Trainer
from emotion_search.index.errors import InvalidInputError, ModelUnavailableError
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

SMALL = Plan(steps=6, batch=12, left_out={"voices": ("v2",)}, check_every=3)


@cache
def encoder() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return Encoder(BLOCKS).state_dict()


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of synthetic voices: four manners, three speakers, two takes."""
    folder = tmp_path_factory.mktemp("corpus") / "voices"
    folder.mkdir()
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "speaker", "text"])
        for manner in MANNERS:
            for speaker in range(3):
                for take in range(2):
                    name = f"{manner}-{speaker}-{take}.wav"
                    samples = speak(manner, speaker=speaker, seed=take, seconds=0.8)
                    soundfile.write(folder / name, samples, 16_000)
                    rows.writerow([name, manner, f"v{speaker}", f"take {take}"])
    return folder / "labels.csv"


@pytest.fixture(scope="module")
def corpus(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    clips = read_labelled(manifest)
    folder = tmp_path_factory.mktemp("features")
    return Corpus.of(clips, prepare(clips, folder, variants=1, seed=0, processes=1))


def trained(corpus: Corpus, folder: Path, plan: Plan = SMALL) -> Path:
    trainer = Trainer({"voices": corpus}, plan, encoder(), folder / "state", tell=lambda _: None)
    trainer.run()
    trainer.write(folder / "weights.voice.safetensors", {})
    return folder / "weights.voice.safetensors"


@pytest.fixture(scope="module")
def weights(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(corpus, tmp_path_factory.mktemp("trained"))


def test_the_same_plan_gives_the_same_weights(corpus: Corpus, weights: Path, tmp_path: Path):
    again = trained(corpus, tmp_path / "a")
    other = trained(corpus, tmp_path / "b", replace(SMALL, seed=1))
    assert again.read_bytes() == weights.read_bytes()
    assert other.read_bytes() != weights.read_bytes()


def test_runs_start_alike_go_other_ways_and_are_averaged(corpus: Corpus, tmp_path: Path):
    runs = [
        Trainer({"voices": corpus}, replace(SMALL, run=k), encoder(), tmp_path / str(k), tell=print)
        for k in range(2)
    ]
    parts = [one.averaged.embedding.weight for one in runs]
    classes = [one.objective.classes for one in runs]
    assert torch.equal(*parts)
    assert torch.equal(*classes)
    for one in runs:
        one.run()
    assert not torch.equal(*parts)
    mean, mean_class = sum(parts) / 2, sum(classes).detach() / 2
    runs[0].average(runs[1:])
    assert torch.allclose(parts[0], mean)
    assert torch.allclose(classes[0], mean_class)


def test_training_that_was_stopped_goes_on_to_the_same_weights(
    corpus: Corpus, weights: Path, tmp_path: Path
):
    stopped = Trainer({"voices": corpus}, SMALL, encoder(), tmp_path / "state", tell=lambda _: None)
    for _ in range(4):
        stopped._one()
    stopped._save()
    assert trained(corpus, tmp_path).read_bytes() == weights.read_bytes()


def test_the_state_of_another_plan_is_not_gone_on_from(corpus: Corpus, tmp_path: Path):
    stopped = Trainer({"voices": corpus}, SMALL, encoder(), tmp_path / "state", tell=lambda _: None)
    stopped._save()
    with pytest.raises(InvalidInputError, match="another plan"):
        Trainer({"voices": corpus}, replace(SMALL, rate=0.1), encoder(), tmp_path / "state")


def test_trained_weights_serve_as_a_model(weights: Path):
    embedder = Voice(weights, name="mine")
    found = embedder.embed([speak("anger", speaker=0, seed=0)])
    assert found.vectors.shape == (1, 384)
    assert found.scores.sum() == pytest.approx(1, abs=1e-5)
    assert embedder.classes == CLASSES
    assert embedder.fingerprint != Voice().fingerprint


def test_the_centre_is_the_mean_of_training_each_label_alike(corpus: Corpus, weights: Path):
    embedder = Voice(weights)
    clips = [clip for clip in corpus.clips if clip.speaker != "v2"]
    vectors = embedder.embed([decode(clip.path) for clip in clips]).vectors
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = np.array([clip.label for clip in clips])
    mean = np.mean([unit[labels == label].mean(axis=0) for label in set(labels)], axis=0)
    assert np.allclose(mean[256:], embedder.centre[256:], atol=0.01)


def test_what_no_class_lies_along_is_weakened():
    means = torch.tensor([[1.0, 0, 0, 1], [-1, 0, 0, 1], [0, 1, 0, 1]])
    weaker = emphasis(means)
    assert torch.allclose(torch.tensor([2.0, 1, 0, 0]) @ weaker, torch.tensor([2.0, 1, 0, 0]))
    assert torch.allclose(torch.tensor([0.0, 0, 1, 1]) @ weaker, torch.tensor([0, 0, 0.65, 0.65]))


def test_training_learns(corpus: Corpus, tmp_path: Path):
    losses = []
    plan = replace(SMALL, steps=30, left_out={})
    trainer = Trainer({"voices": corpus}, plan, encoder(), tmp_path, tell=losses.append)
    first = np.mean([trainer._one() for _ in range(5)])
    for _ in range(15):
        last = trainer._one()
    assert last < first - 1


def test_left_out_speakers_are_never_drawn_but_checked(corpus: Corpus, tmp_path: Path):
    lines: list[str] = []
    trainer = Trainer({"voices": corpus}, SMALL, encoder(), tmp_path, tell=lines.append)
    drawn = {corpus.clips[row].speaker for row in trainer._rows["voices"]}
    assert drawn == {"v0", "v1"}
    trainer.run()
    assert any("8 clips of held-out speakers: mAP" in line for line in lines)


def test_prepared_features_are_used_again(corpus: Corpus, manifest: Path, tmp_path: Path):
    clips = read_labelled(manifest)
    first = prepare(clips, tmp_path, variants=1, seed=0, processes=1)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    second = prepare(clips, tmp_path, variants=1, seed=0, processes=1)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    for one, other, third in zip(first, second, corpus.variants, strict=True):
        assert np.array_equal(one.rows, other.rows)
        assert np.array_equal(one.rows, third.rows)
    assert not np.array_equal(first[0].rows[:50], first[1].rows[:50])


def test_few_labels_come_equally_often(corpus: Corpus):
    batch = draw(corpus, np.arange(len(corpus.clips)), 24, 40, np.random.default_rng(0))
    assert np.bincount(batch.labels).tolist() == [6, 6, 6, 6]
    spectra, known = padded(batch.spectra)
    assert spectra.shape == (24, 80, 40)
    assert torch.isfinite(spectra).all()
    assert known.shape == (24, 40)


def test_long_clips_are_cut_and_short_ones_padded():
    random = np.random.default_rng(0)
    some = [
        vary(random.normal(size=(n, 80)).astype(np.float32), 60, random) for n in (1, 5, 90, 1000)
    ]
    assert [len(one) for one in some] == [1, 5, 60, 60]
    together, known = padded(some)
    assert torch.isfinite(together).all()
    assert known.sum(dim=1).tolist() == [1, 5, 60, 60]
    assert torch.equal(together[1, :, :5].T, torch.from_numpy(some[1]))
    assert not together[1, :, 5:].any()


def test_what_corpora_call_an_emotion_is_one_of_the_classes():
    assert CLASSES[class_of("anger")] == CLASSES[class_of("angry")] == "angry"
    assert CLASSES[class_of("boredom")] == "other"


def test_vectors_that_stand_where_their_class_does_cost_less(corpus: Corpus):
    torch.manual_seed(0)
    objective = Objective(16, {"voices": corpus})
    batch = draw(corpus, np.arange(len(corpus.clips)), 12, 20, np.random.default_rng(0))
    right = objective.own["voices"][batch.labels].detach()
    wrong = objective.own["voices"][(batch.labels + 1) % 4].detach()
    loss = {
        name: objective({"voices": v}, {"voices": batch})
        for name, v in (("right", right), ("wrong", wrong))
    }
    assert loss["right"] < loss["wrong"]


def test_one_emotion_of_others_saying_other_things_is_pulled_together():
    objective = Objective(4, {})

    def loss(speakers: list[int], texts: list[int]) -> float:
        unit = torch.eye(4)[[0, 0, 1, 1]]
        of = (torch.tensor(rows) for rows in ([0, 0, 1, 1], speakers, texts))
        return float(_contrast(unit, Batch([], *of)))

    assert objective.classes.shape == (8, 4)
    assert loss([0, 1, 0, 1], [0, 1, 2, 3]) > loss([0, 1, 2, 3], [0, 1, 2, 3]) > 0
    assert loss([0, 0, 1, 1], [0, 1, 2, 3]) == loss([0, 1, 2, 3], [0, 0, 1, 1]) == 0


PORT = {
    "attention_norm": "self_attn_layer_norm",
    "query": "self_attn.q_proj",
    "key": "self_attn.k_proj",
    "value": "self_attn.v_proj",
    "out": "self_attn.out_proj",
    "units_norm": "final_layer_norm",
    "units": "fc1",
    "back": "fc2",
}


def write_encoder(path: Path) -> Path:
    """Random weights, by the names of the Hugging Face port."""
    arrays = {}
    for ours, value in encoder().items():
        theirs = ours.replace("positions", "embed_positions.weight")
        if ours.startswith("blocks"):
            _, block, part, kind = ours.split(".")
            theirs = f"layers.{block}.{PORT[part]}.{kind}"
        arrays[theirs] = value.numpy()
    np.savez(path, **arrays)
    return path


def test_an_encoder_is_read_by_the_names_of_its_port(tmp_path: Path):
    found = read_encoder(write_encoder(tmp_path / "e.npz"))
    assert found.keys() == encoder().keys()
    assert all(torch.equal(value, encoder()[name]) for name, value in found.items())
    np.savez(tmp_path / "part.npz", **{"conv1.weight": found["conv1.weight"].numpy()})
    for name in ("part.npz", "gone.npz"):
        with pytest.raises(InvalidInputError, match=f"{name} holds no encoder"):
            read_encoder(tmp_path / name)


def test_some_of_each_label_are_drawn(manifest: Path):
    clips = read_labelled(manifest)
    some = some_of_each(clips, 2, seed=0)
    assert sorted(clip.label for clip in some) == sorted([*MANNERS] * 2)
    assert some == some_of_each(clips, 2, seed=0) != some_of_each(clips, 2, seed=1)


def test_emogator_is_read_by_its_file_names(tmp_path: Path):
    for name in ("000001-03-1.mp3", "000357-24-3.mp3", "notes.txt"):
        (tmp_path / name).touch()
    first, second = read_emogator(tmp_path)
    assert (first.label, first.speaker) == ("anger", "000001")
    assert (second.label, second.speaker) == ("sadness", "000357")


@pytest.mark.parametrize("number", ["00", "31"])
def test_a_number_that_is_no_category_of_emogator_is_refused(tmp_path: Path, number: str):
    (tmp_path / f"000001-{number}-1.mp3").touch()
    with pytest.raises(InvalidInputError, match=f"000001-{number}-1.mp3: .*01 to 30"):
        read_emogator(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("path,label,speaker\na.wav,,s\n", "line 2 needs a path, a label and a speaker"),
        ("path,label\na.wav,x\n", "line 2 needs"),
        ("path,label,speaker\n", "names no clips"),
    ],
)
def test_manifests_that_do_not_say_enough_are_refused(tmp_path: Path, content: str, message: str):
    (tmp_path / "m.csv").write_text(content)
    with pytest.raises(InvalidInputError, match=message):
        read_labelled(tmp_path / "m.csv")


def test_a_folder_without_emogators_names_is_refused(tmp_path: Path):
    with pytest.raises(InvalidInputError, match="EmoGator"):
        read_emogator(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"x" * 5000])
def test_files_that_are_no_weights_are_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    for model in (Acoustic, Voice):
        with pytest.raises(ModelUnavailableError, match="does not hold weights"):
            model(path)


def test_the_program_trains_from_a_manifest_and_says_what_is_wrong(manifest: Path, tmp_path: Path):
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "emotion_search.engine.training", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)

    output, work = tmp_path / "w.voice.safetensors", str(tmp_path / "work")
    done = run(
        "--manifest",
        str(manifest),
        "--output",
        str(output),
        "--encoder",
        str(write_encoder(tmp_path / "e.npz")),
        "--work",
        work,
        "--steps",
        "10",
        "--runs",
        "2",
        "--variants",
        "0",
        "--leave-out",
        "voices:v2",
        "--threads",
        "1",
    )
    assert done.returncode == 0, done.stderr
    assert Voice(output).dimension == 384
    wrong = run(
        "--manifest",
        str(manifest),
        "--output",
        str(output),
        "--encoder",
        "e.npz",
        "--work",
        work,
        "--leave-out",
        "voices:nobody",
    )
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: --leave-out voices:nobody: no such speaker")


def test_features_of_a_file_that_changed_are_made_anew(manifest: Path, tmp_path: Path):
    clips = read_labelled(manifest)[:2]
    copies = [replace(clip, path=tmp_path / clip.path.name) for clip in clips]
    for clip, copy in zip(clips, copies, strict=True):
        copy.path.write_bytes(clip.path.read_bytes())

    def rows() -> np.ndarray:
        return np.array(prepare(copies, tmp_path / "f", variants=0, seed=0, processes=1)[0].rows)

    before = rows()
    assert np.array_equal(rows(), before)
    assert len(list((tmp_path / "f").glob("*.npy"))) == 1
    copies[0].path.write_bytes(clips[1].path.read_bytes())
    assert not np.array_equal(rows(), before)


def test_a_file_that_cannot_be_used_is_named(manifest: Path, tmp_path: Path):
    clip = read_labelled(manifest)[0]
    bad = tmp_path / "bad.wav"
    bad.write_text("no audio")
    for path in (bad, tmp_path / "gone.wav"):
        with pytest.raises(InvalidInputError, match=path.name):
            prepare([replace(clip, path=path)], tmp_path / "f", variants=0, seed=0, processes=1)
