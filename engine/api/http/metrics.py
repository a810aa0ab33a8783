"""Prometheus metrics of the service."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from emotion_search.engine.api.http.deps import Gates
from emotion_search.engine.library.library import Library
from emotion_search.engine.service.jobs import Jobs
from emotion_search.engine.service.watch import Watch

COUNTERS = "PROMETHEUS_MULTIPROC_DIR"
"""Variable of the environment that names the folder in which workers of one server count."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics(Collector):
    """Counters of one app, and what is read when somebody asks."""

    def __init__(self, gates: Gates) -> None:
        self._gates = gates
        self._watched: tuple[Library, Jobs, Watch] | None = None
        self._registry = CollectorRegistry()
        names = ["method", "route"]
        self._requests = Counter(
            "emotion_search_requests",
            "Answers by route.",
            [*names, "status"],
            registry=self._registry,
        )
        self._latency = Histogram(
            "emotion_search_request_seconds",
            "Time to answer by route.",
            names,
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._registry.register(self)

    def watch(self, library: Library, jobs: Jobs, watch: Watch) -> None:
        """Report on these from now on."""
        self._watched = library, jobs, watch

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        if method not in ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"):
            method = "other"
        self._requests.labels(method, route, str(status)).inc()
        if not route.endswith("/events"):  # open as long as somebody listens
            self._latency.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """All of it in Prometheus' format; of several workers, answers and their times are those
        of all, the rest is of the one that is asked."""
        if COUNTERS not in os.environ:
            return generate_latest(self._registry)
        of_all, of_this = CollectorRegistry(), CollectorRegistry()
        MultiProcessCollector(of_all)  # type: ignore[no-untyped-call]
        of_this.register(self)
        return bytes(generate_latest(of_all) + generate_latest(of_this))

    def collect(self) -> Iterator[Metric]:
        """What is read at this moment."""
        inside = GaugeMetricFamily(
            "emotion_search_requests_inside",
            "Requests that are worked on, or wait for it.",
            labels=["kind", "state"],
        )
        for gate in self._gates:
            inside.add_metric([gate.name, "working"], min(gate.inside, gate.workers))
            inside.add_metric([gate.name, "waiting"], gate.waiting)
        yield inside
        if self._watched is None:
            return
        library, jobs, watch = self._watched
        yield from _of_database(watch)
        yield from _of_disk(library, watch)
        in_hand, running = jobs.board.counts()
        states = {"running": running, "queued": in_hand - running}
        yield _gauges("jobs", "Uploads that this server has in hand.", "status", states)
        oldest = jobs.board.oldest()
        yield _gauge(
            "jobs_oldest_seconds",
            "Since the oldest upload in hand came; 0 where none is.",
            _age(oldest),
        )
        decoders = dict(zip(("busy", "idle"), library.decoders.counts(), strict=True))
        yield _gauges("decoders", "Processes that decode audio.", "state", decoders)
        index = library.index_state()
        yield _gauge("index_clips", "Clips in the index.", index.clips)
        yield _gauge(
            "index_age_seconds",
            "Since the index was last brought up to date with the database.",
            time.monotonic() - index.fresh_at if index.fresh_at else float("nan"),
        )
        model = library.loaded()
        calls, audio, busy = model.spent if model else (0, 0.0, 0.0)
        for name, about, value in (
            ("calls", "Batches that the model embedded.", calls),
            ("audio_seconds", "Audio that the model embedded.", audio),
            ("seconds", "Time that the model took.", busy),
        ):
            yield CounterMetricFamily(f"emotion_search_model_{name}", about, value=value)


def _age(moment: datetime | None) -> float:
    """Seconds since then; 0 for never."""
    return max(0.0, time.time() - moment.timestamp()) if moment else 0.0


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(f"emotion_search_{name}", about, value=value)


def _gauges(name: str, about: str, label: str, values: Mapping[str, float]) -> Metric:
    """A value for each state of something."""
    family = GaugeMetricFamily(f"emotion_search_{name}", about, labels=[label])
    for state, value in values.items():
        family.add_metric([state], value)
    return family


def _of_database(watch: Watch) -> Iterator[Metric]:
    yield _gauge("database_up", "Whether the database answers.", watch.is_up)
    if watch.seen is None:
        return
    about = "Time that the last look at the database took."
    yield _gauge("database_seconds", about, watch.seen.seconds)
    yield _gauge(
        "jobs_failed",
        "Uploads and other jobs that failed in the last seven days, on any server of the database.",
        watch.seen.failed,
    )
    sent = watch.seen.deliveries
    states = {"delivered": sent.delivered, "failed": sent.failed, "waiting": sent.waiting}
    about = "Events to webhooks in the last seven days; `failed` is not tried any more."
    yield _gauges("webhook_deliveries", about, "state", states)
    yield _gauge(
        "webhook_oldest_seconds",
        "Since the oldest event that is not delivered yet.",
        _age(sent.oldest),
    )


def _of_disk(library: Library, watch: Watch) -> Iterator[Metric]:
    disk = shutil.disk_usage(library.settings.home)._asdict()
    yield _gauges("disk_bytes", "The file system of the home.", "state", disk)
    if watch.disk is None:
        return
    parts = {part: getattr(watch.disk, part) for part in ("database", "index", "uploads")}
    yield _gauges("archive_bytes", "What the archive takes on disk.", "part", parts)
