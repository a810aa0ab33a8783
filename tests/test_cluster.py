"""docker-compose.cluster.yml: parsed and filled in as Compose does; no engine runs it here."""

import re
from typing import Any

import pytest
import yaml

from emotion_search.engine.settings import load_settings
from tests.conftest import ROOT

TEXT = (ROOT / "docker-compose.cluster.yml").read_text()
OURS = {"migrate", "server-a", "server-b", "worker", "ray"}
SECRETS = {"POSTGRES_PASSWORD", "S3_SECRET", "MILVUS_PASSWORD"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file with every variable that must be set as ``its-name``, others by their defaults."""
    rendered = re.sub(
        r"\$\{(\w+)(?::?([-?])([^}]*))?\}",
        lambda found: found[3] if found[2] == "-" else found[1].lower(),
        TEXT,
    )
    parsed: dict[str, Any] = yaml.safe_load(rendered)
    return parsed


def test_no_password_has_a_default():
    asked = set(re.findall(r"\$\{(\w+):\?", TEXT))
    assert asked == SECRETS
    for name in SECRETS:
        assert f"${{{name}:-" not in TEXT
    for key, value in re.findall(r"(\w*(?:PASSWORD|SECRET|TOKEN)\w*): (.+)", TEXT):
        assert value.startswith("${"), key


def test_services_are_confined_and_only_the_proxy_is_reached_from_this_machine(compose):
    for name, service in compose["services"].items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["pids_limit"], name
        assert service["mem_limit"], name
        assert name == "proxy" or "ports" not in service
    for name in (*OURS, "db", "proxy"):
        assert compose["services"][name]["cap_drop"] == ["ALL"]
        assert compose["services"][name]["read_only"] is True
    assert compose["services"]["proxy"]["ports"] == ["127.0.0.1:8000:8000"]


def test_all_parts_are_there_and_wait_for_each_other(compose):
    services = compose["services"]
    assert set(services) == {*OURS, "db", "bucket", "buckets", "milvus", "proxy"}
    assert [name for name, one in services.items() if "profiles" in one] == ["ray"]
    for service in services.values():
        assert set(service.get("depends_on", ())) <= set(services)
        for volume in service.get("volumes", ()):
            assert volume.partition(":")[0] in compose["volumes"]
    for name in ("server-a", "server-b"):
        assert f"{name}:8000" in compose["configs"]["proxy"]["content"]
    assert services["worker"]["deploy"]["replicas"] == 2


def test_the_settings_are_ones_that_a_server_takes(compose, monkeypatch: pytest.MonkeyPatch):
    environment = compose["services"]["server-a"]["environment"]
    for name in OURS:
        assert compose["services"][name]["environment"].items() >= environment.items()
    for name, value in environment.items():
        monkeypatch.setenv(name, value or "")
    settings = load_settings()
    assert settings.uploads == "s3://emotion/uploads"
    assert settings.index == "milvus+http://root:milvus_password@milvus:19530"
    assert str(settings.database_url).endswith("@db/emotion")
    known = {f"EMOTION_SEARCH_{name.upper()}" for name in type(settings).model_fields}
    assert {name for name in environment if name.startswith("EMOTION_SEARCH_")} <= known
