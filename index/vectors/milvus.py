"""Milvus through pymilvus, as an engine that names candidates.

Vectors lie under clip ids in collections of two fields, ``id`` and ``vector``; how far a collection
is stands in its properties. Consistency is Strong: an answer has seen all that was sent before.
Since that waits for a tick of the engine's clock, 0.2 s, searches of what was sent a while ago are
Bounded.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import numpy as np

from emotion_search.index.errors import EngineError, InvalidInputError, UnusableError
from emotion_search.index.vectors.arrays import Cosines, Ids, Vectors
from emotion_search.index.vectors.external import MOST, Marks
from emotion_search.index.vectors.kinds import without_secret

_SEARCH_S, _WORK_S = 5.0, 60.0  # until a call is given up
_CHANNEL = {  # a server that was away is tried again soon; pings, which some take amiss, are rare
    "grpc.max_reconnect_backoff_ms": 1000,
    "grpc.keepalive_time_ms": 300_000,
}
_SENT = 1000  # vectors, or ids, of one call: 4 MB of 1024 dimensions
_REVISION, _ERASED = "emotion_search.revision", "emotion_search.erased"
_STRONG = "Strong"
SETTLED_S = 10.0
"""After this long a Bounded answer has seen what was sent: ``common.gracefulTime``, 5 s, twice."""
_LISTS = {"nlist": 1024}  # of the kinds that begin with IVF
_CODES = _LISTS | {"refine": True, "refine_type": "SQ8"}  # of IVF_RABITQ
_LOOK = {"nprobe": 128, "refine_k": 4}


class Milvus:
    """A Milvus server, of version 2.6 or later: collections of vectors under int64 ids. It is
    called when it is first needed. Any method may raise EngineError, and none waits for ever.

    Args:
        url: ``milvus+https://TOKEN@HOST:19530/DATABASE?nprobe=128``, or ``USER:PASSWORD@``; the
            parameters, if any, are those of its searches, and ``index``, the kind of index of a
            collection that is made.

    Attributes:
        address: where it is, without secrets.

    Raises:
        InvalidInputError: pymilvus is not installed, or the URL is none.
    """

    def __init__(self, url: str) -> None:
        try:
            import pymilvus
            from grpc import RpcError
        except ModuleNotFoundError as error:
            raise UnusableError(
                "the engine needs its client: pip install 'emotion-search[milvus]'"
            ) from error
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # what fails is raised as well
        self._pymilvus, self._errors = pymilvus, (pymilvus.MilvusException, RpcError)
        self.address = without_secret(url)
        try:
            parts = urlsplit(url.removeprefix("milvus+"))
            if not parts.hostname:
                raise ValueError("no host")
            self._where = f"{parts.scheme}://{parts.hostname}:{parts.port or 19530}"
            asked = dict(parse_qsl(parts.query))
            self._kind = asked.pop("index", "").upper()
            self._look = _LOOK | {key: int(value) for key, value in asked.items()}
        except ValueError as error:
            raise InvalidInputError(
                f"{self.address} names no engine; use milvus+https://TOKEN@HOST:19530"
            ) from error
        self._database = parts.path.strip("/")
        self._token = unquote(parts.netloc.rpartition("@")[0])
        self._client: Any = None

    def marks(self, name: str) -> Marks | None:
        """How far a collection is, which is then ready to be searched; None if there is none, or
        one without an index, whose making failed or was killed."""
        with self._calls() as client:
            if not client.has_collection(name, timeout=_SEARCH_S):
                return None
            if not client.list_indexes(name, timeout=_SEARCH_S):
                return None
            client.load_collection(name, timeout=_WORK_S)
        return self.marks_noted(name)

    def marks_noted(self, name: str) -> Marks:
        """How far a collection is, which is there."""
        with self._calls() as client:
            noted = client.describe_collection(name, timeout=_SEARCH_S).get("properties", {})
            return Marks(int(noted.get(_REVISION, 0)), int(noted.get(_ERASED, 0)))

    def create(self, name: str, dimension: int) -> None:
        """Make an empty collection in place of what there is of this name."""
        kinds = self._pymilvus.DataType
        with self._calls() as client:
            client.drop_collection(name, timeout=_WORK_S)
            schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
            schema.add_field("id", kinds.INT64, is_primary=True)
            schema.add_field("vector", kinds.FLOAT_VECTOR, dim=dimension)
            index = client.prepare_index_params()
            version = client.get_server_version(timeout=_SEARCH_S)
            lite = version.startswith("milvus_lite")  # it has few kinds
            kind = self._kind or ("AUTOINDEX" if lite else "IVF_RABITQ")
            params = _CODES if kind == "IVF_RABITQ" else _LISTS if kind.startswith("IVF") else {}
            index.add_index("vector", index_type=kind, metric_type="IP", params=params)
            client.create_collection(
                name, schema=schema, index_params=index, consistency_level=_STRONG, timeout=_WORK_S
            )

    def mark(self, name: str, marks: Marks) -> None:
        """Note how far a collection is."""
        noted = {_REVISION: str(marks.revision), _ERASED: str(marks.erased)}
        with self._calls() as client:
            client.alter_collection_properties(name, noted, timeout=_WORK_S)

    def search(
        self, name: str, query: Vectors, limit: int, *, settled: bool = False
    ) -> tuple[Ids, Cosines]:
        """See ``external.Ask``. ``settled``: nothing that was sent within the last ``SETTLED_S`` is
        needed."""
        with self._calls() as client:
            (found,) = client.search(
                name,
                data=[query],
                limit=limit,
                search_params={"metric_type": "IP", "params": self._look},
                output_fields=["id"],
                consistency_level="Bounded" if settled else _STRONG,
                timeout=_SEARCH_S,
            )
            ids = np.array([hit["id"] for hit in found], np.int64)
            return ids, np.array([hit["distance"] for hit in found], np.float64)

    def upsert(self, name: str, ids: Ids, vectors: Vectors) -> None:
        """Put vectors, float32 (n, dim), under these ids."""
        rows = [
            {"id": one, "vector": vector} for one, vector in zip(ids.tolist(), vectors, strict=True)
        ]
        with self._calls() as client:
            for begin in range(0, len(rows), _SENT):
                client.upsert(name, rows[begin : begin + _SENT], timeout=_WORK_S)

    def delete(self, name: str, ids: Ids) -> None:
        """Remove ids, and let go of the space that they take."""
        with self._calls() as client:
            for begin in range(0, len(ids), _SENT):
                client.delete(name, ids=ids[begin : begin + _SENT].tolist(), timeout=_WORK_S)
            client.flush(name, timeout=_WORK_S)
            client.compact(name, timeout=_WORK_S)

    def settle(self, name: str) -> None:
        """Let it index what it was sent; until then it looks through less of that."""
        with self._calls() as client:
            client.flush(name, timeout=_WORK_S)

    def vectors(self, name: str, ids: Ids) -> tuple[Ids, Vectors]:
        """Those of the ids that are there, and their vectors."""
        found: list[Any] = []
        for begin in range(0, len(ids), _SENT):
            among = ",".join(map(str, ids[begin : begin + _SENT].tolist()))
            found += self._query(name, f"id in [{among}]", ["id", "vector"])
        vectors = np.array([row["vector"] for row in found], np.float32)
        return np.array([row["id"] for row in found], np.int64), vectors

    def between(self, name: str, low: int, high: int) -> Ids:
        """Ids from ``low`` up to below ``high``; ``MOST`` where there are as many or more."""
        found = self._query(name, f"id >= {low} and id < {high}", ["id"])
        return np.array([row["id"] for row in found], np.int64)

    def serving(self, alias: str) -> str | None:
        """The collection that an alias names; None if there is none."""
        with self._calls() as client:
            for name in self._collections(client, alias):
                if alias in client.list_aliases(name, timeout=_SEARCH_S)["aliases"]:
                    return name
            return None

    def serve(self, name: str, alias: str, kept: Collection[str]) -> None:
        """Let an alias name this collection; drop those that are not kept and whose names begin
        with it."""
        last = self.serving(alias)
        with self._calls() as client:
            if last is None:
                client.create_alias(name, alias, timeout=_WORK_S)
            elif last != name:
                client.alter_alias(name, alias, timeout=_WORK_S)
            for one in self._collections(client, alias):
                if one not in kept:
                    client.drop_collection(one, timeout=_WORK_S)

    def drop(self, alias: str) -> None:
        """Drop the alias and all collections whose names begin with it."""
        served = self.serving(alias) is not None
        with self._calls() as client:
            if served:
                client.drop_alias(alias, timeout=_WORK_S)
            for one in self._collections(client, alias):
                client.drop_collection(one, timeout=_WORK_S)

    def _collections(self, client: Any, alias: str) -> list[str]:
        """Those whose names begin with an alias."""
        names = client.list_collections(timeout=_SEARCH_S)
        return [one for one in names if one.startswith(f"{alias}_")]

    def _query(self, name: str, condition: str, fields: list[str]) -> list[Any]:
        with self._calls() as client:
            rows: list[Any] = client.query(
                name,
                filter=condition,
                output_fields=fields,
                limit=MOST,
                consistency_level=_STRONG,
                timeout=_WORK_S,
            )
            return rows

    @contextmanager
    def _calls(self) -> Iterator[Any]:
        """The client; what it raises is an EngineError, without a trace of the token."""
        try:
            if self._client is None:
                self._client = self._pymilvus.MilvusClient(
                    self._where,
                    token=self._token,
                    db_name=self._database,
                    timeout=_SEARCH_S,
                    grpc_options=_CHANNEL,
                )
            yield self._client
        except self._errors as error:
            what = getattr(error, "message", None) or getattr(error, "details", str)() or error
            line = str(what).strip().partition("\n")[0][:200]
            if self._token:
                line = line.replace(self._token, "***")
            raise EngineError(f"the engine at {self.address} fails: {line}") from error
        except (LookupError, TypeError, ValueError) as error:
            raise EngineError(f"the engine at {self.address} answers nonsense") from error
