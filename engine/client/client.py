"""A typed Python client of the HTTP service."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.api.http.loopback import is_loopback
from emotion_search.engine.api.wire.archive import Count, FailureOut, ModelOut, SharedWork, StatsOut
from emotion_search.engine.api.wire.clips import ClipOut, HitOut
from emotion_search.engine.api.wire.jobs import JobOut
from emotion_search.engine.api.wire.recordings import RecordingOut
from emotion_search.engine.client.examples import Example, query_of
from emotion_search.engine.client.http import (
    OPERATIONS,
    ProblemError,
    Requests,
    as_text,
    problem_in,
)

__all__ = ["OPERATIONS", "Client", "Example", "ProblemError"]

_PASSING = (429, 502, 503, 504)  # problems that waiting may mend


class Client(Requests):
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
        if http is None:
            near = is_loopback(httpx.URL(address).host)  # no proxy of the environment leads there
            http = httpx.Client(base_url=address, timeout=timeout, trust_env=not near)
        super().__init__(http, key)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def search(
        self,
        positive: Example | Sequence[Example],
        negative: Example | Sequence[Example] = (),
        **options: Any,
    ) -> list[HitOut]:
        """Clips that sound like the positive examples and unlike the negative ones, best first.

        Args:
            options: ``limit``, ``per_recording``, ``exact``, ``exclude_same``, and filters such
                as ``source=["support"]``, as the service has them.
        """
        query, files = query_of(positive, negative, options)
        if files:
            form = {"query": json.dumps(query)}
            answer = self._call("search", data=form, files=files)
        else:
            answer = self._call("search", json=query)
        return [HitOut.model_validate(hit) for hit in answer.json()["hits"]]

    def search_batch(
        self, queries: Sequence[Mapping[str, Any]]
    ) -> list[list[HitOut] | ProblemError]:
        """The hits of each query, as ``/v1/search`` takes it as JSON, or the problem with it."""
        answer = self._call("search_batch", json={"queries": list(queries)})
        return [
            problem_in(one["problem"])
            if one["problem"]
            else [HitOut.model_validate(hit) for hit in one["answer"]["hits"]]
            for one in answer.json()["results"]
        ]

    def predict(self, file: Path, **how: Any) -> dict[str, Any]:
        """Predictions of the service's model for a file, as the document has them; it is not kept.

        Args:
            how: ``granularity``, ``window``, ``hop``; ``speaker``, ``source``.
        """
        form = {key: value for key, value in how.items() if value is not None}
        with file.open("rb") as content:
            files = {"file": (file.name, content)}
            return dict(self._call("predict", data=form, files=files).json())

    def upload(
        self,
        file: Path,
        *,
        name: str | None = None,
        idempotency_key: str | None = None,
        **annotations: Any,
    ) -> JobOut:
        """Send an audio file; the job that takes it in, as it stands at once.

        Args:
            annotations: ``source``, ``label``, ``speaker``, ``recorded_at`` (a datetime or ISO
                8601), ``metadata``, ``labels`` by task and ``speakers`` by channel (mappings),
                ``channels`` such as ``customer=1``, ``again`` for what was erased before.
        """
        form = {key: as_text(value) for key, value in annotations.items() if value is not None}
        for several in form.keys() & {"metadata", "labels", "speakers"}:
            form[several] = [f"{key}={value}" for key, value in dict(form[several]).items()]
        headers = {"idempotency-key": idempotency_key} if idempotency_key else {}
        with file.open("rb") as content:
            files = {"file": (name or file.name, content)}
            answer = self._call("upload", data=form, files=files, headers=headers)
        return JobOut.model_validate(answer.json())

    def wait_for(self, job: JobOut | int, *, timeout: float = 600.0) -> JobOut:
        """The job once it is done, also where the service is started again meanwhile.

        Raises:
            ProblemError: it failed, or there is no such job.
            TimeoutError: it is not finished in time.
        """
        number = job if isinstance(job, int) else job.job
        until = time.monotonic() + timeout
        pause, status = 0.05, "unknown"
        while True:
            try:
                now = self.job(number)
            except (httpx.TransportError, ProblemError) as error:
                if isinstance(error, ProblemError) and error.status not in _PASSING:
                    raise
                status = f"unknown ({error})"
            else:
                if now.problem:
                    raise problem_in(now.problem.model_dump())
                if now.finished:
                    return now
                status = now.status
            if time.monotonic() > until:
                raise TimeoutError(f"job {number} is {status} after {timeout:g} s")
            time.sleep(pause)
            pause = min(1.0, pause * 1.5)

    def follow(self, job: JobOut | int) -> Iterator[JobOut]:
        """The job each time that it changes, until it is finished or the server ends."""
        number = job if isinstance(job, int) else job.job
        for event, data in self._events(f"/v1/jobs/{number}/events"):
            if event == "job":
                yield JobOut.model_validate(data)

    def changes(self) -> Iterator[str]:
        """The archive's revision, now and each time that something in it changed, for ten minutes
        or until the server ends."""
        for event, data in self._events("/v1/events"):
            if event == "archive":
                yield data["revision"]

    def work(self, kind: str, **options: Any) -> JobOut:
        """Have the service ``evaluate``, ``train``, ``cluster``, ``tune`` or ``reembed``, as the
        document has it; the job, whose ``result`` comes with ``wait_for``."""
        answer = self._call("work", json={"kind": kind, **options})
        return JobOut.model_validate(answer.json())

    def job(self, job: int) -> JobOut:
        """A job as it stands."""
        return JobOut.model_validate(self._call("job", job=job).json())

    def retry(self, job: int) -> JobOut:
        """Have a job done anew that failed through no fault of its file's; as it stands at once."""
        return JobOut.model_validate(self._call("retry", job=job).json())

    def jobs(self, **query: Any) -> Iterator[JobOut]:
        """All jobs that are kept, latest first; ``status=["failed"]`` for some alone."""
        return self._pages("jobs", JobOut, query)

    def recordings(self, **filters: Any) -> Iterator[RecordingOut]:
        """All recordings of which some clip passes the filters."""
        return self._pages("recordings", RecordingOut, filters)

    def recording(self, recording: int) -> RecordingOut:
        """One recording."""
        return RecordingOut.model_validate(self._call("recording", recording=recording).json())

    def clips_of(self, recording: int) -> Iterator[ClipOut]:
        """All clips of a recording."""
        return self._pages("clips_of", ClipOut, {}, recording=recording)

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
        return self._call("recording_audio", recording=recording, params=params).content

    def erase(self, recording: int) -> int:
        """Erase a recording; the number of clips that went with it."""
        return int(self._call("erase", recording=recording).json()["clips"])

    def erase_all(self, recordings: Sequence[int]) -> list[int]:
        """Erase up to 1000 recordings; the ids of those that there were."""
        return list(self._call("erase_all", json={"recordings": list(recordings)}).json()["erased"])

    def compare(self, *clips: int) -> dict[str, Any]:
        """How alike clips are, each to each, as the document has it."""
        return dict(self._call("compare", params={"clip": list(clips)}).json())

    def compare_files(self, *files: Path, clips: Sequence[int] = ()) -> dict[str, Any]:
        """How alike audio files and clips are, each to each, as the document has it."""
        sent = [("file", (file.name, file.read_bytes())) for file in files]
        return dict(self._call("compare_files", data={"clip": list(clips)}, files=sent).json())

    def clips(self, **filters: Any) -> Iterator[ClipOut]:
        """All clips that pass the filters, by id; ``sort="angry"`` gives the angriest first, and
        ``sort="recorded_at", order="asc"`` the oldest."""
        return self._pages("clips", ClipOut, filters)

    def clip(self, clip: int) -> ClipOut:
        """One clip."""
        return ClipOut.model_validate(self._call("clip", clip=clip).json())

    def clip_audio(self, clip: int) -> bytes:
        """Exactly the clip's span as WAV."""
        return self._call("clip_audio", clip=clip).content

    def embedding(self, clip: int) -> NDArray[np.float32]:
        """The clip's stored embedding: float32, (dimension,), not in any space."""
        content = self._call("embedding", clip=clip).content
        return np.asarray(np.load(io.BytesIO(content), allow_pickle=False), np.float32)

    def label(self, clip: int, value: str, *, task: str = "emotion") -> ClipOut:
        """Label a clip; the clip with its label."""
        return ClipOut.model_validate(
            self._call("label", clip=clip, task=task, json={"value": value}).json()
        )

    def label_all(self, labels: Mapping[int, str | None], *, task: str = "emotion") -> list[int]:
        """Label up to 1000 clips by id at once (None takes the label away); ids that are none."""
        rows = [{"clip": clip, "value": value, "task": task} for clip, value in labels.items()]
        return list(self._call("label_all", json={"labels": rows}).json()["unknown"])

    def unlabel(self, clip: int, *, task: str = "emotion") -> ClipOut:
        """Take a label away; the clip without it."""
        return ClipOut.model_validate(self._call("unlabel", clip=clip, task=task).json())

    def tasks(self) -> list[Count]:
        """Tasks, and how many labels each has."""
        return [Count.model_validate(one) for one in self._call("tasks").json()["data"]]

    def labels(self, task: str = "emotion") -> list[Count]:
        """Labels of a task, most clips first."""
        answer = self._call("labels", params={"task": task})
        return [Count.model_validate(one) for one in answer.json()["data"]]

    def stats(self) -> StatsOut:
        """What the archive holds."""
        return StatsOut.model_validate(self._call("stats").json())

    def models(self) -> list[ModelOut]:
        """Models that the server knows."""
        return [ModelOut.model_validate(one) for one in self._call("models").json()["data"]]

    def failures(self, **query: Any) -> Iterator[FailureOut]:
        """All files that could not be ingested or hold no speech, latest first; ``kind="failed"``
        for the former alone."""
        return self._pages("failures", FailureOut, query)

    def shared_work(self) -> list[SharedWork]:
        """How far ingests are that processes share, latest first."""
        return [SharedWork.model_validate(one) for one in self._call("shared_work").json()["data"]]

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

    def evaluation(self, task: str = "emotion", **query: Any) -> dict[str, Any]:
        """How good query by example is on labelled clips, as the document has it."""
        return dict(self._call("evaluation", params={"task": task, **query}).json())

    def suggestions(self, task: str = "emotion", **query: Any) -> list[dict[str, Any]]:
        """Clips most worth labelling next, best first."""
        params = {"task": task, **query}
        return list(self._call("suggestions", params=params).json()["data"])

    def classifiers(self) -> list[dict[str, Any]]:
        """The classifiers, and how well they did."""
        return list(self._call("classifiers").json()["data"])

    def agreement(self, task: str, other: str) -> dict[str, Any]:
        """How far the labels of two tasks agree: clips with both, and Cohen's kappa."""
        return dict(self._call("agreement", params={"task": task, "other": other}).json())

    def alerts(self) -> list[dict[str, Any]]:
        """The alert rules that are kept, each with its state and what set it off last."""
        return list(self._call("alerts").json()["data"])

    def add_alert(self, name: str, rule: str, **options: Any) -> dict[str, Any]:
        """Keep an alert rule such as ``angry>0.3``; the rule as it stands.

        Args:
            options: ``measure``, ``window``, and filters, as the document has them.
        """
        return dict(self._call("add_alert", json={"name": name, "rule": rule, **options}).json())

    def delete_alert(self, alert: int) -> None:
        """Keep a rule no longer."""
        self._call("delete_alert", alert=alert)

    def webhooks(self) -> list[dict[str, Any]]:
        """Where events are sent; without the secrets."""
        return list(self._call("webhooks").json()["data"])

    def add_webhook(self, url: str, **options: Any) -> dict[str, Any]:
        """Have events (``events=["alert.fired"]`` for some alone) sent to an address; the webhook
        with its ``secret``, which is not shown again."""
        return dict(self._call("add_webhook", json={"url": url, **options}).json())

    def delete_webhook(self, webhook: int) -> None:
        """Send nothing there any more."""
        self._call("delete_webhook", webhook=webhook)

    def test_webhook(self, webhook: int) -> dict[str, Any]:
        """Have an event sent there that says nothing but that it arrives; its delivery."""
        return dict(self._call("test_webhook", webhook=webhook).json())

    def deliveries(self, webhook: int, **query: Any) -> dict[str, Any]:
        """A page of the deliveries of a webhook, latest first: ``data``, and ``next``, the
        ``cursor`` of the page after it."""
        return dict(self._call("deliveries", params=query, webhook=webhook).json())

    def replay(self, webhook: int, delivery: int) -> dict[str, Any]:
        """Have a delivery sent again; it as it stands."""
        return dict(self._call("replay", webhook=webhook, delivery=delivery).json())
