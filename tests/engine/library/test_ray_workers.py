"""Ray places workers; what they did is counted, whoever of them is killed."""

import json
import os
import subprocess
import threading
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from emotion_search.engine.library import ray_workers
from emotion_search.engine.library.library import Library
from emotion_search.engine.library.shared_ingest import SharedIngest
from emotion_search.engine.settings import Settings
from tests.conftest import ROOT, command_with
from tests.engine.library.test_shared_ingest import alone, calls, wanted  # noqa: F401


def test_the_summary_has_what_a_killed_worker_did(
    alone: Library,  # noqa: F811
    calls: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
):
    class Killed:
        """Is killed once it has done its work, and started anew."""

        def __init__(self, *_: object) -> None:
            self.run = SimpleNamespace(remote=self._run)

        def _run(self) -> object:
            SharedIngest(alone, None).run()
            return SharedIngest(alone, None).run()

    actor = SimpleNamespace(remote=Killed)
    ray = SimpleNamespace(cluster_resources=dict, remote=lambda **_: lambda _: actor)
    ray.wait, ray.get = (lambda left, **_: (left, [])), list
    monkeypatch.setattr(ray_workers, "_connected", lambda _: nullcontext(ray))
    report = ray_workers.ingest_on_ray(
        alone, wanted(alone, calls), "local", 1, progress=lambda *_: None, stop=threading.Event()
    )
    assert (report.recordings, report.clips) == (5, 5)
    assert report.duration == pytest.approx(3.0, abs=0.01)
    assert [Path(path).name for path, _ in report.failed] == ["z.wav"]


@pytest.mark.slow
def test_ray_places_workers_on_this_machine(
    sqlite_settings: Settings,
    calls: Path,  # noqa: F811
):
    pytest.importorskip("ray")
    command = command_with("engine.library.shared_ingest.SLICE_FILES", 2)
    home = ["--home", str(sqlite_settings.home), "--model", "acoustic", "--json"]
    done = subprocess.run(
        [*command, "ingest", str(calls), *home, "--on", "local", "--workers", "1"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, json.loads(done.stdout)["recordings"]) == (1, 5)
    assert "z.wav" in done.stderr
