"""Fine-tuning: what is learned, what is written, what is refused."""

import csv
import errno
import json
import resource
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from emotion_search.engine.audio.synthetic_voices import MANNERS, speak
from emotion_search.engine.audio.workers import Decoders
from emotion_search.engine.embedders.acoustic.family import AcousticFamily
from emotion_search.engine.embedders.acoustic.model import Acoustic
from emotion_search.engine.embedders.emotion2vec.model import Emotion2vec
from emotion_search.engine.files import atomic
from emotion_search.engine.finetune.bases import find_base
from emotion_search.engine.finetune.checkpoint import check_classes
from emotion_search.engine.finetune.examples import data_hash, examples_of_manifest, split
from emotion_search.engine.finetune.features import encode_examples
from emotion_search.engine.finetune.run import Finetuned, finetune
from emotion_search.engine.finetune.tune import Plan
from emotion_search.engine.library.library import Library
from emotion_search.engine.settings import Settings
from emotion_search.index.errors import (
    InvalidInputError,
    ModelUnavailableError,
    NotFoundError,
    StorageFullError,
)
from tests.checkpoints import funasr_model
from tests.commands.test_cli import run
from tests.conftest import ingest_voices

pytestmark = pytest.mark.slow

__all__ = ["run"]  # a fixture

SPEAKERS = 5
QUICK = Plan(epochs=2, batch=8)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four manners by five speakers, two takes: 40 synthetic clips."""
    folder = tmp_path_factory.mktemp("labelled")
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "speaker", "label:sort"])
        for manner in MANNERS:
            for speaker in range(SPEAKERS):
                for take in range(2):
                    name = f"{manner}-{speaker}-{take}.wav"
                    samples = speak(manner, speaker=speaker, seed=take, seconds=0.6 + 0.2 * take)
                    soundfile.write(folder / name, samples, 16_000)
                    sort = "loud" if manner in ("anger", "happiness") else "soft"
                    rows.writerow([name, manner, f"v{speaker}", sort])
    return folder / "labels.csv"


def tuned(manifest: Path, base: str, output: Path, plan: Plan = QUICK, **how: object) -> Finetuned:
    settings = Settings(home=output.parent / "home", device="cpu")
    with closing(Decoders(60)) as decoders:
        return finetune(
            lambda: examples_of_manifest(manifest, plan.task),
            base,
            output,
            plan,
            settings,
            decoders,
            source="a test",
            command="a call",
            **how,
        )


def test_a_tuned_checkpoint_is_the_same_to_funasr_and_to_us(manifest, checkpoint, tmp_path):
    done = tuned(manifest, str(checkpoint), tmp_path / "out", replace(QUICK, layers=1))
    assert (done.model, done.classes) == (tmp_path / "out", tuple(sorted(MANNERS)))
    clip = speak("anger", speaker=1, seed=3, seconds=1.5)
    ours = Emotion2vec(done.model, name="tuned", device="cpu")
    assert ours.classes == done.classes
    answer = ours.embed([clip])
    theirs = funasr_model(done.model)
    (result,) = theirs.generate(clip, granularity="utterance", extract_embedding=True)
    assert result["labels"] == list(done.classes)
    assert np.abs(answer.scores[0] - np.array(result["scores"])).max() <= 1e-5
    cosine = result["feats"] @ answer.vectors[0]
    cosine /= np.linalg.norm(result["feats"]) * np.linalg.norm(answer.vectors[0])
    assert cosine >= 0.999999
    card = (done.model / "README.md").read_text()
    assert "ddlBoJack/emotion2vec" in card  # on the licence of the weights
    assert data_hash(examples_of_manifest(manifest, "emotion")) in card
    assert not (done.model / "state").exists()


def test_only_the_layers_that_were_named_change(manifest, checkpoint, tmp_path):
    from emotion_search.engine.embedders.emotion2vec.checkpoint import read_checkpoint

    plan = replace(QUICK, layers=1, rate=1e-3, epochs=1, patience=1)
    done = tuned(manifest, str(checkpoint), tmp_path / "out", plan)
    before = read_checkpoint(checkpoint).module.state_dict()
    after = read_checkpoint(done.model).module.state_dict()
    changed = {key for key in before if key[:5] != "proj." and not before[key].equal(after[key])}
    assert changed
    assert all(key.startswith("blocks.1.") for key in changed)
    head = tuned(manifest, str(checkpoint), tmp_path / "head", QUICK)
    frozen = read_checkpoint(head.model).module.state_dict()
    assert all(before[key].equal(frozen[key]) for key in before if key[:5] != "proj.")


def test_models_that_nothing_tunes_are_refused(monkeypatch):
    monkeypatch.setattr(AcousticFamily, "base", None)
    with pytest.raises(InvalidInputError, match="acoustic cannot be fine-tuned"):
        find_base("acoustic", Settings())(torch.device("cpu"))


def test_padded_batches_give_the_vectors_of_single_clips(checkpoint):
    import torch

    from emotion_search.engine.finetune.checkpoint import CheckpointBase

    base = CheckpointBase(checkpoint, torch.device("cpu"))
    clips = [speak("anger", speaker=i, seed=i, seconds=0.4 + 0.5 * i) for i in range(3)]
    encoded = [base.encode(clip, 2) for clip in clips]
    base.top(2)
    with torch.no_grad():
        together = base.vectors([rows for _, rows in encoded], None)
    expected = Emotion2vec(checkpoint, name="same", device="cpu").embed(clips).vectors
    alone = torch.stack([vector for vector, _ in encoded]).numpy()
    assert np.abs(alone - expected).max() < 1e-4
    assert np.abs(together.numpy() - expected).max() < 2e-2 * np.abs(expected).max()  # float16


def test_a_tuned_network_is_loaded_by_its_file_and_learns(manifest, tmp_path):
    plan = replace(QUICK, task="sort", layers=1, test=("v4",))
    done = tuned(manifest, "acoustic", tmp_path / "out", plan)
    assert done.classes == ("loud", "soft")
    assert done.judged["test"].tuned > 0.8
    assert done.judged["test"].groups == ("v4",)
    assert done.judged["validation"].own is None  # its classes are no sorts
    model = Acoustic(done.model, name=str(done.model))
    scores = model.embed([speak("anger", speaker=8, seed=1, seconds=1.0)]).scores
    assert (model.dimension, scores.shape) == (256, (1, 2))


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(manifest, checkpoint, tmp_path):
    plan = replace(QUICK, layers=1, epochs=3, patience=9, rate=1e-3)
    whole = tuned(manifest, str(checkpoint), tmp_path / "whole", plan)

    def stop(line: str) -> None:
        if line.startswith("epoch 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuned(manifest, str(checkpoint), tmp_path / "part", plan, tell=stop)
    with pytest.raises(InvalidInputError, match="--resume"):
        tuned(manifest, str(checkpoint), tmp_path / "part", plan)
    with pytest.raises(InvalidInputError, match="another model, plan"):
        tuned(manifest, str(checkpoint), tmp_path / "part", replace(plan, seed=1), resume=True)
    result: list[str] = []
    rest = tuned(
        manifest, str(checkpoint), tmp_path / "part", plan, resume=True, tell=result.append
    )
    assert "going on after epoch 2" in result
    one, two = (Emotion2vec(d.model, name="x", device="cpu") for d in (whole, rest))
    assert one.fingerprint == two.fingerprint


def test_another_plan_is_refused_before_anything_of_the_run_is_touched(
    manifest, checkpoint, tmp_path
):
    plan = replace(QUICK, layers=1)

    def stop(line: str) -> None:
        if line.startswith("epoch 1"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuned(manifest, str(checkpoint), tmp_path / "out", plan, tell=stop)
    state = tmp_path / "out" / "state"
    before = {path.name: path.read_bytes() for path in state.iterdir()}
    other = replace(plan, layers=2)
    with pytest.raises(InvalidInputError, match="another model, plan"):
        tuned(manifest, str(checkpoint), tmp_path / "out", other, resume=True)
    assert {path.name: path.read_bytes() for path in state.iterdir()} == before
    (state / "encoded.json").unlink()  # killed while it encoded anew
    with pytest.raises(InvalidInputError, match="another model, plan"):
        tuned(manifest, str(checkpoint), tmp_path / "out", other, resume=True)


def test_what_is_heard_anew_is_not_vouched_for_before_it_is_whole(manifest, checkpoint, tmp_path):
    plan = replace(QUICK, layers=1)
    state = tmp_path / "out" / "state"
    state.mkdir(parents=True)
    (state / "encoded.json").write_text("of another run")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    base = find_base(str(checkpoint), Settings())(torch.device("cpu"))
    base.encode = stop
    examples = examples_of_manifest(manifest, "emotion")
    with closing(Decoders(60)) as decoders, pytest.raises(KeyboardInterrupt):
        encode_examples(base, examples, plan, decoders, state, "ours", lambda *_: None, print)
    assert not (state / "encoded.json").exists()


@pytest.mark.parametrize("base", ["acoustic", "checkpoint"])
def test_a_full_disk_is_said_in_words(manifest, checkpoint, tmp_path, monkeypatch, base):
    full = OSError(errno.ENOSPC, "No space left on device")
    whole = atomic.put

    def put(path: Path, data: bytes) -> None:
        if path.name.startswith("model."):
            raise full
        whole(path, data)

    monkeypatch.setattr(atomic, "put", put)
    name = str(checkpoint) if base == "checkpoint" else base
    with pytest.raises(StorageFullError, match="no space left"):
        tuned(manifest, name, tmp_path / "out")


@pytest.fixture
def little_room() -> Iterator[None]:
    """No file may grow beyond a thousand bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("write", ["put_torch", "put_safetensors", "put_array"])
def test_weights_that_do_not_fit_leave_the_last_ones(tmp_path, little_room, write):
    """And it is Python's error, which tells why: those libraries raise errors of their own."""
    path = tmp_path / "weights"
    path.write_text("the last ones")
    tensors = {"a": torch.zeros(1000)}
    given = {"put_torch": (tensors,), "put_safetensors": (tensors, {})}
    with pytest.raises(OSError, match="File too large"):
        getattr(atomic, write)(path, *given.get(write, (tensors["a"].numpy(),)))
    assert path.read_text() == "the last ones"
    assert list(tmp_path.iterdir()) == [path]


def test_clips_that_were_imported_without_audio_are_named(sqlite_settings, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(32, 256)))
    rows = [
        {"id": f"r{i}", "speaker": f"s{i % 8}", "label": "ab"[i // 16], "end": i // 8 % 2}
        for i in range(32)
    ]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, rows)))
    plan = Plan(layers=1)
    with Library.open(sqlite_settings, create=True) as library:
        library.import_embeddings(tmp_path / "x.npy", tmp_path / "x.jsonl", model="acoustic")
        with pytest.raises(InvalidInputError, match="r0: has a labelled clip of no length"):
            library.finetune("acoustic", tmp_path / "out", plan)
        library.label([(clip.id, "emotion", None) for clip in library.clips() if not clip.end])
        with pytest.raises(InvalidInputError, match="r8: no file of it is known"):
            library.finetune("acoustic", tmp_path / "two", plan)


def test_no_speaker_is_on_two_sides(manifest):
    examples = examples_of_manifest(manifest, "emotion")
    for seed in range(5):
        parts = split(examples, seed=seed, test=["v2"])
        sides = [
            {examples[i].group for i in rows}
            for rows in (parts.train, parts.validation, parts.test)
        ]
        assert sides[2] == {"v2"}
        assert not sides[0] & sides[1]
        assert not (sides[0] | sides[1]) & sides[2]
        assert sum(map(len, (parts.train, parts.validation, parts.test))) == len(examples)


def test_what_cannot_be_learned_from_is_refused(manifest, checkpoint, tmp_path):
    examples = examples_of_manifest(manifest, "emotion")
    for some, reason in (
        ([one for one in examples if one.label == "anger"], "two classes"),
        ([one for one in examples if one.group == "v0"], "two speakers"),
        ([e for e in examples if e.label != "sadness" or e.group == "v0"], "class sadness"),
    ):
        with pytest.raises(InvalidInputError, match=reason):
            split(some, seed=0)
    with pytest.raises(InvalidInputError, match="speaker nobody"):
        split(examples, seed=0, test=["nobody"])
    with pytest.raises(InvalidInputError, match="label:mood"):
        examples_of_manifest(manifest, "mood")
    with pytest.raises(InvalidInputError, match="has 2 layers"):
        tuned(manifest, str(checkpoint), tmp_path / "a", replace(QUICK, layers=3))
    for label in ("unused", "a\u2028b", "a\rb", "a\n"):  # lines of the file of class names
        with pytest.raises(InvalidInputError, match="may not begin with unuse"):
            check_classes([label, "fine"])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    with pytest.raises(InvalidInputError, match="not empty"):
        tuned(manifest, str(checkpoint), tmp_path / "full")
    with pytest.raises(ModelUnavailableError):
        tuned(manifest, str(tmp_path / "none.safetensors"), tmp_path / "b")


def test_a_head_takes_the_archives_embeddings_and_needs_no_audio(sqlite_settings, voices, tmp_path):
    import shutil

    here = tmp_path / "here"
    shutil.copytree(voices, here)
    with Library.open(sqlite_settings, create=True) as library:
        ingest_voices(library, here)
        clips = library.clips()
        library.label([(c.id, "sort", "a" if c.labels["emotion"] < "i" else "b") for c in clips])
        shutil.rmtree(here)
        result: list[str] = []
        plan = Plan(task="sort")
        done = library.finetune("acoustic", tmp_path / "out", plan, tell=result.append)
        assert result[0] == "12 embeddings taken from the archive"
        assert (done.classes, done.epochs) == (("a", "b"), 0)
        with pytest.raises(InvalidInputError, match="No such file"):
            library.finetune("acoustic", tmp_path / "two", replace(plan, layers=1))
        with pytest.raises(NotFoundError, match="no clip has a label under the task mood"):
            library.finetune("acoustic", tmp_path / "three", Plan(task="mood"))


def test_the_command_tells_what_it_did(manifest, tmp_path, run):
    out = tmp_path / "out"
    given = ("finetune", "--labels", manifest, "--model", "acoustic", "--output", out)
    done = run(*given, "--json")
    assert done.code == 0
    record = json.loads(done.out)
    assert record["model"] == str(out / "model.safetensors")
    assert record["judged"]["validation"]["tuned"] > 0.25
    assert "emotion-search finetune --labels" in (out / "README.md").read_text()
    (out / "tokens.txt").write_text("of a checkpoint that was there before")
    secret = "postgresql+psycopg://me:hunter2@host/calls"
    for private in ("--database", secret), (f"--database={secret}",), ("--home", tmp_path / "x"):
        assert run(*given, *private, "--overwrite").code == 0
        card = (out / "README.md").read_text()
        assert "hunter2" not in card
        assert f"--output {out} --overwrite\n" in card
        assert {one.name for one in out.iterdir()} == {"README.md", "model.safetensors"}
        assert [one.name for one in tmp_path.glob(".*")] == []
    (out / "notes.txt").write_text("mine")
    refused = run(*given, "--overwrite")
    assert (refused.code, "notes.txt" in refused.err) == (1, True)
    (out / "notes.txt").unlink()
    assert (run(*given).code, run(*given, "--overwrite", "--layers", 99).code) == (1, 1)
