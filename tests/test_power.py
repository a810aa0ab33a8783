"""A loss of power at random instants takes nothing back that was promised."""

import random
from pathlib import Path

import pytest

from benchmarks.power_loss import KINDS, run
from tests.power import Recording, usable


@pytest.mark.slow
@pytest.mark.skipif(not usable(), reason="needs FUSE: libfuse3, fusermount3, mfusepy")
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_promised_is_lost_and_nothing_erased_is_back(kind: str, tmp_path: Path):
    assert run(kind, 15, 1, tmp_path) == {}


def test_what_was_not_synced_may_be_lost_and_what_was_is_not(tmp_path: Path):
    written = [("create", "a.tmp", "", 1), ("write", 1, 0, b"new"), ("fsync", 1)]
    renamed = [*written, ("rename", "a.tmp", "a", ""), ("mark", "done")]
    left = set()
    for steps in (renamed, [*renamed, ("fsyncdir", "")]):
        for seed in range(40):
            folder = tmp_path / f"{len(steps)}-{seed}"
            folder.mkdir()
            Recording(steps).after(len(steps), folder, random.Random(seed))
            found = {path.name: path.read_bytes() for path in folder.iterdir()}
            left.add((len(steps), *sorted(found.items())))
    assert left == {(5,), (5, ("a.tmp", b"new")), (5, ("a", b"new")), (6, ("a", b"new"))}
