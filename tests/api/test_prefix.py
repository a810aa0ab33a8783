"""The service below a path of a proxy."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from emotion_search.engine.api.app import create_app
from emotion_search.engine.api.http.prefix import checked
from emotion_search.engine.settings import Settings
from emotion_search.index.errors import InvalidInputError


@pytest.fixture(scope="module")
def below(tmp_path_factory: pytest.TempPathFactory):
    home: Path = tmp_path_factory.mktemp("below")
    settings = Settings(home=home, model="acoustic", root_path="/tools/emotions")
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        yield client


@pytest.mark.parametrize("path", ["/tools/emotions", ""])
def test_it_answers_whether_or_not_the_proxy_takes_the_prefix_off(below: TestClient, path: str):
    assert below.get(f"{path}/v1/stats").status_code == 200
    assert below.get(f"{path}/assets/js/app.js").status_code == 200
    page = below.get(f"{path}/").text
    assert 'src="/' not in page
    assert 'href="/' not in page
    assert "/tools/emotions/openapi.json" in below.get(f"{path}/docs").text


def test_the_prefix_itself_leads_to_the_page_and_a_header_goes_before_the_setting(
    below: TestClient,
):
    answer = below.get("/tools/emotions", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (308, "/tools/emotions/")
    headers = {"x-forwarded-prefix": "/other/"}
    assert "/other/openapi.json" in below.get("/docs", headers=headers).text
    odd = {"x-forwarded-prefix": '/"><script>'}
    assert "<script>/" not in below.get("/docs", headers=odd).text
    assert "/tools/emotions/openapi.json" in below.get("/docs", headers=odd).text


@pytest.mark.parametrize("wrong", ["emotions", "//x", "/a b", "https://x/y"])
def test_what_is_no_path_is_refused(wrong: str):
    with pytest.raises(InvalidInputError, match="write it as"):
        checked(wrong)
