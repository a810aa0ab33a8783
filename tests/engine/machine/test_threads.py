"""Threads: as many as the process may have cores, whatever the load; libraries have one each."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from emotion_search.engine.machine.threads import ahead, alone, cores, one_thread_each
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def machine(root: Path, cgroup: str, **files: str) -> Path:
    """A root with this ``/proc/self/cgroup``, and files of control groups."""
    files = {"proc/self/cgroup": cgroup} | {f"sys/fs/cgroup/{k}": v for k, v in files.items()}
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("cgroup", "files", "expected"),
    [
        ("0::/\n", {}, 8),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 8),
        ("0::/\n", {"cpu.max": "300000 100000\n"}, 3),
        ("0::/\n", {"cpu.max": "250000 100000\n"}, 3),
        ("0::/\n", {"cpu.max": "5000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "1600000 100000\n"}, 8),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "200000 100000"}, 2),
        ("0::/a/b\n", {"a/b/cpu.max": "400000 100000", "a/cpu.max": "max 100000"}, 4),
        ("0::/not/here\n", {"cpu.max": "200000 100000"}, 2),
        ("0::/../x\n", {"cpu.max": "200000 100000"}, 2),
        (
            "4:memory:/m\n3:cpu,cpuacct:/d\n0::/\n",
            {
                "cpu,cpuacct/d/cpu.cfs_quota_us": "150000\n",
                "cpu,cpuacct/d/cpu.cfs_period_us": "50000\n",
            },
            3,
        ),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ("1:cpuset:/\n", {"cpu/cpu.cfs_quota_us": "1\n", "cpu/cpu.cfs_period_us": "1\n"}, 8),
        ("0::/\n", {"cpu.max": "rubbish"}, 8),
        ("0::/\n", {"cpu.max": "5 0"}, 8),
        ("0::/\n", {"cpu.max": ""}, 8),
    ],
)
def test_cores_are_those_of_the_affinity_and_of_the_quotas(tmp_path, cgroup, files, expected):
    assert cores(machine(tmp_path, cgroup, **files)) == expected


def test_an_affinity_of_fewer_cores_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5})
    assert cores(machine(tmp_path, "0::/\n", **{"cpu.max": "300000 100000"})) == 1


def test_without_affinity_or_control_groups_all_cores_count(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert cores(tmp_path) == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores(tmp_path) == 1


def test_the_load_plays_no_part(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (64.0, 64.0, 64.0))
    assert cores(tmp_path) == 8


def test_what_the_environment_says_stands():
    environment = {"OMP_NUM_THREADS": "4"}
    one_thread_each(environment)
    assert environment["OMP_NUM_THREADS"] == "4"
    assert environment["OPENBLAS_NUM_THREADS"] == "1"


def test_the_program_s_libraries_compute_on_one_thread():
    """In a process of its own, as ``main`` leaves it."""
    code = (
        "import sys; sys.argv = ['x', '--version']\n"
        "from emotion_search.cli import main\n"
        "assert 'numpy' not in sys.modules, 'too late to set its threads'\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "import faiss, numpy, scipy.linalg, sklearn.cluster, torch, threadpoolctl\n"
        "found = threadpoolctl.threadpool_info()\n"
        "print(len(found), {one['num_threads'] for one in found}, torch.get_num_threads())"
    )
    environment = {k: v for k, v in os.environ.items() if "THREADS" not in k}
    environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    count, *rest = done.stdout.splitlines()[-1].split()
    assert (int(count) >= 4, rest) == (True, ["{1}", "1"]), done.stderr


def test_a_function_that_is_alone_has_one_thread_and_leaves_the_process_as_it_was(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    def threads() -> set[int]:
        return {one["num_threads"] for one in threadpool_info()}

    @alone
    def within(divisor: int) -> tuple[float, set[int]]:
        return 1 / divisor, threads()

    with threadpool_limits(2):
        before = threads()
        assert within(2) == (0.5, {1})
        assert threads() == before == {2}
        with pytest.raises(ZeroDivisionError):
            within(0)
        assert threads() == before


def test_ahead_keeps_the_order_and_goes_no_further_than_the_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        time.sleep(0.02 * (number % 2))
        return -number

    found = ahead(work, iter(range(50)))
    assert [next(found) for _ in range(3)] == [0, -1, -2]
    assert max(begun) <= 3 + 3
    assert list(found) == [-number for number in range(3, 50)]


def test_ahead_works_on_several_threads_at_once(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    met = threading.Barrier(3)
    assert list(ahead(lambda _: met.wait(timeout=10) >= 0, range(3))) == [True] * 3


def test_ahead_raises_where_the_result_is_due():
    found = ahead(lambda number: 1 // (2 - number), [0, 1, 2, 3])
    assert [next(found), next(found)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(found)


def test_what_ends_the_items_is_raised_after_the_results_of_those_before():
    def items():
        yield 1
        yield 2
        raise ValueError("no more")

    found = ahead(lambda number: number, items())
    assert [next(found), next(found)] == [1, 2]
    with pytest.raises(ValueError, match="no more"):
        next(found)
