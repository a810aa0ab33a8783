"""The OpenAPI document: enough for a stranger, and true of the service."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from emotion_search import Library
from emotion_search.engine.api.http.problems import KINDS
from emotion_search.engine.api.http.unknown_parameters import query_names
from emotion_search.engine.service.keys import Scope, create
from emotion_search.engine.settings import Settings
from tests.api.conftest import served
from tests.conftest import ROOT
from tests.templates import Template


@pytest.fixture(scope="module")
def document(reading: TestClient) -> dict:
    return reading.get("/openapi.json").json()


def operations(document: dict) -> list[tuple[str, str, dict]]:
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_operation_is_described_with_its_problems(document: dict):
    for method, path, operation in operations(document):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert len(operation["description"]) > 20, where
        assert operation["tags"], where
        for parameter in operation.get("parameters", []):
            assert parameter.get("description") or parameter["schema"].get("description"), where
        statuses = operation["responses"].keys()
        assert any(status.startswith("2") for status in statuses), where
        if path.startswith("/v1"):
            assert {"401", "403", "500", "503"} <= statuses, where
            assert operation["security"] == [{"key": []}], where
        assert "security" in operation, where
        if "requestBody" in operation:
            assert {"400", "413", "415", "422"} <= statuses, where
            assert operation["requestBody"]["content"], where


def test_operations_have_names_that_programs_can_use(document: dict):
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z_]+", name) for name in names)


def test_a_route_knows_the_parameters_that_the_document_tells(reading: TestClient, document: dict):
    expected = {
        (method, path): {
            one["name"] for one in operation.get("parameters", []) if one["in"] == "query"
        }
        for method, path, operation in operations(document)
    }
    for route in reading.app.state.routes:
        for method in route.methods:
            if (names := expected.pop((method.lower(), route.path_format), None)) is not None:
                assert query_names(route) == names, route.path
    assert not expected


def test_a_form_has_no_nulls_and_says_what_is_repeated(document: dict):
    schemas = document["components"]["schemas"]
    for name in ("UploadSearch", "UploadRecording", "UploadPredict"):
        for field in schemas[name]["properties"].values():
            assert "anyOf" not in field
            assert (
                field.get("type") != "array"
                or "for each" in field["description"]
                or (field["maxItems"] == 16)
            )


def test_requests_have_no_defaults_which_generators_make_required(document: dict):
    for name in ("BySpan", "SearchIn", "BatchIn", "UploadSearch", "UploadPredict", "LabelIn"):
        for field in document["components"]["schemas"][name]["properties"].values():
            assert "default" not in field
    about = document["components"]["schemas"]["SearchIn"]["properties"]["limit"]["description"]
    assert "By default `10`" in about


def test_each_status_tells_its_types(document: dict):
    described = {
        kind
        for answer in document["components"]["responses"].values()
        for kind in re.findall("`([a-z-]+)`", answer["description"].split("`type`:")[1])
    }
    about = document["components"]["schemas"]["Problem"]["properties"]["type"]["description"]
    for kind in [*KINDS, "invalid-request"]:
        assert f"`{kind}`" in about
        assert kind in described | {"no-such-route", "method-not-allowed"}


def test_every_reference_leads_somewhere(document: dict):
    text = str(document)
    for reference in set(re.findall(r"'\$ref': '#/([^']+)'", text)):
        place = document
        for part in reference.split("/"):
            place = place[part]
    assert "x-schemas" not in text
    assert "HTTPValidationError" not in text
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for problem in document["components"]["responses"].values():
        assert set(problem["content"]) == {"application/problem+json"}


def test_every_type_of_problem_is_documented():
    from tests.conftest import ROOT

    docs = (ROOT / "docs/api.md").read_text()
    for kind in [*KINDS, "invalid-request"]:
        assert f"`{kind}`" in docs, kind


@pytest.mark.slow
def test_schemathesis_finds_no_fault(tmp_path: Path, voices_archive: Template):
    """A short run, without the phase that takes minutes; work in the background is left out."""
    settings = Settings(home=tmp_path, model="acoustic")
    voices_archive.place(settings)
    with Library.open(settings) as library:
        key, _ = create(library.database, name="fuzz", scope=Scope.ADMIN)
    with served(tmp_path) as server:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", "--no-color"),
                *(f"{server.address}/openapi.json", "-H", f"Authorization: Bearer {key}"),
                *("--phases", "examples,fuzzing,stateful"),
                *("--exclude-name", "POST /v1/jobs", "--max-examples", "2"),
                *("--generation-deterministic", "--continue-on-failure"),
            ],
            cwd=ROOT,  # where schemathesis.toml is
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout + done.stderr
