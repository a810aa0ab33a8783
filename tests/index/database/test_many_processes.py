"""Two processes write and four search one archive: nothing lost, doubled, stale or left behind."""

from pathlib import Path

import pytest

from benchmarks.many_processes import run

pytestmark = pytest.mark.slow


def test_searches_are_right_while_others_write(database_url: str, tmp_path: Path):
    results = run(database_url, tmp_path, 4.0)
    reports = {line[0]: [] for line in results}
    for line in results:
        reports[line[0]].append(line[1:])
    ((clips, kept),) = reports["clips"]
    assert clips == kept
    assert all(added > 5 for _, added, _ in reports["writer"])
    assert [kind for kind, *_ in reports["reader"]] == ["flat", "flat", "quantised", "quantised"]
    for kind, searches, wrong in reports["reader"]:
        assert searches > 2, kind
        assert wrong == []
    assert reports["saved"] == [("flat", []), ("quantised", [])]
