"""The OpenAPI document: enough for a stranger, and true of the service."""

import re

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as profile_of
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from emotion_search.engine.api.app import create_app
from emotion_search.engine.api.http.problems import KINDS
from emotion_search.engine.api.http.unknown_parameters import query_names
from emotion_search.engine.settings import Settings

CHECKS = [content_type_conformance, response_schema_conformance, status_code_conformance]


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
            assert field.get("default", 0) is not None
            assert (
                field.get("type") != "array"
                or "for each" in field["description"]
                or (field["maxItems"] == 16)
            )


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


@pytest.fixture(scope="module", params=["voices", "empty"])
def either(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """A client of the service over an archive of the voices, and over one without anything."""
    if request.param == "voices":
        yield request.getfixturevalue("reading")
        return
    empty = Settings(home=tmp_path_factory.mktemp("empty"), model="acoustic")
    with TestClient(create_app(empty), raise_server_exceptions=False) as client:
        yield client


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # schemathesis' own
def test_generated_requests_are_answered_as_the_document_says(either: TestClient):
    """A short run; benchmarks/fuzz.py has the long one."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", either.app)
    asked = 0

    def once(case: schemathesis.Case) -> None:
        nonlocal asked
        case.headers.pop("Authorization", None)  # made up: it would be all that is looked at
        answer = case.call()
        assert answer.status_code < 500, answer.text
        case.validate_response(answer, checks=CHECKS)
        asked += 1

    profile = profile_of(
        max_examples=4, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.method != "delete":  # the archive is other tests', too
            profile(given(case=operation.as_strategy())(once))()
    assert asked > 50
