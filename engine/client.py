"""A typed Python client of the HTTP service."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import numpy as np
from numpy.typing import NDArray

from engine.client_values import (
    Clip,
    Count,
    Failure,
    Hit,
    Job,
    Model,
    Recording,
    Stats,
    made,
)

T = TypeVar("T")

OPERATIONS = {
    "search": ("post", "/v1/search"),
    "search_batch": ("post", "/v1/search/batch"),
    "upload": ("post", "/v1/recordings"),
    "recordings": ("get", "/v1/recordings"),
    "recording": ("get", "/v1/recordings/{recording}"),
    "clips_of": ("get", "/v1/recordings/{recording}/clips"),
    "recording_audio": ("get", "/v1/recordings/{recording}/audio"),
    "erase": ("delete", "/v1/recordings/{recording}"),
    "jobs": ("get", "/v1/jobs"),
    "job": ("get", "/v1/jobs/{job}"),
    "follow": ("get", "/v1/jobs/{job}/events"),
    "clips": ("get", "/v1/clips"),
    "clip": ("get", "/v1/clips/{clip}"),
    "clip_audio": ("get", "/v1/clips/{clip}/audio"),
    "embedding": ("get", "/v1/clips/{clip}/embedding"),
    "label": ("put", "/v1/clips/{clip}/labels/{task}"),
    "unlabel": ("delete", "/v1/clips/{clip}/labels/{task}"),
    "tasks": ("get", "/v1/tasks"),
    "labels": ("get", "/v1/labels"),
    "stats": ("get", "/v1/stats"),
    "models": ("get", "/v1/models"),
    "failures": ("get", "/v1/failures"),
    "trend": ("get", "/v1/recordings/{recording}/trend"),
    "trends": ("get", "/v1/trends"),
    "map": ("get", "/v1/map"),
    "clusterings": ("get", "/v1/clusterings"),
    "clustering": ("get", "/v1/clusterings/{name}"),
    "classifiers": ("get", "/v1/classifiers"),
}
"""Methods of ``Client``, and the operation of the OpenAPI document that each calls."""


class ProblemError(Exception):
    """The service answered with a problem.

    Attributes:
        kind: the stable end of its type, such as ``not-found``.
        status: of HTTP.
        detail: the thing and the cure, for people.
        request_id: by which the server's log has it.
    """

    def __init__(self, kind: str, status: int, detail: str, request_id: str | None) -> None:
        super().__init__(f"{detail} ({kind}, {status})")
        self.kind = kind
        self.status = status
        self.detail = detail
        self.request_id = request_id


Example = int | Path | Mapping[str, Any]
"""A clip's id, an audio file, or what the service takes: ``{"recording": 7, "start": 1.5}``,
``{"vector": […]}``."""


class Client:
    """The service at an address.

    >>> with Client("http://127.0.0.1:8000") as client:  # doctest: +SKIP
    ...     for hit in client.search(Path("angry.wav"), limit=5, source=["support-2026"]):
    ...         print(hit.similarity, hit.file, hit.start)

    Errors are ``ProblemError``; what keeps the service from being reached is httpx's own.

    Args:
        address: of the service.
        key: one that ``emotion-search key create`` made, if the service wants one.
        timeout: seconds to wait for each part of an answer.
        http: used in place of a new httpx client.
    """

    def __init__(
        self,
        address: str = "http://127.0.0.1:8000",
        *,
        key: str | None = None,
        timeout: float = 60.0,
        http: httpx.Client | None = None,
    ) -> None:
        self._http = http or httpx.Client(base_url=address, timeout=timeout)
        self._headers = {"authorization": f"Bearer {key}"} if key else {}

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def search(
        self,
        positive: Example | Sequence[Example],
        negative: Example | Sequence[Example] = (),
        **options: Any,
    ) -> list[Hit]:
        """Clips that sound like the positive examples and unlike the negative ones, best first.

        Args:
            options: ``limit``, ``per_recording``, ``exact``, ``exclude_same``, and filters such
                as ``source=["support"]``, as the service has them.
        """
        query, files = _query(positive, negative, options)
        if files:
            form = {"query": json.dumps(query)}
            answer = self._call("search", data=form, files=files)
        else:
            answer = self._call("search", json=query)
        return [made(Hit, hit) for hit in answer.json()["hits"]]

    def search_batch(self, queries: Sequence[Mapping[str, Any]]) -> list[list[Hit] | ProblemError]:
        """The hits of each query, as ``/v1/search`` takes it as JSON, or the problem with it."""
        answer = self._call("search_batch", json={"queries": list(queries)})
        return [
            _problem(one["problem"], None)
            if one["problem"]
            else [made(Hit, hit) for hit in one["answer"]["hits"]]
            for one in answer.json()["results"]
        ]

    def upload(
        self,
        file: Path,
        *,
        name: str | None = None,
        idempotency_key: str | None = None,
        **said: Any,
    ) -> Job:
        """Send an audio file; the job that takes it in, as it stands at once.

        Args:
            said: ``source``, ``label``, ``speaker``, ``recorded_at`` (a datetime or ISO 8601),
                ``metadata`` (a mapping).
        """
        form = {key: _text(value) for key, value in said.items() if value is not None}
        if "metadata" in said:
            form["metadata"] = [f"{key}={value}" for key, value in dict(said["metadata"]).items()]
        headers = {"idempotency-key": idempotency_key} if idempotency_key else {}
        with file.open("rb") as content:
            files = {"file": (name or file.name, content)}
            answer = self._call("upload", data=form, files=files, headers=headers)
        return made(Job, answer.json())

    def wait_for(self, job: Job | int, *, timeout: float = 600.0) -> Job:
        """The job once it is done.

        Raises:
            ProblemError: it failed.
            TimeoutError: it is not finished in time.
        """
        number = job if isinstance(job, int) else job.job
        until = time.monotonic() + timeout
        pause = 0.05
        while not (now := self.job(number)).finished:
            if time.monotonic() > until:
                raise TimeoutError(f"job {number} is still {now.status} after {timeout:g} s")
            time.sleep(pause)
            pause = min(1.0, pause * 1.5)
        if now.problem:
            raise _problem(now.problem, None)
        return now

    def follow(self, job: Job | int) -> Iterator[Job]:
        """The job each time that it changes, until it is finished or the server ends."""
        number = job if isinstance(job, int) else job.job
        path = f"/v1/jobs/{number}/events"
        with self._http.stream("GET", path, headers=self._headers) as answer:
            if answer.status_code >= 400:
                answer.read()
                raise _problem_of(answer)
            event = ""
            for line in answer.iter_lines():
                if line.startswith("event:"):
                    event = line.removeprefix("event:").strip()
                elif line.startswith("data:") and event == "job":
                    yield made(Job, json.loads(line.removeprefix("data:")))

    def job(self, job: int) -> Job:
        """A job as it stands."""
        return made(Job, self._call("job", job=job).json())

    def jobs(self, **query: Any) -> Iterator[Job]:
        """All jobs that are kept, latest first; ``status=["failed"]`` for some alone."""
        return self._pages("jobs", Job, query)

    def recordings(self, **filters: Any) -> Iterator[Recording]:
        """All recordings of which some clip passes the filters."""
        return self._pages("recordings", Recording, filters)

    def recording(self, recording: int) -> Recording:
        """One recording."""
        return made(Recording, self._call("recording", recording=recording).json())

    def clips_of(self, recording: int) -> Iterator[Clip]:
        """All clips of a recording."""
        return self._pages("clips_of", Clip, {}, recording=recording)

    def recording_audio(
        self,
        recording: int,
        *,
        start: float = 0.0,
        end: float | None = None,
        channel: int | None = None,
    ) -> bytes:
        """A stretch of a recording, in seconds, as WAV; of ten minutes at most."""
        params = {"start": start, "end": end, "channel": channel}
        params = {name: value for name, value in params.items() if value is not None}
        return self._call("recording_audio", recording=recording, params=params).content

    def erase(self, recording: int) -> int:
        """Erase a recording; the number of clips that went with it."""
        return int(self._call("erase", recording=recording).json()["clips"])

    def clips(self, **filters: Any) -> Iterator[Clip]:
        """All clips that pass the filters."""
        return self._pages("clips", Clip, filters)

    def clip(self, clip: int) -> Clip:
        """One clip."""
        return made(Clip, self._call("clip", clip=clip).json())

    def clip_audio(self, clip: int) -> bytes:
        """Exactly the clip's span as WAV."""
        return self._call("clip_audio", clip=clip).content

    def embedding(self, clip: int) -> NDArray[np.float32]:
        """The clip's stored embedding: float32, (dimension,), not in any space."""
        content = self._call("embedding", clip=clip).content
        return np.asarray(np.load(io.BytesIO(content), allow_pickle=False), np.float32)

    def label(self, clip: int, value: str, *, task: str = "emotion") -> Clip:
        """Say what is heard in a clip; the clip with it."""
        return made(Clip, self._call("label", clip=clip, task=task, json={"value": value}).json())

    def unlabel(self, clip: int, *, task: str = "emotion") -> Clip:
        """Take a label away; the clip without it."""
        return made(Clip, self._call("unlabel", clip=clip, task=task).json())

    def tasks(self) -> list[Count]:
        """Tasks, and how many labels each has."""
        return [made(Count, one) for one in self._call("tasks").json()["data"]]

    def labels(self, task: str = "emotion") -> list[Count]:
        """Labels of a task, most clips first."""
        answer = self._call("labels", params={"task": task})
        return [made(Count, one) for one in answer.json()["data"]]

    def stats(self) -> Stats:
        """What the archive holds."""
        return made(Stats, self._call("stats").json())

    def models(self) -> list[Model]:
        """Models that the server knows."""
        return [made(Model, one) for one in self._call("models").json()["data"]]

    def failures(self) -> Iterator[Failure]:
        """All files that could not be ingested, latest first."""
        return self._pages("failures", Failure, {})

    def trend(self, recording: int, **options: Any) -> dict[str, Any]:
        """How emotion moves through a recording, as the document has it."""
        return dict(self._call("trend", params=options, recording=recording).json())

    def trends(self, **options: Any) -> dict[str, Any]:
        """Shares of emotions by day, week or month, as the document has them."""
        return dict(self._call("trends", params=options).json())

    def map(self, **options: Any) -> dict[str, Any]:
        """Clips as points in a plane, as the document has them."""
        return dict(self._call("map", params=options).json())

    def clusterings(self) -> list[dict[str, Any]]:
        """The saved clusterings."""
        return list(self._call("clusterings").json()["data"])

    def clustering(self, name: str) -> dict[str, Any]:
        """One of them, with what each of its clusters holds."""
        return dict(self._call("clustering", name=name).json())

    def classifiers(self) -> list[dict[str, Any]]:
        """The classifiers, and how well they did."""
        return list(self._call("classifiers").json()["data"])

    def _pages(
        self, name: str, kind: type[T], query: Mapping[str, Any], **path: Any
    ) -> Iterator[T]:
        params = dict(query)
        while True:
            page = self._call(name, params=params, **path).json()
            yield from (made(kind, one) for one in page["data"])
            if page["next"] is None:
                return
            params["cursor"] = page["next"]

    def _call(
        self,
        operation: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        data: Any = None,
        files: Any = None,
        **path: Any,
    ) -> httpx.Response:
        method, template = OPERATIONS[operation]
        quoted = {name: quote(str(value), safe="") for name, value in path.items()}
        answer = self._http.request(
            method.upper(),
            template.format(**quoted),
            params=params,
            headers={**self._headers, **(headers or {})},
            json=json,
            data=data,
            files=files,
        )
        if answer.status_code >= 400:
            raise _problem_of(answer)
        return answer


def _query(
    positive: Any, negative: Any, options: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Any]]:
    """The query as JSON, and the files that go with it."""
    query: dict[str, Any] = {
        name: _text(value) if isinstance(value, datetime) else value
        for name, value in options.items()
    }
    files: list[Any] = []
    for part, name, examples in (
        ("file", "positive", positive),
        ("negative_file", "negative", negative),
    ):
        if isinstance(examples, (int, Path, Mapping)):
            examples = [examples]
        query[name] = []
        for one in examples:
            if isinstance(one, Path):
                files.append((part, (one.name, one.read_bytes())))
            else:
                query[name].append({"clip": one} if isinstance(one, int) else dict(one))
    return query, files


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _problem_of(answer: httpx.Response) -> ProblemError:
    try:
        told = answer.json()
    except ValueError:
        told = {}
    if not isinstance(told, dict):
        told = {}
    told = {"status": answer.status_code, "detail": answer.reason_phrase, **told}
    return _problem(told, answer.headers.get("x-request-id"))


def _problem(told: Mapping[str, Any], request_id: str | None) -> ProblemError:
    kind = str(told.get("type", "about:blank")).rsplit(":", 1)[-1]
    return ProblemError(kind, int(told["status"]), str(told["detail"]), request_id)
