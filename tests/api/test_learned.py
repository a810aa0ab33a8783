"""Maps, clusterings and classifiers over HTTP, and searches that filter by them."""

from collections.abc import Iterator

import numpy as np
import pytest
from fastapi.testclient import TestClient

from emotion_search.engine.api.app import create_app
from emotion_search.engine.library.library import Library
from emotion_search.engine.settings import Settings
from tests.api.test_api import assert_problem
from tests.archives import blobs, fill
from tests.templates import Template


def learn(library: Library) -> None:
    vectors, labels, speakers = blobs()
    fill(library.database, vectors, labels=labels, speakers=speakers)
    library.cluster("moods", k=3)
    library.train("emotion", method="linear discriminant", rounds=20)
    library.classify("emotion")


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return Template(tmp_path_factory.mktemp("learned"), learn)


@pytest.fixture
def client(settings: Settings, learned: Template) -> Iterator[TestClient]:
    """A client of the service over an archive of made-up embeddings, clustered and classified."""
    made = settings.model_copy(update={"model": None})
    learned.place(made)
    with TestClient(create_app(made), raise_server_exceptions=False) as opened:
        yield opened


def test_a_map_is_points_with_what_is_known(client: TestClient):
    body = client.get("/v1/map", params={"clustering": "moods", "limit": 40}).json()
    assert (len(body["points"]), body["clips"], body["method"]) == (40, 90, "pca")
    assert sum(body["explained"]) > 0.5
    first = body["points"][0]
    assert first["label"] == first["predicted"] == "class0"
    assert first["emotion"] in ("angry", "sad")
    assert {point["cluster"] for point in body["points"]} == {"0", "1", "2"}
    by_class = {}
    for point in body["points"]:
        by_class.setdefault(point["label"], []).append((point["x"], point["y"]))
    spread = np.mean([np.std(xy, axis=0).mean() for xy in by_class.values()])
    assert spread < np.std([(p["x"], p["y"]) for p in body["points"]], axis=0).mean()
    again = client.get("/v1/map", params={"clustering": "moods", "limit": 40}).json()
    assert again == body
    chosen = [("label", "class0"), ("cluster", f"moods:{first['cluster']}")]
    assert client.get("/v1/map", params=chosen).json()["clips"] == 30


def test_clusterings_and_classifiers_are_listed_and_read(client: TestClient):
    (listed,) = client.get("/v1/clusterings").json()["data"]
    assert (listed["name"], listed["k"], listed["clips"]) == ("moods", 3, 90)
    details = client.get("/v1/clusterings/moods").json()
    assert [one["size"] for one in details["clusters"]] == [30, 30, 30]
    assert details["clusters"][0]["labels"][0]["lift"] == pytest.approx(3.0)
    assert_problem(client.get("/v1/clusterings/other"), 404, "not-found")
    (classifier,) = client.get("/v1/classifiers").json()["data"]
    assert (classifier["task"], classifier["version"], classifier["predictions"]) == (
        "emotion",
        1,
        90,
    )
    assert classifier["provenance"]["metrics"]["uar"]["low"] <= 1


def test_searches_and_lists_filter_by_what_was_learned(client: TestClient):
    asked = {"clip": 1, "limit": 100, "predicted": ["class1"], "min_probability": 0.1}
    hits = client.post("/v1/search", json=asked).json()["hits"]
    assert {hit["label"] for hit in hits} == {"class1"}
    assert hits[0]["predictions"]["emotion"]["value"] == "class1"
    assert 0.1 <= hits[0]["predictions"]["emotion"]["probability"] <= 1
    assert client.post("/v1/search", json={**asked, "task": "mood"}).json()["hits"] == []
    listed = client.get("/v1/clips", params={"cluster": "moods:2", "limit": 100}).json()["data"]
    assert len(listed) == 30
    assert len({clip["label"] for clip in listed}) == 1


WRONG = [
    ("/v1/map", {"limit": 2}, 422),
    ("/v1/map", {"limit": 20_001}, 422),
    ("/v1/map", {"method": "tsne"}, 422),
    ("/v1/map", {"clustering": "none"}, 404),
    ("/v1/map", {"clustering": "\0"}, 422),
    ("/v1/map", {"source": "none"}, 404),
    ("/v1/clips", {"cluster": "moods"}, 422),
    ("/v1/clips", {"min_probability": 1.5}, 422),
    ("/v1/clips", {"min_probability": "nan"}, 422),
    ("/v1/clusterings/%00", {}, 422),
]


def test_wrong_requests_are_problems(client: TestClient):
    for path, parameters, status in WRONG:
        assert_problem(client.get(path, params=parameters), status)


def test_an_empty_archive_says_so(settings: Settings):
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        assert_problem(client.get("/v1/map"), 404, "not-found")
        assert client.get("/v1/clusterings").json() == {"data": []}
        assert client.get("/v1/classifiers").json() == {"data": []}
