"""Prometheus metrics of the service."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator

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
        queue = GaugeMetricFamily(
            "emotion_search_jobs", "Uploads that this server has in hand.", labels=["status"]
        )
        queue.add_metric(["running"], running)
        queue.add_metric(["queued"], in_hand - running)
        yield queue
        oldest = jobs.board.oldest()
        yield GaugeMetricFamily(
            "emotion_search_jobs_oldest_seconds",
            "Since the oldest upload in hand came; 0 where none is.",
            value=time.time() - oldest.timestamp() if oldest else 0.0,
        )
        decoders = GaugeMetricFamily(
            "emotion_search_decoders", "Processes that decode audio.", labels=["state"]
        )
        for state, number in zip(("busy", "idle"), library.decoders.counts(), strict=True):
            decoders.add_metric([state], number)
        yield decoders
        index = library.index_state()
        yield GaugeMetricFamily(
            "emotion_search_index_clips", "Clips in the index.", value=index.clips
        )
        yield GaugeMetricFamily(
            "emotion_search_index_age_seconds",
            "Since the index was last brought up to date with the database.",
            value=time.time() - index.fresh_at if index.fresh_at else float("nan"),
        )
        model = library.loaded()
        calls, audio, busy = model.spent if model else (0, 0.0, 0.0)
        yield CounterMetricFamily(
            "emotion_search_model_calls", "Batches that the model embedded.", value=calls
        )
        yield CounterMetricFamily(
            "emotion_search_model_audio_seconds", "Audio that the model embedded.", value=audio
        )
        yield CounterMetricFamily(
            "emotion_search_model_seconds", "Time that the model took.", value=busy
        )


def _of_database(watch: Watch) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "emotion_search_database_up", "Whether the database answers.", value=watch.is_up
    )
    if watch.seen is None:
        return
    yield GaugeMetricFamily(
        "emotion_search_database_seconds",
        "Time that the last look at the database took.",
        value=watch.seen.seconds,
    )
    yield GaugeMetricFamily(
        "emotion_search_jobs_failed",
        "Uploads and other jobs that failed in the last seven days, on any server of the database.",
        value=watch.seen.failed,
    )


def _of_disk(library: Library, watch: Watch) -> Iterator[Metric]:
    total, used, free = shutil.disk_usage(library.settings.home)
    disk = GaugeMetricFamily(
        "emotion_search_disk_bytes", "The file system of the home.", labels=["state"]
    )
    for state, number in (("total", total), ("used", used), ("free", free)):
        disk.add_metric([state], number)
    yield disk
    if watch.disk is None:
        return
    archive = GaugeMetricFamily(
        "emotion_search_archive_bytes", "What the archive takes on disk.", labels=["part"]
    )
    for part in ("database", "index", "uploads"):
        archive.add_metric([part], getattr(watch.disk, part))
    yield archive
