"""Object storage (``s3://``, ``gs://``, ``az://``): listing, reading and removing objects.

An object is known by its address, its size, and one number of time and ETag: nanoseconds, of which
the seconds are those of its last change, and the rest is a hash of its ETag. A listing gives all of
that. Servers, regions and credentials are what obstore finds (AWS_…, GOOGLE_…, AZURE_… in the
environment, the machine's own role), or boto3 where that is installed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from emotion_search.engine.files.disk import space_needed
from emotion_search.index.database.addresses import is_object
from emotion_search.index.database.files import FileFacts, gone
from emotion_search.index.errors import AudioError, InvalidInputError, UnusableError

_PIECE = 1 << 20  # bytes that are read at once, at least
_RETRIES = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}
_CLIENT = {"allow_http": True, "timeout": "1h", "read_timeout": "30s", "connect_timeout": "5s"}
_AT_ONCE = 16  # objects that are asked for at the same time
_PUT_AT_ONCE = 4  # parts of an object on their way, of 5 MiB each
_DENIED = re.compile(r"code: 40[13]|AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch")
_NO_BUCKET = re.compile(r"NoSuchBucket|ContainerNotFound|bucket does not exist")
# The first two are asked of the machine
_NO_CREDENTIALS = re.compile(r"169\.254\.|session\.get_credentials|Account must be specified")


@dataclass(frozen=True)
class Fetched:
    """A copy of an object, on disk or in memory: where, what it was, and the sha256 of it."""

    path: Path
    facts: FileFacts
    sha256: str


def object_facts(url: str) -> FileFacts:
    """An object as it is now.

    Raises:
        OSError: it is not there, or may not be looked at.
        InvalidInputError: this is no address, or obstore is not installed.
    """
    store, key = _place(url)
    with _plain_errors(url):
        return _facts(url, store.head(key))


def listed(url: str, *, may_be_empty: bool = False) -> Iterator[FileFacts]:
    """The object of this address, or all those below it, in the order of the listing.

    Raises:
        OSError, InvalidInputError: as ``object_facts``; neither is there, and that may not be.
    """
    store, key = _place(url)
    if key and not url.endswith("/"):
        with suppress(FileNotFoundError):
            yield object_facts(url)
            return
    root, empty = url.removesuffix(key).rstrip("/"), True
    with _plain_errors(url):
        for some in store.list(key.rstrip("/") or None):
            for meta in some:
                empty = False
                yield _facts(f"{root}/{meta['path']}", meta)
    if empty and not may_be_empty:
        raise FileNotFoundError(errno.ENOENT, "no such object, and none below it", url)


@contextmanager
def fetched(url: str, expected: FileFacts | None = None) -> Iterator[Fetched]:
    """A copy of an object for as long as the block lasts, hashed while it is read.

    Raises:
        OSError: it cannot be read.
        AudioError: it is not what it was when it was ``expected``.
        StorageFullError: no space is left for the copy.
    """
    store, key = _place(url)
    with scratch(url) as (copy, path):
        digest = hashlib.sha256()
        with _plain_errors(url):
            answer = store.get(key)
            facts = _facts(url, answer.meta)
            if expected is not None and facts != expected:
                raise AudioError("changed since it was listed; ingest it again")
            with space_needed(Path(tempfile.gettempdir())):
                for piece in answer.stream(min_chunk_size=_PIECE):
                    digest.update(piece)
                    copy.write(piece)
                copy.flush()
        yield Fetched(path, facts, digest.hexdigest())


def range_of_object(url: str, first: int, last: int) -> tuple[FileFacts, bytes]:
    """An object as it is now, and its bytes from ``first`` up to ``last``, or its end.

    Raises:
        OSError: it cannot be read.
    """
    store, key = _place(url)
    with _plain_errors(url):
        answer = store.get(key, options={"range": (first, last)})
        return _facts(url, answer.meta), bytes(answer.bytes())


@contextmanager
def opened(path: str, expected: FileFacts | None = None) -> Iterator[tuple[Path, str | None]]:
    """A file to decode: the file itself, or a copy of an object and its sha256; see ``fetched``."""
    if not is_object(path):
        yield Path(path), None
        return
    with fetched(path, expected) as copy:
        yield copy.path, copy.sha256


def hash_of_object(url: str) -> str:
    """The sha256 of an object's bytes; nothing is kept of them.

    Raises:
        OSError: it cannot be read.
    """
    store, key = _place(url)
    digest = hashlib.sha256()
    with _plain_errors(url):
        for piece in store.get(key).stream(min_chunk_size=_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def put_object(url: str, content: Path | Iterator[bytes]) -> bool:
    """Store an object, which is there once it is whole; whether its bucket keeps versions.

    Raises:
        OSError: it cannot be.
    """
    store, key = _place(url)
    with _plain_errors(url):
        stored = store.put(key, content, max_concurrency=_PUT_AT_ONCE)
    return _has_versions(url, stored["version"])


def copy_object(url: str, target: str) -> None:
    """Have the server of a bucket copy an object within it.

    Raises:
        OSError: it cannot.
    """
    store, key = _place(url)
    with _plain_errors(url):
        store.copy(key, _place(target)[1])


def require_bucket(url: str) -> None:
    """Check, without patience, that a bucket can be listed.

    Raises:
        OSError, InvalidInputError: as ``object_facts``.
    """
    store, key = _place(url, patient=False)
    with _plain_errors(url):
        next(iter(store.list(key.rstrip("/") or None, chunk_size=1)), None)


def drop_object(url: str) -> None:
    """Delete an object, which its bucket may keep as an earlier version; it may be gone already.

    Raises:
        OSError: it cannot be.
    """
    store, key = _place(url)
    with suppress(FileNotFoundError), _plain_errors(url):
        store.delete(key)


def remove_object(url: str) -> None:
    """Delete an object for good.

    Raises:
        OSError: it cannot be, or its bucket would keep it as an earlier version, or (Google) does.
    """
    store, key = _place(url)
    with _plain_errors(url):
        version = store.head(key).get("version")
        if _has_versions(url, version):
            raise OSError(errno.EPERM, "its bucket keeps versions; remove all of them yourself")
        store.delete(key)
        if url.startswith("gs://"):
            with suppress(FileNotFoundError):
                store.get(key, options={"version": version, "head": True})
                raise OSError(errno.EPERM, "deleted, but its bucket keeps it as an earlier version")


def is_gone(path: str) -> bool:
    """Whether nothing is at a path, or address, any more; see ``files.gone``. Where there is no
    such bucket, it may be the wrong server that is asked."""
    if not is_object(path):
        return gone(path)
    with suppress(OSError):
        try:
            object_facts(path)
        except FileNotFoundError:
            store, key = _place(path)
            with _plain_errors(path):
                next(iter(store.list(key)), None)
            return True
    return False


def gone_among(paths: Iterable[str]) -> list[str]:
    """Those of the paths at which nothing is any more; objects are asked for some at a time."""
    paths = list(paths)
    if not any(map(is_object, paths)):
        return [path for path in paths if gone(path)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [path for path, is_it in zip(paths, pool.map(is_gone, paths), strict=True) if is_it]


def _has_versions(url: str, version: str | None) -> bool:
    """Whether a bucket keeps versions, by what it gave one; Google gives any object a number."""
    return version not in (None, "null") and not url.startswith("gs://")


def _facts(url: str, meta: Any) -> FileFacts:
    quoted = '"{}"'.format(str(meta["e_tag"]).strip('"'))  # Azure's listings leave them out
    tag = hashlib.sha256(quoted.encode()).digest()
    seconds = int(meta["last_modified"].timestamp())
    mark = int.from_bytes(tag[:8], "little") % 1_000_000_000
    return FileFacts(url, meta["size"], seconds * 1_000_000_000 + mark)


def _place(url: str, *, patient: bool = True) -> tuple[Any, str]:
    """The client of a bucket, and the key of an object in it; one that is not ``patient`` gives up
    at once."""
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    if "@" in bucket:
        raise InvalidInputError(
            f"{scheme}:// addresses hold no credentials; see docs/storage.md for where they belong"
        )
    if not bucket:
        raise InvalidInputError(f"{url} names no bucket")
    with _plain_errors(url):
        return _client(scheme, bucket, patient), key


@lru_cache(32)
def _client(scheme: str, bucket: str, patient: bool) -> Any:
    """A client with its connections."""
    try:
        from obstore.store import AzureStore, GCSStore, S3Store
    except ImportError as error:
        raise UnusableError(
            f"{scheme}:// needs obstore: pip install 'emotion-search[storage]'"
        ) from error
    options: Any = {"client_options": _CLIENT, "retry_config": _RETRIES}
    if not patient:
        options = {
            "client_options": _CLIENT | {"timeout": "5s"},
            "retry_config": {"max_retries": 0},
        }
    if scheme == "gs":
        return GCSStore(bucket, **options)
    if scheme == "az":
        return AzureStore(bucket, **options)
    if "AWS_ACCESS_KEY_ID" not in os.environ:
        with suppress(ImportError):  # which knows profiles and single sign-on
            from obstore.auth.boto3 import Boto3CredentialProvider

            options["credential_provider"] = Boto3CredentialProvider()
    return S3Store(bucket, **options)


@contextmanager
def scratch(url: str) -> Iterator[tuple[Any, Path]]:
    """A file for a copy of an object, and a path by which other processes of this user may read it.
    On Linux it has no name in any folder, so that nothing is left of it even after a kill."""
    if sys.platform == "linux":
        with tempfile.TemporaryFile() as file:
            yield file, Path(f"/proc/{os.getpid()}/fd/{file.fileno()}")
    else:
        with tempfile.NamedTemporaryFile(suffix=Path(url).suffix) as file:
            yield file, Path(file.name)


@contextmanager
def _plain_errors(url: str) -> Iterator[None]:
    """Within, what goes wrong is an error of the system with a short reason: no address of a
    request, which may hold a signature."""
    try:
        yield
    except FileNotFoundError as error:  # obstore's
        missing = "no such bucket" if _NO_BUCKET.search(str(error)) else "no such object"
        raise FileNotFoundError(errno.ENOENT, missing, url) from None
    except (OSError, AudioError, InvalidInputError):
        raise
    except Exception as error:
        if not (
            isinstance(error, ValueError)
            or type(error).__module__.startswith(("obstore", "botocore"))
        ):
            raise
        number, why = _reason(str(error))
        raise OSError(number, why, url) from None  # Python makes it a PermissionError, say


def _reason(text: str) -> tuple[int, str]:
    if _NO_BUCKET.search(text):
        return errno.ENOENT, "no such bucket"
    if _NO_CREDENTIALS.search(text):
        return errno.EACCES, "no credentials are found; see docs/storage.md"
    if _DENIED.search(text):
        return errno.EACCES, "access is denied; check the credentials"
    if "error sending request" in text:
        return errno.EHOSTUNREACH, "its server cannot be reached"
    return errno.EIO, re.sub(r"\?\S+|https?://\S+", "", text.splitlines()[0])[:200]
