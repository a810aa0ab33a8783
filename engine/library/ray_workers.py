"""Ray: places the workers of a shared ingest as actors, on this machine or a cluster.

Ray only starts processes, and anew those that died; what each of them works on is decided by leases
in the database, as among workers that were started by hand.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from emotion_search.engine.ingest.report import IngestReport
from emotion_search.engine.library.library import Library
from emotion_search.engine.library.shared_ingest import SharedIngest, Wanted
from emotion_search.engine.settings import load_settings
from emotion_search.index.database.files import FAILED
from emotion_search.index.database.slices import RunStatus
from emotion_search.index.errors import EmotionSearchError, InvalidInputError, UnusableError, reason

LOCAL = "local"
_POLL_S = 1.0


class Worker:
    """A worker as an actor: ``stop`` may be called while it runs."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = load_settings(**settings)
        self._stop = threading.Event()

    def run(self) -> IngestReport | str:
        """Work until nothing is left; what it did, or why it could not."""
        try:
            with Library.open(self._settings) as library:
                return SharedIngest(library, None, stop=self._stop).run()
        except EmotionSearchError as error:
            return str(error)

    def stop(self) -> None:
        """End after the batch in hand."""
        self._stop.set()


def ingest_on_ray(
    library: Library,
    wanted: Wanted,
    address: str,
    workers: int | None,
    *,
    progress: Callable[[int, int], None],
    stop: threading.Event,
) -> IngestReport:
    """Ingest by actors; what all of them did.

    Args:
        address: ``ray://HOST:PORT``, or ``local`` for this machine.
        workers: how many; None for one a GPU, or one for two cores where there are none.
        progress: called with how many files, and clips, are done.
        stop: once set, batches in hand are committed, and the rest stays for another run.

    Raises:
        InvalidInputError: Ray is not installed, or other machines cannot use the database.
        EmotionSearchError: Ray cannot be reached, or no worker could work.
    """
    if address != LOCAL and library.database.is_sqlite:
        raise InvalidInputError("machines of a cluster share a Postgres database, not SQLite")
    with _connected(address) as ray:
        listing = SharedIngest(library, wanted, stop=stop)
        run = listing.list_all()
        begun = now = _status(library, run)
        noted = {(one.path, one.attempts) for one in library.failures(kind=FAILED)}
        have = ray.cluster_resources()
        gpus = int(have.get("GPU", 0))
        number = workers or gpus or max(1, int(have.get("CPU", 1)) // 2)
        needs = {"num_gpus": 1} if gpus >= number else {"num_cpus": 1}
        place = ray.remote(max_restarts=-1, max_task_retries=-1, max_concurrency=2, **needs)(Worker)
        given = library.settings.model_dump(mode="json", exclude_unset=True) | {
            "home": str(library.settings.home),
            "database_url": library.database.url.render_as_string(hide_password=False),
        }
        actors = [place.remote(given) for _ in range(number)]
        left, stopping = [actor.run.remote() for actor in actors], False
        ended: list[IngestReport | str] = []
        while left:
            done, left = ray.wait(left, num_returns=len(left), timeout=_POLL_S)
            ended += ray.get(done)
            now = _status(library, run) or now
            if now is not None:
                progress(now.done, now.clips)
            if stop.is_set() and not stopping:
                stopping = True
                for actor in actors:
                    actor.stop.remote()
    report = listing.report
    for one in ended:
        if isinstance(one, IngestReport):
            report += one
    if begun and now:  # killed ones reported nothing; who came after them knew their files
        missing = max(0, now.recordings - begun.recordings - report.recordings)
        report.recordings += missing
        report.known = max(0, report.known - missing)
        report.clips = max(report.clips, now.clips - begun.clips)
        report.duration = max(report.duration, now.seconds - begun.seconds)
    reported = {path for path, _ in report.failed}
    for failure in library.failures(kind=FAILED):
        if failure.path not in reported and (failure.path, failure.attempts) not in noted:
            report.failed.append((failure.path, failure.reason))
    problems = [one for one in ended if isinstance(one, str)]
    if len(problems) == len(ended):
        raise EmotionSearchError(f"no worker could work: {problems[0]}")
    report.stopped = stop.is_set()
    if report.files and (model := library.model()) is not None:
        library.after_ingest(model, report, save_index=True)
    return report


def _status(library: Library, run: int) -> RunStatus | None:
    return next((one for one in library.shared_ingests() if one.run == run), None)


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    try:
        import ray
    except ImportError as error:
        raise UnusableError("--on needs Ray: pip install 'emotion-search[ray]'") from error
    where = {"include_dashboard": False} if address == LOCAL else {"address": address}
    try:
        ray.init(logging_level="error", log_to_driver=False, **where)
    except Exception as error:  # Ray has no common class of them
        raise EmotionSearchError(f"Ray at {address} cannot be used: {reason(error)}") from error
    try:
        yield ray
    finally:
        with suppress(Exception):
            ray.shutdown()
