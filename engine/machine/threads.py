"""Processor cores that this process may use, and numeric libraries kept to one thread.

Many small matrix operations, each spread over threads that wait for each other, take many times as
long once another program has one of the cores: every operation then waits for the thread that has
none. So work is spread over threads by clips, which wait for nobody, and an operation has one.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from threading import Lock, Thread
from typing import ParamSpec, TypeVar

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")

_setting = Lock()
_NAMES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def one_thread_each(environment: MutableMapping[str, str] = os.environ) -> None:
    """Have numeric libraries that are loaded from now on (NumPy, SciPy, scikit-learn, FAISS, torch,
    numba) compute on the thread that calls them; what the environment says already stands.

    For programs: call it before NumPy is imported.
    """
    for name in _NAMES:
        environment.setdefault(name, "1")


def alone(function: Callable[P, R]) -> Callable[P, R]:
    """Have NumPy, SciPy and scikit-learn compute on one thread within ``function``, as
    ``one_thread_each`` has programs do, and give them back what they had."""

    @wraps(function)
    def limited(*args: P.args, **kwargs: P.kwargs) -> R:
        if all(os.environ.get(name) == "1" for name in _NAMES):
            return function(*args, **kwargs)
        import scipy.linalg  # noqa: F401 - what is loaded later would not be limited
        import sklearn.cluster  # noqa: F401
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):
            return function(*args, **kwargs)

    return limited


def cores(root: Path = Path("/")) -> int:
    """How many cores this process may keep busy, however busy others keep them: those that its
    affinity names, and no more than the quota of its control group and of those around that,
    rounded up (``cpu.max``: Linux, Control Group v2; ``cpu.cfs_quota_us``: CFS Bandwidth Control).

    Args:
        root: where ``proc`` and ``sys`` are.
    """
    if hasattr(os, "sched_getaffinity"):
        usable = len(os.sched_getaffinity(0))
    else:
        usable = os.cpu_count() or 1
    return max(1, min([usable, *(math.ceil(quota) for quota in _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """Cores' worth of time that each control group over this process may take."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # another system
        return
    for line in lines:
        number, controllers, group = line.split(":", 2)
        if number == "0":
            mounts, names = ["", "unified"], ["cpu.max"]
        elif "cpu" in controllers.split(","):
            mounts, names = ["cpu", "cpu,cpuacct"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        else:
            continue
        inside = Path(group.lstrip("/"))
        for mount in mounts:
            # In a container the group's own path may not be there: its files are at the top.
            for folder in (inside, *inside.parents):
                place = root / "sys/fs/cgroup" / mount / folder
                try:
                    found = " ".join((place / name).read_text() for name in names).split()
                    if found[0] not in ("max", "-1"):
                        yield int(found[0]) / int(found[1])
                except (OSError, ValueError, IndexError, ZeroDivisionError):
                    continue


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Within, torch spreads each operation of the calling thread over so many threads."""
    import torch

    usual = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(usual)


def own_torch_threads(count: int) -> None:
    """Have torch spread operations of the calling thread over so many threads, for as long as that
    lives; other threads, and those that begin later, keep what they have."""
    import torch

    # Torch keeps a number for each thread, and one for threads to come, which the same call sets.
    def restore() -> None:
        torch.set_num_threads(usual)

    with _setting:  # or two would take each other's number for the usual one
        usual = torch.get_num_threads()
        torch.set_num_threads(count)
        after = Thread(target=restore)
        after.start()
        after.join()


def ahead(
    work: Callable[[T], R], items: Iterable[T], *, end: Callable[[], object] | None = None
) -> Iterator[R]:
    """What ``work`` makes of each item, in order, computed on other threads for as many items ahead
    as there are cores. What ``work`` raises is raised where its result is due, and what ``items``
    raises after the results of those before.

    Args:
        end: called where the results are not all taken, to end what ``work`` waits for; then items
            that are in hand are waited for. Without it they go on by themselves.
    """
    most = cores()
    source = iter(items)
    begun: deque[Future[R]] = deque()
    ended: Exception | None = None
    pool = ThreadPoolExecutor(most, thread_name_prefix="ahead")
    try:
        while begun or ended is None:
            while ended is None and len(begun) <= most:
                try:
                    begun.append(pool.submit(work, next(source)))
                except Exception as error:  # noqa: BLE001 - raised below
                    ended = error
            if begun:
                yield begun.popleft().result()
    finally:
        if end is not None and begun:
            end()
        pool.shutdown(wait=end is not None, cancel_futures=True)
    if not isinstance(ended, StopIteration):
        raise ended
