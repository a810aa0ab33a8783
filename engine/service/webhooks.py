"""Webhooks of a server: events sent to addresses of others, signed, until they are taken.

Signed as https://www.standardwebhooks.com has it: HMAC-SHA256, by the secret, of the message's id,
the time of the attempt and the body. Sent to the address that was checked, whatever the name means
a moment later; no redirect is followed, and nothing of the answer is read but its status.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import ipaddress
import logging
import re
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from urllib.parse import urlsplit

from emotion_search.engine.library.library import Library
from emotion_search.index.database.webhooks import (
    MOST_WEBHOOKS,
    URL,
    Delivery,
    WebhookDetails,
    add_webhook,
    claim_delivery,
    due_webhooks,
    note_attempt,
    remove_old_deliveries,
)
from emotion_search.index.errors import ConflictError, EmotionSearchError, InvalidInputError

log = logging.getLogger(__name__)

DELIVER_S = 1.0
"""Seconds between looks for what is due."""
KEPT = timedelta(days=7)
"""How long deliveries are kept, to be read and replayed."""
_PATIENCE_S = 15.0  # with a connection, and then with an answer
_MOST_ADDRESSES = 3  # of a host, that are tried
_AGAIN_IN_S = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0)  # after each attempt that failed


class RefusedError(ConflictError):
    """An address to which no webhook may go, by the server's settings."""


class Webhooks:
    """The webhooks of an archive. Safe for use from several threads.

    Args:
        hosts: names and addresses to which webhooks may go though they are private, and by http.
    """

    def __init__(self, library: Library, hosts: Collection[str]) -> None:
        self._database = library.database
        self._hosts = frozenset(hosts)
        self._threads = ThreadPoolExecutor(MOST_WEBHOOKS, thread_name_prefix="webhook")
        self._busy: set[int] = set()
        self._stop = threading.Event()

    def add(self, url: str, events: Sequence[str]) -> WebhookDetails:
        """A new webhook, with the secret that its receiver checks signatures by.

        Raises:
            InvalidInputError: it is no URL.
            ConflictError: webhooks may not go there, or one does already.
        """
        host = _parts(url, self._hosts)[0]
        with suppress(OSError):  # a name, which is checked whenever it is resolved
            address = "127.0.0.1" if host == "localhost" else host
            public = is_public(socket.inet_ntoa(socket.inet_aton(address)))
            if host not in self._hosts and not public:
                raise RefusedError(_PRIVATE.format(host))
        secret = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
        with self._database.write() as session:
            return add_webhook(session, url, secret, events)

    def deliver(self) -> None:
        """Begin to send what is due; a webhook that is slow keeps no other waiting."""
        with self._database.read() as session:
            due = set(due_webhooks(session))
        for one in due - self._busy:
            self._busy.add(one)
            self._threads.submit(self._send_all, one)

    def tidy(self) -> None:
        """Forget deliveries that are old."""
        with self._database.write() as session:
            remove_old_deliveries(session, KEPT)

    def stop(self) -> None:
        """End, once what is being sent is; the rest is sent by the next server."""
        self._stop.set()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _send_all(self, webhook_id: int) -> None:
        """Send what is due to a webhook, until one fails."""
        try:
            while not self._stop.is_set() and self._send_next(webhook_id):
                pass
        except EmotionSearchError as error:  # of the database; what was claimed is due again later
            log.warning("webhook %d: %s", webhook_id, error)
        finally:
            self._busy.discard(webhook_id)

    def _send_next(self, webhook_id: int) -> bool:
        with self._database.write() as session:
            claimed = claim_delivery(session, webhook_id)
        if claimed is None:
            return False
        webhook, one = claimed
        status, problem = None, None
        try:
            status = send(webhook, one, self._hosts)
            if not 200 <= status < 300:
                problem = f"it was answered with {status}"
        except InvalidInputError as error:
            problem = str(error)
        except TimeoutError as error:
            problem = str(error)
        except (OSError, http.client.HTTPException, ValueError) as error:
            problem = f"it was not sent: {getattr(error, 'strerror', None) or error or type(error)}"
        again = None
        if problem and one.attempts <= len(_AGAIN_IN_S):
            again = _AGAIN_IN_S[one.attempts - 1] * secrets.SystemRandom().uniform(1.0, 1.2)
        with self._database.write() as session:
            note_attempt(session, one, status=status, problem=problem, again_in=again)
        return problem is None


def send(webhook: WebhookDetails, one: Delivery, hosts: Collection[str]) -> int:
    """The HTTP status that a delivery is answered with.

    Raises:
        RefusedError, InvalidInputError: webhooks may not go there.
        OSError, http.client.HTTPException: there is no answer, or none in time.
    """
    host, port, secure, path = _parts(webhook.url, hosts)
    body, now = one.body.encode(), int(time.time())
    headers = {
        "content-type": "application/json",
        "user-agent": "emotion-search",
        "webhook-id": one.message,
        "webhook-timestamp": str(now),
        "webhook-signature": sign(webhook.secret, one.message, now, body),
    }
    connection = http.client.HTTPConnection(host, port, timeout=_PATIENCE_S)
    connection.sock = _connected(host, port, hosts)
    # Each wait has its limit, and all of them together one, or bytes that drip would hold us.
    late = threading.Event()
    ending = threading.Timer(_PATIENCE_S, _cut, [connection, late])
    ending.start()
    try:
        if secure:
            connection.sock = tls = ssl.create_default_context().wrap_socket(
                connection.sock, server_hostname=host, do_handshake_on_connect=False
            )
            tls.do_handshake()
        connection.request("POST", path, body, headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        if late.is_set():
            raise TimeoutError(f"no answer within {_PATIENCE_S:g} s") from error
        raise
    finally:
        ending.cancel()
        connection.close()


def _cut(connection: http.client.HTTPConnection, late: threading.Event) -> None:
    late.set()
    with suppress(OSError):
        socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)


def sign(secret: str, message: str, timestamp: int, body: bytes) -> str:
    """The header ``webhook-signature`` of a message at a time in Unix seconds."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{message}.{timestamp}.".encode() + body
    digest = hmac.new(key, content, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet: not private, of this machine, of a link, or
    one that only wraps another."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        wraps = ip.ipv4_mapped or ip.sixtofour or ip.teredo or ip in _NAT64
        return ip.is_global and not ip.is_multicast and not wraps
    return ip.is_global and not ip.is_multicast


_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SETTING = "the server's setting EMOTION_SEARCH_WEBHOOK_HOSTS"
_PRIVATE = f"{{}} is no public address: no webhook goes there unless {_SETTING} names it"


def _connected(host: str, port: int, hosts: Collection[str]) -> socket.socket:
    """A connection to an address that the host has now.

    Raises:
        RefusedError: it has one that is not public, and is none of ``hosts``.
        OSError: it has none, or none that answers.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(one[4][0]) for one in found]
    if host not in hosts and not all(map(is_public, addresses)):
        raise RefusedError(_PRIVATE.format(host))
    *others, last = addresses[:_MOST_ADDRESSES]
    for one in others:
        with suppress(OSError):
            return socket.create_connection((one, port), timeout=_PATIENCE_S)
    return socket.create_connection((last, port), timeout=_PATIENCE_S)


def _parts(url: str, hosts: Collection[str]) -> tuple[str, int, bool, str]:
    """Host, port, whether by TLS, and the path with its query.

    Raises:
        InvalidInputError: it is no URL.
        RefusedError: it is none that webhooks may go to.
    """
    if not re.fullmatch(URL, url):
        raise InvalidInputError(f"{url} is no URL such as https://example.com/hook")
    parts = urlsplit(url)
    host, secure = str(parts.hostname), parts.scheme == "https"
    if not secure and host not in hosts:
        raise RefusedError(f"webhooks go by https:// unless {_SETTING} names {host}")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return host, parts.port or (443 if secure else 80), secure, path
