"""Training, clustering and mapping on the command line."""

import json
from pathlib import Path

import numpy as np
import pytest

from emotion_search.engine.library.library import Library
from emotion_search.engine.settings import Settings
from emotion_search.index.vectors.space import Method
from tests.archives import blobs, fill, twin
from tests.commands.test_cli import manifest, run  # noqa: F401 - fixtures
from tests.templates import Template


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return Template(tmp_path_factory.mktemp("template"), fill_moods)


def fill_moods(library: Library) -> None:
    vectors, labels, speakers = blobs()
    labels = [f"{label} <b>" if label == "class0" else label for label in labels]
    fill(library.database, vectors, labels=labels, speakers=speakers, task="mood")
    fill(library.database, vectors[:5], begin=100)


@pytest.fixture
def made(template: Template, tmp_path: Path) -> None:
    template.place(Settings(home=tmp_path / "home"))


def test_train_classify_search_delete(run, made, tmp_path: Path):  # noqa: F811
    done = run("train", "--task", "mood", "--html", tmp_path / "r.html", "--bootstrap", 20)
    assert (done.code, done.err) == (0, f"notice: report in {tmp_path / 'r.html'}\n")
    assert "classifier mood 1 is stored" in done.out
    assert "class0 &lt;b&gt;" in (tmp_path / "r.html").read_text()
    (record,) = run("train", "--task", "mood", "--method", "random forest", "--json").records
    assert (record["version"], record["method"]) == (2, "random forest")
    assert "95 clips would be" in run("classify", "--task", "mood", "--dry-run").out
    (summary,) = run("classify", "--task", "mood", "--version", 1, "--json").records
    assert (summary["clips"], sum(summary["counts"].values())) == (95, 95)
    other = run("classify", "--task", "mood", "--version", 9)
    assert (other.code, "version 9; list them with: emotion-search" in other.err) == (1, True)
    asked = ("search", "--clip", 1, "--task", "mood", "--predicted", "class1", "-k", 100, "--json")
    assert {hit["labels"]["mood"] for hit in run(*asked).records} == {"class1"}
    assert run(*asked, "--min-probability", 1).out == ""
    assert [one["predictions"] for one in run("classifiers", "--json").records] == [95, 0]
    assert "mood" in run("classifiers").out
    assert "95 predictions" in run("classifiers", "--task", "mood", "--delete", 1).out
    assert run(*asked).out == ""


def test_a_class_that_is_left_out_is_a_notice(run, made):  # noqa: F811
    run("label", 91, 92, "--task", "mood", "--label", "rare")
    done = run("train", "--task", "mood", "--method", "linear discriminant", "--bootstrap", 0)
    assert (done.code, done.err) == (
        0,
        "notice: class rare left out: 2 clips, fewer than 3 clips\n",
    )
    assert "Left out: rare (2: fewer than 3 clips)." in done.out.replace("\n", " ")


def test_nothing_is_stored_where_the_report_cannot_be_written(run, made):  # noqa: F811
    done = run("train", "--task", "mood", "--html", "/nonexistent/r.html", "--bootstrap", 0)
    assert (done.code, done.out) == (1, "")
    assert "/nonexistent" in done.err
    assert run("classifiers", "--json").records == []


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_vectors_of_ones_own_are_evaluated(run, tmp_path: Path, separator):  # noqa: F811
    vectors, labels, speakers = blobs()
    np.save(tmp_path / "x.npy", vectors)
    table = tmp_path / "x.csv"
    rows = [("label", "speaker"), *zip(labels, speakers, strict=True)]
    table.write_text("\n".join(separator.join(row) for row in rows))
    asked = ("evaluate", "--embeddings", tmp_path / "x.npy", "--labels", table, "--json")
    (found,) = run(*asked, "--bootstrap", 0).records
    assert (found["clips"]["class0"], found["speakers"]) == (30, 6)
    table.write_text("label\nclass0,more\n")
    assert "line 2: more cells than columns" in run(*asked).err


def test_models_are_compared_in_one_kind_of_space(run, tmp_path: Path):  # noqa: F811
    vectors, labels, speakers = blobs(spread=2.0)
    with Library.open(Settings(home=tmp_path / "home"), create=True) as library:
        fill(library.database, vectors, labels=labels, speakers=speakers)
        twin(library.database, vectors)
        library.tune(method=Method.LEARNED)
    asked = ("evaluate", "--models", "made", "--models", "twin", "--bootstrap", 0)
    one, two = run(*asked, "--json").records
    assert one["micro"] == two["micro"]
    assert {one["space"], two["space"]} == {"plain"}
    shown = run(*asked)
    assert "spaces of different kinds" in shown.err
    assert "unseen speakers" in shown.out
    (alone,) = run("evaluate", "--json", "--bootstrap", 0).records
    assert (alone["learned"], alone["micro"]) == (True, one["micro"])
    assert "has seen such labels" in run("evaluate", "--bootstrap", 0).out


def test_suggest_lists_what_has_no_label(run, made):  # noqa: F811
    assert len(run("suggest", "--task", "mood", "--json").records) == 5
    run("train", "--task", "mood", "--method", "linear discriminant", "--bootstrap", 0)
    found = run("suggest", "--task", "mood", "-k", 3, "--json").records
    assert {one["clip"] for one in found} <= set(range(91, 96))
    assert "drawn by chance: mood 1 is sure" in run("suggest", "--task", "mood").out


def test_cluster_list_show_delete(run, made):  # noqa: F811
    done = run("cluster", "--name", "moods", "--task", "mood")
    assert (done.code, done.err) == (0, "")
    assert "moods: 3 clusters of 95 clips" in done.out
    assert "label: class" in done.out
    (shown,) = run("cluster", "--show", "moods", "--json").records
    assert sum(one["size"] for one in shown["clusters"]) == 95
    (listed,) = run("cluster", "--list", "--json").records
    assert "clusters" not in listed
    hits = run("search", "--clip", 40, "--cluster", "moods:0", "-k", 100, "--json").records
    assert len(hits) in (29, 30, 31, 34, 35)
    none = run("search", "--clip", 40, "--cluster", "moods:9")
    assert (none.code, none.out) == (1, "")
    assert none.err.startswith("error: no clip has cluster moods:9; did you mean moods:")
    assert "--replace" in run("cluster", "--name", "moods").err
    assert "deleted" in run("cluster", "--delete", "moods").out
    assert "no clustering yet" in run("cluster", "--list").err


def test_map_writes_a_page_and_points(run, made, tmp_path: Path):  # noqa: F811
    run("cluster", "--name", "moods", "-k", 3)
    page = tmp_path / "map.html"
    done = run("map", "--html", page, "--clustering", "moods")
    assert (done.code, done.err) == (0, "")
    assert "95 clips" in done.out
    assert "file:///made/0.wav#t=0.000,1.000" in page.read_text()
    points = run("map", "--json", "--limit", 30, "--task", "mood").records
    assert len(points) == 30
    assert json.dumps(points[0]["label"])
    assert run("map", "--html", page, "--overwrite", "--embed-audio", 5).code == 0
    assert '"audio": null' in page.read_text()  # the files are not there


def test_a_map_can_hold_its_audio(run, manifest, tmp_path: Path):  # noqa: F811
    run("ingest", "--manifest", manifest, "--model", "acoustic")
    page = tmp_path / "map.html"
    assert run("map", "--html", page, "--embed-audio", 5, "--colour", "speaker").code == 0
    assert page.read_text().count("data:audio/mpeg;base64,") == 5


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "--task", "mod"], 1, "did you mean mood?"),
        (["train", "--task", "mood", "--from", "none.csv"], 1, "none.csv"),
        (["train", "--task", "mood", "--method", "oracle"], 2, "choose linear discriminant"),
        (["train"], 1, "under the task emotion; there are mood"),
        (["classify", "--task", "mood"], 1, "emotion-search train --task mood"),
        (["classifiers", "--delete", "1"], 2, "--delete goes with --task"),
        (["classifiers", "--task", "mood", "--delete", "1"], 1, "no classifier for the task"),
        (["suggest", "--task", "mood", "-k", "0"], 2, "limit must be 1 to 500"),
        (["cluster"], 2, "give one of --name"),
        (["cluster", "--name", "x", "--list"], 2, "--list goes without --name"),
        (["cluster", "--name", "x", "--method", "spectral"], 2, "kmeans or hdbscan"),
        (["cluster", "--show", "x"], 1, "no clustering x"),
        (["search", "--clip", "1", "--cluster", "moods:1"], 1, "no clip has cluster moods:1"),
        (["cluster", "--name", "x", "--source", "none"], 1, "no clip has source none"),
        (["cluster", "--name", "x", "--before", "1999-01-01"], 1, "0 match"),
        (["map"], 2, "say what to write"),
        (["map", "--json", "--method", "tsne"], 2, "choose pca or umap"),
        (["map", "--html", "m.html", "--colour", "mood"], 2, "choose emotion"),
        (["map", "--html", "m.html", "--colour", "cluster"], 2, "goes with --clustering"),
        (["map", "--html", "m.html", "--colour", "predicted"], 1, "under the task emotion"),
        (["map", "--html", "m.html", "--colour", "label", "--task", "no"], 1, "under the task no"),
        (["map", "--json", "--limit", "1"], 2, "points"),
        (["map", "--html", "m.html", "--audio-base", "nowhere"], 2, "--audio-base"),
        (["search", "--clip", "1", "--cluster", "moods"], 2, "NAME:3"),
        (["search", "--clip", "1", "--min-probability", "2"], 2, "0 to 1"),
    ],
)
def test_misuse_is_one_clear_error(run, made, arguments, code, message):  # noqa: F811
    done = run(*arguments)
    assert (done.code, done.out) == (code, "")
    assert message in done.err


def test_a_classifier_that_knows_nothing_is_a_notice(run, made):  # noqa: F811
    for label, first in (("heads", 1), ("tails", 2)):
        run("label", *range(first, 31, 2), "--task", "coin", "--label", label)
    done = run("train", "--task", "coin", "--bootstrap", 100)
    assert "maybe no better than chance on a speaker left out" in done.err
