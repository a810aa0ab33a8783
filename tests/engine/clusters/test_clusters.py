"""Clusters and maps of archives of made-up embeddings."""

import json
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from emotion_search.engine.clusters import cluster as clustering_module
from emotion_search.engine.clusters import project
from emotion_search.engine.clusters.cluster import cluster
from emotion_search.engine.clusters.describe import describe
from emotion_search.engine.clusters.kmeans import assign, choose_k, fit_centres
from emotion_search.engine.clusters.project import Maps, pca
from emotion_search.engine.pages import map as map_page
from emotion_search.index.database.clip_columns import Attribute, Attributes
from emotion_search.index.database.clips import clip_details
from emotion_search.index.database.clusterings import (
    delete_clustering,
    get_clustering,
    list_clusterings,
    members,
)
from emotion_search.index.database.connection import Database
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.labels import set_labels
from emotion_search.index.database.matching import matching_ids
from emotion_search.index.database.recordings import remove_recording
from emotion_search.index.database.spaces import add_space
from emotion_search.index.errors import InvalidInputError, NotFoundError
from emotion_search.index.vectors.arrays import normalise
from emotion_search.index.vectors.space import Method, fit_space
from tests.archives import blobs, fill


def archive(database: Database, **options):
    vectors, labels, speakers = blobs(**options)
    sources = [f"source of {label}" for label in labels]
    return fill(database, vectors, labels=labels, speakers=speakers, sources=sources)


def test_k_means_finds_the_blobs_and_says_what_they_hold(database: Database):
    model = archive(database)
    done = cluster(database, model, name="moods")
    assert (done.k, done.clips) == (3, 90)
    assert max(done.silhouettes, key=done.silhouettes.get) == 3
    for one in done.clusters:
        assert one.size == 30
        (excess,) = one.labels
        assert (excess.clips, excess.share, excess.lift) == (30, 1.0, pytest.approx(3.0))
        assert one.sources[0].value == f"source of {excess.value}"
        assert (one.speakers, one.speaker_share) == (6, pytest.approx(1 / 6))
        assert len(one.typical) == 5
    with database.read() as session:
        info = get_clustering(session, "moods")
        assert json.loads(json.dumps(info.summary))[0]["size"] == 30
        ids, clusters = members(session, "moods")
        assert list(ids) == list(range(1, 91))
        passing = matching_ids(session, ClipFilter(clusters=("moods:0", "moods:1")))
        assert set(passing) == set(ids[clusters < 2])
        assert not len(matching_ids(session, ClipFilter(clusters=("other:0",))))


def test_clusters_are_not_looked_for_in_a_space_that_labels_taught(sqlite: Database):
    vectors, labels, _ = blobs(spread=2.0)
    model = fill(sqlite, vectors, labels=labels)
    plain = cluster(sqlite, model, name="plain", k=3)
    with sqlite.write() as session:
        space = fit_space(Method.LEARNED, vectors, np.array(labels))
        add_space(session, model, space, task="emotion", clips=90, gain=None)
    assert cluster(sqlite, model, name="x", k=3).clusters == plain.clusters
    with sqlite.read() as session:
        assert get_clustering(session, "x").space_version == 0


def test_an_excess_is_beyond_chance_among_all_that_was_looked_at():
    """Fifteen of twenty have the label that half of all have: p is 0.002."""
    n, half = 40, 20
    clusters = np.repeat([0, 1], half).astype(np.int32)
    codes = np.array([0] * 15 + [1] * 5 + [0] * 5 + [1] * 15, np.int32)
    absent = Attribute((), np.full(n, -1, np.int32))
    many = Attribute(tuple("abcdefghij"), (np.arange(n) % 10).astype(np.int32))
    found = {}
    for sources in (absent, many):
        label = Attribute(("x", "y"), codes)
        ids = np.arange(n)
        known = Attributes(ids, label, absent, absent, sources, absent, ids)
        described = describe(known, clusters, 2, np.ones(n, np.float32))
        found[sources.names] = [one.labels for one in described]
    assert [[one.value for one in some] for some in found[()]] == [["x"], ["y"]]
    assert found[many.names] == [(), ()]


def test_hdbscan_leaves_noise_out(sqlite: Database):
    vectors, labels, _ = blobs(spread=0.05)
    noise = np.random.default_rng(1).normal(size=(12, 16)).astype(np.float32)
    model = fill(sqlite, np.vstack([vectors, noise]), labels=[*labels, *["odd"] * 12])
    done = cluster(sqlite, model, name="dense", method="hdbscan", least=10)
    assert done.k == 3
    assert done.clusters[-1].cluster == -1
    assert done.clusters[-1].labels[0].value == "odd"
    with sqlite.read() as session:
        ids = matching_ids(session, ClipFilter(clusters=("dense:noise",)))
    assert set(ids) <= set(range(91, 103))
    assert len(ids) >= 6


def test_clips_beyond_the_sample_are_assigned_too(sqlite: Database, monkeypatch):
    model = archive(sqlite, each=20)
    monkeypatch.setattr(clustering_module, "SAMPLE", 60)
    monkeypatch.setattr(clustering_module, "DENSE_SAMPLE", 150)
    for options in ({"k": 3}, {"method": "hdbscan", "least": 10}):
        done = cluster(sqlite, model, name="some", replace=True, **options)
        assert done.sampled < done.clips == 360
        assert done.k == 3
        assert [one.labels[0].lift for one in done.clusters if one.cluster >= 0] == [
            pytest.approx(3.0)
        ] * 3
        assert sum(one.size for one in done.clusters if one.cluster >= 0) > 300


def test_clusterings_are_named_replaced_and_deleted(database: Database):
    model = archive(database)
    cluster(database, model, name="a", k=2)
    with pytest.raises(InvalidInputError, match="--replace"):
        cluster(database, model, name="a", k=4)
    cluster(database, model, name="a", k=4, replace=True)
    wanted = ClipFilter(speakers=("speaker1",))
    assert cluster(database, model, name="b", k=2, wanted=wanted).clips == 15
    with database.read() as session:
        assert [(one.name, one.k, one.clips) for one in list_clusterings(session)] == [
            ("a", 4, 90),
            ("b", 2, 15),
        ]
    with database.read() as session:
        gone = get_clustering(session, "a").summary[0]["typical"][0]
    with database.write() as session:
        remove_recording(session, gone)
    with database.read() as session:
        left = get_clustering(session, "a")
        assert left.clips == 89
        assert gone not in left.summary[0]["typical"]
    with database.write() as session:
        delete_clustering(session, "a")
        delete_clustering(session, "b")
    with database.read() as session:
        assert session.scalar(text("SELECT count(*) FROM cluster_members")) == 0
        with pytest.raises(NotFoundError, match="cluster --list"):
            get_clustering(session, "a")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"wanted": ClipFilter(sources=("none",))}, "0 match"),
        ({"k": 200}, "needs 200 clips"),
        ({"method": "hdbscan", "k": 3}, "leave -k out"),
        ({"least": 5}, "goes with --method hdbscan"),
        ({"name": "a:b"}, "colon"),
        ({"name": " "}, "1 to 200 characters"),
        ({"method": "hdbscan", "least": 80}, "all is noise"),
    ],
)
def test_what_cannot_be_clustered_is_refused(sqlite: Database, options, message):
    model = archive(sqlite)
    with pytest.raises(InvalidInputError, match=message):
        cluster(sqlite, model, **{"name": "x", **options})


def test_equal_embeddings_are_refused(sqlite: Database):
    model = fill(sqlite, np.ones((20, 4)))
    with pytest.raises(InvalidInputError, match="equal"):
        cluster(sqlite, model, name="x")
    with pytest.raises(InvalidInputError, match="equal"):
        Maps().make(sqlite, model)


@pytest.mark.parametrize("text_", ["moods", "moods:", ":3", "moods:x", "moods:-1", "m:9999999"])
def test_a_cluster_is_named_in_one_way(text_: str):
    with pytest.raises(InvalidInputError, match="NAME:3"):
        ClipFilter(clusters=(text_,))


def test_names_of_clusterings_may_be_anything_else():
    assert ClipFilter(clusters=("Anrufe 2026 (neu):12",)).clusters


def test_the_same_seed_gives_the_same_clusters():
    vectors = normalise(blobs(spread=1.5)[0])
    first, again = (assign(vectors, fit_centres(vectors, 5, seed=1))[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert choose_k(vectors, range(2, 6)) == choose_k(vectors, range(2, 6))


def test_a_map_is_the_plane_of_most_variance():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(600, 8)) * [5, 3, 1, 1, 1, 1, 1, 1]).astype(np.float32)
    for rows in (x, x[:100]):
        xy, explained = pca(rows)
        values = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False) ** 2
        np.testing.assert_allclose(explained, values[:2] / values.sum(), rtol=1e-3)
        np.testing.assert_allclose(xy.var(axis=0).sum() * len(rows), values[:2].sum(), rtol=1e-3)


def test_points_are_remembered_until_clips_change_and_labels_are_fresh(database: Database):
    model = archive(database)
    cluster(database, model, name="moods", k=3)
    maps = Maps()
    first = maps.make(database, model, limit=50, clustering="moods")
    assert (len(first.ids), first.clips) == (50, 90)
    assert first.known.label.of(0) == "class0"
    assert {first.cluster.of(row) for row in range(50)} == {"0", "1", "2"}
    with database.write() as session:
        set_labels(session, [(int(first.ids[0]), "emotion", "new")])
    again = maps.make(database, model, limit=50)
    assert again.xy is first.xy
    assert again.known.label.of(0) == "new"
    with database.write() as session:
        remove_recording(session, 90)
    assert maps.make(database, model, limit=50).clips == 89
    filtered = maps.make(database, model, wanted=ClipFilter(labels=("class2",)))
    assert filtered.clips == 29
    for limit in (2, 50_001):
        with pytest.raises(InvalidInputError, match="points"):
            maps.make(database, model, limit=limit)
    with pytest.raises(NotFoundError, match="no clustering none"):
        maps.make(database, model, clustering="none")


def test_the_progress_of_a_map_by_umap_goes_up_to_the_whole(sqlite: Database, monkeypatch):
    def epochs(vectors, progress):
        progress(0, 200)
        progress(200, 200)
        return vectors[:, :2]

    monkeypatch.setattr(project, "umap", epochs)
    model, shares = archive(sqlite), []
    Maps().make(sqlite, model, method="umap", progress=lambda done, of: shares.append(done / of))
    assert shares == sorted(shares)
    assert (shares[0] < 0.5, shares[-1]) == (True, 1.0)


def test_embeddings_of_one_number_have_no_map(sqlite: Database):
    model = fill(sqlite, np.arange(1.0, 5.0)[:, None])
    with pytest.raises(InvalidInputError, match="two dimensions"):
        Maps().make(sqlite, model)


def test_the_page_of_a_map_asks_for_nothing_and_no_name_breaks_out_of_it(
    sqlite: Database, tmp_path: Path
):
    vectors, labels, _ = blobs()
    evil = "</script><script>alert(1)</script>"
    model = fill(sqlite, vectors, labels=[evil if i % 2 else x for i, x in enumerate(labels)])
    made = Maps().make(sqlite, model)
    with sqlite.read() as session:
        details = {one.id: one for one in clip_details(session, model, made.ids.tolist())}
    page = tmp_path / "map.html"
    sound = map_page.api_url("http://127.0.0.1:8000/")
    map_page.write_map(made, page, by="label", details=details, sound=sound)
    written = page.read_text()
    assert "alert(1)</script>" not in written
    assert '<script src="http' not in written
    assert "http://127.0.0.1:8000/v1/clips/7/audio" in written
    assert map_page.file_url(details[1]) == "file:///made/0.wav#t=0.000,1.000"
    with pytest.raises(InvalidInputError, match="http://HOST:PORT"):
        map_page.api_url("javascript:alert(1)")
    with pytest.raises(InvalidInputError, match="choose emotion"):
        map_page.coloured(made, "mood")
    with pytest.raises(InvalidInputError, match="cannot be written"):
        map_page.write_map(
            made, tmp_path / "no" / "map.html", by="label", details=details, sound=sound
        )


def test_a_recording_forgotten_meanwhile_is_no_point_and_the_others_keep_their_names(
    sqlite: Database, tmp_path: Path
):
    model = archive(sqlite, classes=2, speakers=2, each=2)
    made = Maps().make(sqlite, model)
    with sqlite.write() as session:
        remove_recording(session, 3)
    with sqlite.read() as session:
        details = {one.id: one for one in clip_details(session, model, made.ids.tolist())}
    page = tmp_path / "map.html"
    map_page.write_map(made, page, by="label", details=details, sound=map_page.file_url)
    written = page.read_text()
    data = json.loads(written[written.index("const clips = ") + 14 :].split(";\n")[0])
    assert data[2] is None
    assert data[3]["about"].startswith("clip 4, 3.wav")
    assert '"3: 2.wav' not in written
    assert '"4: 3.wav' in written


def test_the_rarest_of_many_values_share_a_colour(sqlite: Database):
    vectors = np.random.default_rng(0).normal(size=(60, 4))
    speakers = [f"speaker{min(i, 30)}" for i in range(60)]
    model = fill(sqlite, vectors, speakers=[*speakers[:-1], None])
    shown = map_page.layers(map_page.coloured(Maps().make(sqlite, model), "speaker"))
    assert shown[0][0] == "speaker30"
    assert shown[-2][0] == "12 others"
    assert shown[-1][0] == "(none)"
    assert sum(len(rows) for _, _, rows in shown) == 60


def test_a_map_as_a_picture(sqlite: Database, tmp_path: Path):
    pytest.importorskip("matplotlib", reason="a PNG needs matplotlib")
    made = Maps().make(sqlite, archive(sqlite))
    map_page.write_png(made, tmp_path / "map.png", by="label")
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
