"""``hf:`` models of sound and text: transformers' real ``ClapModel`` with random weights."""

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient

from emotion_search import cli
from emotion_search.engine.api.app import create_app
from emotion_search.engine.embedders.quiet import undisturbed
from emotion_search.engine.embedders.registry import family_of, load_embedder
from emotion_search.engine.files.scan import find_audio
from emotion_search.engine.library.library import Library
from emotion_search.engine.query.examples import TextExample
from emotion_search.engine.settings import Settings
from emotion_search.index.errors import InvalidInputError, ModelUnavailableError
from emotion_search.index.vectors.arrays import normalise
from emotion_search.testing import EmbedderTests
from tests.clap import save_clap
from tests.conftest import tone, write_wav

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return save_clap(tmp_path_factory.mktemp("clap"))


@pytest.fixture(scope="module")
def clap(folder):
    return load(folder)


def load(folder: Path, rest: str = ""):
    name = f"hf:{folder}{rest}"
    return family_of(name).load(name, Settings(device="cpu"))


class TestClap(EmbedderTests):
    longest = 2.5  # beyond what goes through at once

    @pytest.fixture
    def embedder(self, clap):
        return clap

    @pytest.fixture
    def changed(self, tmp_path):
        return load(save_clap(tmp_path / "other", seed=1))


def test_clips_and_texts_are_embedded_as_transformers_does_it(folder, clap):
    with undisturbed():
        model = transformers.ClapModel.from_pretrained(folder).eval()
        extract = transformers.AutoFeatureExtractor.from_pretrained(folder)
        tokens = transformers.AutoTokenizer.from_pretrained(folder)
    samples = tone(0.9, rate=48_000)
    with torch.inference_mode():
        inputs = extract(samples, sampling_rate=48_000, return_tensors="pt")
        theirs = model.get_audio_features(**inputs).pooler_output[0].numpy()
        words = tokens(["an angry customer"], return_tensors="pt")
        expected = model.get_text_features(**words).pooler_output[0].numpy()
    ours = clap.vector(tone(0.9))
    assert ours @ theirs / np.linalg.norm(ours) > 0.999  # resampled to 48 kHz here
    assert np.allclose(clap.embed_text(["an angry customer"])[0], expected, atol=1e-6)


def test_a_long_clip_goes_through_in_pieces_none_of_which_is_left_out(clap):
    pieces = [tone(1.0, 200), tone(1.0, 400)]
    whole = clap.vector(np.concatenate(pieces))
    assert np.allclose(whole, np.mean([clap.vector(one) for one in pieces], axis=0), atol=1e-6)


def test_a_text_of_too_many_tokens_is_refused_not_cut(clap):
    assert clap.embed_text(["angry " * 16]).shape == (1, clap.dimension)
    with pytest.raises(InvalidInputError, match=r"too long for hf:.*: 19 tokens, 18 at most"):
        clap.embed_text(["angry " * 17])


def test_layers_and_poolings_are_refused(folder):
    for rest in ("@1", "@mean+std"):
        with pytest.raises(InvalidInputError, match="no layer and no pooling"):
            load(folder, rest)


def test_a_folder_without_a_tokenizer_is_told_in_a_line(tmp_path):
    folder = save_clap(tmp_path / "bare")
    for path in folder.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(ModelUnavailableError, match=r"lacks a tokenizer.json or vocab.json"):
        load(folder)
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(ModelUnavailableError, match="its tokenizer cannot be loaded") as raised:
        load(folder)
    assert "\n" not in str(raised.value)


def test_a_folder_of_sentence_transformers_gives_its_numbers(folder, clap, tmp_path):
    sentences = pytest.importorskip("sentence_transformers")
    with undisturbed():
        model = sentences.SentenceTransformer(str(folder), device="cpu")
        model.save_pretrained(str(tmp_path))
        samples = {"array": tone(0.9, rate=48_000), "sampling_rate": 48_000}
        theirs = [model.encode([one])[0] for one in (samples, "an angry customer")]
    ours = load(tmp_path)
    assert np.allclose(ours.vector(tone(0.9)), clap.vector(tone(0.9)), atol=1e-6)
    assert ours.vector(tone(0.9)) @ theirs[0] > 0.999  # resampled to 48 kHz here
    assert np.allclose(ours.embed_text(["an angry customer"])[0], theirs[1], atol=1e-5)


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ('[{"type": "m.Transformer"}, {"type": "m.Normalize"}]', None),
        ('[{"type": "m.Transformer"}, {"type": "m.Dense"}]', "not known here: Dense; a plug-in"),
        ('[{"kind": "m.Transformer"}]', "modules.json cannot be read"),
        ("{", "modules.json cannot be read"),
    ],
)
def test_what_other_modules_would_change_is_refused(folder, tmp_path, modules, message):
    copy = tmp_path / "sentences"
    shutil.copytree(folder, copy)
    (copy / "modules.json").write_text(modules)
    if message is None:
        assert load(copy).embed_text(["angry"]).any()
        return
    with pytest.raises(ModelUnavailableError, match=re.escape(message)):
        load(copy)


def test_a_model_without_texts_names_models_that_have_them():
    with pytest.raises(InvalidInputError, match=r"acoustic knows no texts.*such as hf:laion/"):
        load_embedder("acoustic", Settings(device="cpu")).embed_text(["an angry customer"])


def test_an_archive_is_searched_by_words_on_the_command_line_and_over_http(
    folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("EMOTION_SEARCH_HOME", str(tmp_path / "home"))
    for number in range(3):
        write_wav(tmp_path / "in" / f"{number}.wav", tone(1.0, 150 + 90 * number))
    model = f"hf:{folder}"
    settings = Settings(home=tmp_path / "home", model=model, device="cpu")
    with Library.open(settings, create=True) as library:
        library.ingest(find_audio([str(tmp_path / "in")]).files)
        vectors = normalise(library.embedder().embed([tone(1.0, 150), tone(1.0, 240)]).vectors)
        text = normalise(library.embedder().embed_text(["an angry customer"])[0])
        assert library.search(TextExample("an angry customer"))

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["emotion-search", "search", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
            sys.exit(0)
        return (int(stop.value.code or 0), *capsys.readouterr())

    code, out, _ = run("--text", "an angry customer", "--unlike-text", "calm", "--json")
    assert code == 0
    assert sorted(json.loads(line)["clip"] for line in out.splitlines()) == [1, 2, 3]
    code, out, _ = run("--text", "an angry customer", "--json")
    near = {one["clip"]: one["similarity"] for one in map(json.loads, out.splitlines())}
    assert [near[1], near[2]] == pytest.approx((vectors @ text).tolist(), abs=1e-3)
    code, _, err = run("--text", "angry " * 100)
    assert code == 2
    assert "too long" in err
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
        body = {"positive": [{"text": "an angry customer"}]}
        answer = client.post("/v1/search", json=body).json()
        assert {hit["clip"]: hit["similarity"] for hit in answer["hits"]} == near
        assert client.get("/v1/stats").json()["text"] is True
        body = {"positive": [{"text": "angry " * 100}]}
        assert client.post("/v1/search", json=body).status_code == 422
