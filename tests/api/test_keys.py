"""Keys: made, listed and revoked on the command line; asked for by the service."""

import hashlib
import re
import socket
from collections import Counter
from pathlib import Path

import httpx
import pytest
import yaml
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from emotion_search import cli
from emotion_search.engine.api.app import create_app
from emotion_search.engine.service.keys import KeyRing, Scope, create, revoke
from emotion_search.engine.settings import Settings
from emotion_search.index.database.connection import Database
from emotion_search.index.errors import InvalidInputError, NotFoundError
from tests.api.conftest import assert_problem, served, upload
from tests.conftest import ROOT, tone, write_wav


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def refresh(client: TestClient) -> None:
    """As if a second had passed."""
    client.app.state.keys._read_at = float("-inf")


def test_only_a_hash_of_a_token_is_kept(database: Database):
    token, made = create(database, name="desk", scope=Scope.READ)
    assert re.fullmatch(r"es_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", token)
    assert made.sha256 == hashlib.sha256(token.encode()).hexdigest()
    ring = KeyRing(database)
    ring.refresh()
    assert ring.find(token) == made
    with pytest.raises(InvalidInputError, match="named desk already"):
        create(database, name="desk", scope=Scope.READ)
    revoke(database, made.prefix)
    create(database, name="desk", scope=Scope.ADMIN)
    with pytest.raises(NotFoundError):
        revoke(database, "nobody")


@given(st.text(max_size=80))
def test_no_other_text_is_a_key(text: str):
    from datetime import UTC, datetime

    from emotion_search.index.database.keys import KeyDetails

    token = "es_0123456789ab_" + "x" * 43
    known = hashlib.sha256(token.encode()).hexdigest()
    ring = KeyRing(None)
    ring._keys = {
        token[:15]: KeyDetails(1, "a", token[:15], known, "read", datetime.now(UTC), None)
    }
    for other in (text, token + text, token[:-1] + text, token[:15] + text):
        assert (ring.find(other) is not None) == (other == token)


def test_scopes(client: TestClient, tmp_path: Path):
    database = client.app.state.library.database
    read, write, admin = (create(database, name=s, scope=s)[0] for s in Scope)
    refresh(client)
    path = write_wav(tmp_path / "x.wav", tone(1.0))

    def statuses(headers: dict) -> list[int]:
        calls = [
            client.get("/v1/stats", headers=headers),
            client.post("/v1/search", json={"clip": 1}, headers=headers),
            client.put("/v1/clips/1/labels/a", json={"value": "b"}, headers=headers),
            client.post("/v1/recordings?wait=true", files=upload(path), headers=headers),
            client.delete("/v1/recordings/12", headers=headers),
        ]
        return [call.status_code for call in calls]

    assert statuses({}) == [401] * 5
    assert statuses(bearer(read)) == [200, 200, 403, 403, 403]
    assert statuses(bearer(write)) == [200, 200, 200, 201, 403]
    assert statuses(bearer(admin))[4] == 200
    denied = assert_problem(client.get("/v1/stats"), 401, "unauthorized")
    assert "key create" in denied["detail"]
    assert client.get("/v1/stats").headers["www-authenticate"] == "Bearer"
    assert_problem(client.get(f"/v1/stats?key={read}"), 401)
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200
    assert_problem(client.get("/metrics"), 401)


def test_bad_keys_are_refused(client: TestClient):
    create(client.app.state.library.database, name="a", scope=Scope.READ)
    refresh(client)
    for header in (
        "Bearer",
        "Bearer ",
        "Bearer es_",
        "Basic YTpi",
        "Bearer es_000000000000_" + "x" * 43,
        "Bearer " + "x" * 5000,
        "bearer \tx",
        b"Bearer \xff\xfe",
    ):
        answer = client.get("/v1/stats", headers={"Authorization": header})
        assert_problem(answer, 401, "unauthorized")


def test_a_revoked_key_opens_nothing_even_if_it_was_the_last(client: TestClient):
    database = client.app.state.library.database
    token, _ = create(database, name="a", scope=Scope.READ)
    refresh(client)
    assert client.get("/v1/stats", headers=bearer(token)).status_code == 200
    revoke(database, "a")
    refresh(client)
    assert_problem(client.get("/v1/stats", headers=bearer(token)), 401)
    assert_problem(client.get("/v1/stats"), 401)
    assert_problem(client.delete("/v1/recordings/2"), 401)


def test_a_body_is_not_read_before_the_key_is_known_to_be_good(client: TestClient):
    create(client.app.state.library.database, name="a", scope=Scope.WRITE)
    refresh(client)
    deep = b'{"value": ' + b"[" * 500_000
    for path, method in (("/v1/clips/1/labels/a", "PUT"), ("/v1/search", "POST")):
        kind = {"content-type": "application/json"}
        assert_problem(client.request(method, path, content=deep, headers=kind), 401)


def test_the_same_idempotency_key_of_two_senders_is_two(client: TestClient, tmp_path: Path):
    database = client.app.state.library.database
    first, second = (create(database, name=n, scope=Scope.WRITE)[0] for n in "ab")
    refresh(client)
    for i, token in enumerate((first, second)):
        path = write_wav(tmp_path / f"{i}.wav", tone(1.0, 200 + i))
        headers = {**bearer(token), "Idempotency-Key": "1"}
        answer = client.post("/v1/recordings?wait=true", files=upload(path), headers=headers)
        assert answer.status_code == 201


@pytest.mark.parametrize(
    ("headers", "open_to", "status"),
    [
        ({}, "loopback", 200),
        ({"Host": "localhost:8000"}, "loopback", 200),
        ({"Host": "127.0.0.1:8000"}, "loopback", 200),
        ({"Host": "[::1]:8000"}, "loopback", 200),
        ({"Host": "desk.localhost"}, "loopback", 200),
        ({"Host": "Allowed:8000"}, "loopback", 200),
        ({"Host": "rebound.example:8000"}, "loopback", 403),
        ({"Host": "intranet"}, "loopback", 403),
        ({"Host": "192.168.1.5:8000"}, "loopback", 403),
        ({"Host": "localhost.evil.example"}, "loopback", 403),
        ({"Host": "evil@localhost"}, "loopback", 403),
        ({"Host": "[::1"}, "loopback", 403),
        ({"Host": ""}, "loopback", 403),
        ({"Host": "rebound.example:8000"}, "anyone", 403),
        ({"Host": "allowed"}, "anyone", 200),
        ({"Host": "localhost", "Origin": "http://localhost"}, "loopback", 200),
        ({"Host": "localhost", "Origin": "http://evil.example"}, "loopback", 403),
        ({"Host": "localhost", "Origin": "null"}, "anyone", 403),
        ({"Host": "localhost", "Origin": "http://[bad"}, "loopback", 403),
        ({}, "nobody", 401),
    ],
)
def test_without_keys_only_this_machine_is_answered(
    voices_settings: Settings, headers: dict, open_to, status: int
):
    settings = voices_settings.model_copy(update={"allowed_hosts": "testserver, allowed"})
    with TestClient(create_app(settings, open_to=open_to)) as client:
        answer = client.get("/v1/stats", headers=headers)
        assert answer.status_code == status
        if status != 200:
            assert_problem(answer, status)


def test_any_name_where_anyone_may_call_and_no_names_are_given(voices_settings: Settings):
    settings = voices_settings.model_copy(update={"allowed_hosts": ""})
    with TestClient(create_app(settings, open_to="anyone")) as client:
        assert client.get("/v1/stats", headers={"Host": "any.example"}).status_code == 200
    with TestClient(create_app(settings)) as client:
        assert_problem(client.get("/v1/stats"), 403, "forbidden")  # of the name testserver


def test_one_key_does_not_take_all_places(client: TestClient, tmp_path: Path, monkeypatch):
    """Of searches as of uploads that wait, a key gets half."""
    database = client.app.state.library.database
    greedy, other = (create(database, name=n, scope=Scope.WRITE)[0] for n in "ab")
    refresh(client)
    search = {"json": {"clip": 1}}
    queries = client.app.state.gates.queries
    monkeypatch.setattr(queries, "_of_owner", Counter({greedy[:15]: 36}))
    refused = assert_problem(client.post("/v1/search", headers=bearer(greedy), **search), 429)
    assert "one key" in refused["detail"]
    assert client.post("/v1/search", headers=bearer(other), **search).status_code == 200
    assert queries._of_owner == {greedy[:15]: 36}  # nothing of the other is left

    jobs = client.app.state.jobs
    monkeypatch.setattr(jobs.board, "of", {greedy[:15]: 100, other[:15]: 99}.get)
    sent = {"files": upload(write_wav(tmp_path / "x.wav", tone(1.0)))}
    refused = assert_problem(client.post("/v1/recordings", headers=bearer(greedy), **sent), 429)
    assert "one key" in refused["detail"]
    assert client.post("/v1/recordings", headers=bearer(other), **sent).status_code == 202


def run(capsys, *arguments: str) -> str:
    cli.app([*arguments], standalone_mode=False)
    return capsys.readouterr().out


def test_keys_on_the_command_line(capsys, tmp_path: Path):
    home = ["--home", str(tmp_path / "home")]
    token = run(capsys, "key", "create", "--name", "desk", "--scope", "write", *home).strip()
    listed = run(capsys, "key", "list", *home)
    assert "write" in listed
    assert token[:15] in listed
    assert token not in listed
    assert '"prefix": "es_' in run(capsys, "key", "list", "--json", *home)
    assert "is revoked" in run(capsys, "key", "revoke", "desk", *home)
    assert "revoked" in run(capsys, "key", "list", *home)
    with pytest.raises(InvalidInputError, match="choose read, write or admin"):
        run(capsys, "key", "create", "--name", "x", "--scope", "root", *home)


def test_serving_other_machines_needs_a_key(capsys, tmp_path: Path, monkeypatch):
    started = []
    monkeypatch.setattr(
        "emotion_search.engine.api.server.run", lambda *_, **how: started.append(how["open_to"])
    )
    home = ["--home", str(tmp_path / "home"), "--model", "acoustic"]
    with pytest.raises(InvalidInputError, match="key create"):
        run(capsys, "serve", "--host", "0.0.0.0", *home)
    with pytest.raises(InvalidInputError, match="goes without"):
        run(capsys, "serve", "--open-to-anyone", "--published-locally", *home)
    for host in ((), ("--host", "::1")):
        with pytest.raises(InvalidInputError, match="--published-locally goes with"):
            run(capsys, "serve", "--published-locally", *host, *home)
    run(capsys, "serve", "--host", "0.0.0.0", "--open-to-anyone", *home)
    run(capsys, "serve", "--host", "0.0.0.0", "--published-locally", *home)
    run(capsys, "serve", *home)
    run(capsys, "serve", "--host", "::1", *home)
    run(capsys, "key", "create", "--name", "desk", *home[:2])
    run(capsys, "serve", "--host", "0.0.0.0", *home)
    run(capsys, "key", "revoke", "desk", *home[:2])
    run(capsys, "serve", "--host", "0.0.0.0", *home)
    assert started == ["anyone", "loopback", "loopback", "loopback", "nobody", "nobody"]


def test_containers_are_confined_and_there_is_no_password_by_default():
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert set(compose["services"]) == {"db", "migrate", "api"}
    for service in compose["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["mem_limit"]
        assert service["pids_limit"]
        (password,) = (v for k, v in service["environment"].items() if "PASSWORD" in k)
        assert password.startswith("${POSTGRES_PASSWORD:?")


def test_a_container_does_not_answer_pages_that_rebind_their_name():
    compose = (ROOT / "docker-compose.yml").read_text()
    assert '"--published-locally"' in compose
    assert '"127.0.0.1:${PORT:-8000}:8000"' in compose


def test_a_taken_port_is_named(tmp_path: Path):
    from emotion_search.engine.api.server import run as serve

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidInputError, match=f"127.0.0.1:{port}"):
            serve(Settings(home=tmp_path), host="127.0.0.1", port=port, open_to="loopback")


@pytest.mark.slow
def test_a_running_server_heeds_keys_that_are_made_and_revoked(tmp_path: Path):
    import subprocess

    with served(tmp_path / "home") as server:
        key = [*server.base, "key"]
        assert httpx.get(f"{server.address}/v1/stats").status_code == 200
        made = subprocess.run(
            [*key, "create", "--name", "a"],
            env=server.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        token = made.stdout.strip()
        import time

        time.sleep(1.1)
        assert httpx.get(f"{server.address}/v1/stats").status_code == 401
        headers = bearer(token)
        assert httpx.get(f"{server.address}/v1/stats", headers=headers).status_code == 200
        assert token not in server.log.read_text()
