"""Two processes write and four search one archive: nothing lost, doubled, stale or left behind."""

from pathlib import Path

import pytest

from benchmarks.many_processes import run

pytestmark = pytest.mark.slow


def test_searches_are_right_while_others_write(database_url: str, tmp_path: Path):
    results = run(database_url, tmp_path, 4.0)
    told = {line[0]: [] for line in results}
    for line in results:
        told[line[0]].append(line[1:])
    ((clips, kept),) = told["clips"]
    assert clips == kept
    assert all(added > 5 for _, added, _ in told["writer"])
    assert [kind for kind, *_ in told["reader"]] == ["flat", "flat", "quantised", "quantised"]
    for kind, searches, wrong in told["reader"]:
        assert searches > 2, kind
        assert wrong == []
    assert told["saved"] == [("flat", []), ("quantised", [])]
