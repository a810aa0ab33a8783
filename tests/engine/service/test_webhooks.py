"""Webhooks: signed, tried again, to public addresses alone, by one server at a time."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from unittest.mock import Mock

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import update

from emotion_search.engine.library.library import Library
from emotion_search.engine.service import webhooks as module
from emotion_search.engine.service.webhooks import RefusedError, Webhooks, is_public, send, sign
from emotion_search.engine.settings import Settings
from emotion_search.index.database import webhooks as rows
from emotion_search.index.database.connection import Database
from emotion_search.index.database.schema import DeliveryRow
from emotion_search.index.database.webhooks import (
    TEST,
    Delivery,
    WebhookDetails,
    add_webhook,
    announce,
    claim_delivery,
    count_deliveries,
    due_webhooks,
    list_deliveries,
    note_attempt,
)
from emotion_search.index.errors import InvalidInputError, NotFoundError


class Receiver(HTTPServer):
    """Notes what arrives, and answers with the next of ``answers``; with 204 once there is none."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.arrived: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.url = f"http://127.0.0.1:{self.server_port}/hook?x=1"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers["content-length"]))
        self.server.arrived.append((headers | {"path": self.path}, body))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 204)
        self.send_header("location", self.server.url)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield made
        made.shutdown()


@pytest.fixture
def archive(sqlite_settings: Settings) -> Iterator[Library]:
    with Library.open(sqlite_settings, create=True) as opened:
        yield opened


def announced(archive: Library, event: str = "job.ended", **data: object) -> None:
    with archive.database.write() as session:
        announce(session, event, data)


def delivered(archive: Library, hooks: frozenset[str] = frozenset({"127.0.0.1"})) -> list[Delivery]:
    """What is due is sent by a server that ends then."""
    server = Webhooks(archive, hooks)
    server.deliver()
    while server._busy:
        time.sleep(0.01)
    server.stop()
    return archive.deliveries(1, limit=9, before_id=None)


def test_the_signature_is_that_of_the_standards_own_example():
    """https://github.com/standard-webhooks/standard-webhooks, libraries/python/README.md"""
    body = b'{"test": 2432232314}'
    signed = sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_an_event_arrives_signed_and_once(archive: Library, receiver: Receiver):
    made = Webhooks(archive, {"127.0.0.1"}).add(receiver.url, ["job.ended"])
    announced(archive, job=7)
    announced(archive, "alert.fired")  # which it did not ask for
    (one,) = delivered(archive)
    delivered(archive)
    ((headers, body),) = receiver.arrived
    assert json.loads(body).keys() == {"type", "timestamp", "data"}
    assert json.loads(body)["data"] == {"job": 7}
    assert (headers["path"], headers["content-type"]) == ("/hook?x=1", "application/json")
    at = int(headers["webhook-timestamp"])
    assert abs(at - time.time()) < 60
    assert headers["webhook-id"] == one.message
    assert headers["webhook-signature"] == sign(made.secret, one.message, at, body)
    assert (one.attempts, one.status, one.problem, one.due_at) == (1, 204, None, None)
    assert one.delivered_at is not None


def test_a_test_is_sent_to_a_webhook_that_is_for_other_events(archive: Library, receiver: Receiver):
    made = Webhooks(archive, {"127.0.0.1"}).add(receiver.url, ["alert.fired"])
    archive.test_webhook(made.id)
    (one,) = delivered(archive)
    assert (one.event, one.status) == (TEST, 204)
    assert json.loads(receiver.arrived[0][1])["data"] == {"webhook": made.id}
    with pytest.raises(NotFoundError, match="no webhook 9"):
        archive.test_webhook(9)


def test_deliveries_are_counted_by_what_became_of_them(archive: Library, receiver: Receiver):
    Webhooks(archive, {"127.0.0.1"}).add(receiver.url, ["job.ended"])
    for number in range(4):
        announced(archive, job=number)
    receiver.answers = [200, 500]
    delivered(archive)  # up to the one that fails
    with archive.database.write() as session:
        claimed = claim_delivery(session, 1)
        note_attempt(session, claimed[1], status=500, problem="no", again_in=None)
        found = count_deliveries(session)
    assert (found.delivered, found.failed, found.waiting) == (1, 1, 2)
    waiting = [one for one in archive.deliveries(1, limit=9, before_id=None) if one.due_at]
    assert found.oldest == min(one.created_at for one in waiting)


def certificate(file: Path) -> Path:
    """A key and a certificate of ``localhost`` that it signed itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem = serialization.Encoding.PEM
    file.write_bytes(key.private_bytes(pem, *plain) + made.public_bytes(pem))
    return file


def test_by_https_an_event_goes_to_whom_the_certificate_names_alone(
    archive: Library, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    own = certificate(tmp_path / "own.pem")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(own)
    receiver.socket = tls.wrap_socket(receiver.socket, server_side=True)
    hosts = frozenset({"localhost", "127.0.0.1"})
    url = f"https://localhost:{receiver.server_port}/hook"
    Webhooks(archive, hosts).add(url, ["job.ended"])
    monkeypatch.setattr(module, "_AGAIN_IN_S", ())
    for trusted, problem in (
        (certificate(tmp_path / "other.pem"), "certificate verify failed"),
        (own, None),
    ):
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        announced(archive)
        one = max(delivered(archive, hosts), key=lambda one: one.id)
        assert problem in one.problem if problem else one.status == 204
    assert len(receiver.arrived) == 1


def test_what_is_not_taken_is_tried_again_later_and_given_up_at_last(
    archive: Library, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    Webhooks(archive, {"127.0.0.1"}).add(receiver.url, ["job.ended"])
    receiver.answers = [500, 302, 410]  # a redirect is not followed
    monkeypatch.setattr(module, "_AGAIN_IN_S", (0.0, 3600.0))
    announced(archive)
    delivered(archive)
    (one,) = delivered(archive)
    assert (one.attempts, one.status, one.problem) == (2, 302, "it was answered with 302")
    assert 3600 <= (one.due_at - datetime.now(UTC)).total_seconds() + 60 < 1.3 * 3600
    assert len(receiver.arrived) == 2
    with archive.database.write() as session:
        session.execute(update(DeliveryRow).values(due_at=datetime.now(UTC)))
    (one,) = delivered(archive)
    assert (one.attempts, one.status, one.due_at) == (3, 410, None)
    again = archive.replay_delivery(1, one.id)
    assert (again.attempts, again.due_at is None) == (0, False)
    (one,) = delivered(archive)
    assert (one.status, one.problem) == (204, None)
    assert len({headers["webhook-id"] for headers, _ in receiver.arrived}) == 1
    with pytest.raises(NotFoundError):
        archive.replay_delivery(1, 99)


def test_a_receiver_that_does_not_answer_in_time_holds_nobody(
    archive: Library, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "_PATIENCE_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        Webhooks(archive, {"127.0.0.1"}).add(url, ["job.ended"])
        announced(archive)

        def drip() -> None:
            taken, _ = silent.accept()
            with taken:
                try:
                    while True:
                        taken.send(b"H")
                        time.sleep(0.05)
                except OSError:
                    pass

        dripping = threading.Thread(target=drip)
        dripping.start()
        (one,) = delivered(archive)
        dripping.join()
    assert one.status is None
    assert one.problem == "no answer within 0.3 s"
    assert one.due_at is not None


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "192.168.0.9", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "::1", "fe80::1%eth0", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"),
        "2002:a00:1::",
    ],
)
def test_addresses_that_are_not_public(address: str):
    assert not is_public(address)


def test_public_addresses():
    assert is_public("93.184.216.34")
    assert is_public("2606:2800:220:1:248:1893:25c8:1946")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "https://",
        "https://user:word@example.com/",
        "https://example.com/#part",
        "https://example.com/a b",
        "https://example.com:99999/",
        "https://10.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://[::1]/",
        "http://[",
        "https://example.com" + "/x" * 400,
    ],
)
def test_urls_that_are_refused(archive: Library, url: str):
    with pytest.raises(InvalidInputError):
        Webhooks(archive, {"localhost"}).add(url, ["job.ended"])


def test_this_machine_is_refused_by_its_name_unless_it_is_named(archive: Library):
    with pytest.raises(RefusedError, match="localhost is no public address"):
        Webhooks(archive, ()).add("https://localhost/", ["job.ended"])
    assert Webhooks(archive, {"localhost"}).add("https://localhost/", ["job.ended"]).id == 1


def test_a_name_is_resolved_once_and_refused_if_any_of_its_addresses_is_private(
    monkeypatch: pytest.MonkeyPatch,
):
    asked: list[str] = []
    connected: list[str] = []

    def resolve(host: str, port: int, **_: object) -> list[tuple]:
        asked.append(host)
        found = {"mixed.example": ["93.184.216.34", "10.0.0.1"]}.get(host, ["93.184.216.34"])
        return [(2, 1, 6, "", (one, port)) for one in found]

    def connect(address: tuple[str, int], **_: object) -> socket.socket:
        connected.append(address[0])
        raise ConnectionRefusedError("no")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", connect)
    now = datetime.now(UTC)
    one = Delivery(1, "msg_1", "job.ended", "{}", 1, None, None, None, now, None)

    def to(url: str) -> WebhookDetails:
        return WebhookDetails(1, url, "whsec_", ["job.ended"], now)

    with pytest.raises(RefusedError, match="EMOTION_SEARCH_WEBHOOK_HOSTS"):
        send(to("https://mixed.example/"), one, ())
    assert connected == []
    with pytest.raises(ConnectionRefusedError):
        send(to("https://public.example/"), one, ())
    assert (asked, connected) == (["mixed.example", "public.example"], ["93.184.216.34"])


def test_what_comes_of_an_attempt_is_noted(archive: Library, monkeypatch: pytest.MonkeyPatch):
    Webhooks(archive, {"127.0.0.1"}).add("http://127.0.0.1/", ["job.ended"])
    monkeypatch.setattr(module, "_AGAIN_IN_S", ())
    for number, (answer, problem) in enumerate(
        [
            (200, None),
            (299, None),
            (199, "it was answered with 199"),
            (300, "it was answered with 300"),
            (RefusedError("no public address"), "no public address"),
            (TimeoutError("no answer in time"), "no answer in time"),
            (OSError(111, "Connection refused"), "it was not sent: Connection refused"),
            (ValueError("no such host"), "it was not sent: no such host"),
        ],
        start=1,
    ):
        monkeypatch.setattr(module, "send", Mock(side_effect=[answer]))
        announced(archive, job=number)
        one = max(delivered(archive), key=lambda one: one.id)
        assert (one.id, one.problem, one.due_at) == (number, problem, None)
        assert one.status == (answer if isinstance(answer, int) else None)


def test_a_server_that_stops_ends_what_it_sends(archive: Library, monkeypatch: pytest.MonkeyPatch):
    begun, answered = threading.Event(), threading.Event()

    def slow(*_: object) -> int:
        begun.set()
        assert answered.wait(60)
        return 204

    monkeypatch.setattr(module, "send", slow)
    server = Webhooks(archive, {"127.0.0.1"})
    server.add("http://127.0.0.1/", ["job.ended"])
    announced(archive)
    announced(archive)
    server.deliver()
    assert begun.wait(60)
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    stopping.join(0.1)
    assert stopping.is_alive()
    answered.set()
    stopping.join(60)
    later, first = archive.deliveries(1, limit=9, before_id=None)
    assert (first.status, later.status, later.attempts) == (204, None, 0)  # the next server's


@pytest.mark.parametrize(("up", "tried"), [(1, 1), (3, 3), (4, 3)])
def test_of_a_hosts_addresses_three_are_tried_one_after_another(
    monkeypatch: pytest.MonkeyPatch, up: int, tried: int
):
    addresses = [f"93.184.216.{number}" for number in (1, 2, 3, 4)]
    connected: list[str] = []

    def connect(address: tuple[str, int], **_: object) -> str:
        connected.append(address[0])
        if address != (addresses[up - 1], 443):
            raise ConnectionRefusedError(address[0])
        return "connection"

    found = [(2, 1, 6, "", (one, 443)) for one in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr(socket, "create_connection", connect)
    if up <= 3:
        assert module._connected("a.example", 443, ()) == "connection"
    else:
        with pytest.raises(ConnectionRefusedError, match=addresses[2]):
            module._connected("a.example", 443, ())
    assert connected == addresses[:tried]


def test_a_delivery_is_in_hand_of_one_server_until_its_lease_ends(database: Database):
    with database.write() as session:
        hook = add_webhook(session, "https://a.example", "whsec_", ["job.ended"]).id
        announce(session, "job.ended", {})

    def claim(_: int = 0) -> Delivery | None:
        with database.write() as session:
            claimed = claim_delivery(session, hook)
        return claimed and claimed[1]

    with ThreadPoolExecutor(4) as servers:
        (first,) = filter(None, servers.map(claim, range(4)))
    with database.write() as session:  # that server was killed, two minutes ago
        late = datetime.now(UTC) - timedelta(seconds=1)
        session.execute(update(DeliveryRow).values(due_at=late))
    second = claim()
    assert (first.id, second.id, second.attempts) == (1, 1, 2)
    with database.write() as session:
        note_attempt(session, first, status=200, problem=None, again_in=None)  # it lives after all
        (still,) = list_deliveries(session, hook, limit=9, before_id=None)
        assert (still.status, still.due_at) == (None, second.due_at)
        note_attempt(session, second, status=200, problem=None, again_in=None)
    assert claim() is None


@pytest.mark.parametrize(("again_in", "waits_h", "due_h"), [(None, 1 / 60, 1), (36_000.0, 1, 48)])
def test_a_clock_that_goes_back_keeps_no_delivery(
    database: Database, monkeypatch, again_in, waits_h, due_h
):
    def clock_went_back(hours: float) -> None:
        then = datetime(2026, 5, 1, tzinfo=UTC) - timedelta(hours=hours)
        monkeypatch.setattr(rows, "now_of", lambda _: then)

    clock_went_back(0)
    with database.write() as session:
        hook = add_webhook(session, "https://a.example", "whsec_", ["job.ended"]).id
        announce(session, "job.ended", {})
        _, claimed = claim_delivery(session, hook)
        if again_in is not None:
            note_attempt(session, claimed, status=500, problem="no", again_in=again_in)
    for hours, due in ((waits_h, []), (due_h, [hook])):
        clock_went_back(hours)
        with database.read() as session:
            assert due_webhooks(session) == due
    with database.write() as session:
        assert claim_delivery(session, hook)[1].attempts == 2
        assert due_webhooks(session) == []


def test_of_two_webhooks_the_one_that_is_named_is_deleted(sqlite: Database):
    with sqlite.write() as session:
        one, two = (add_webhook(session, f"https://{x}.example", "whsec_", []) for x in "ab")
        rows.delete_webhook(session, one.id)
        assert rows.list_webhooks(session) == [two]
        with pytest.raises(NotFoundError):
            rows.delete_webhook(session, one.id)
