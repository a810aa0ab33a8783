"""The tutorial's Python runs as it stands, from the first block to the last."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

TUTORIAL = Path(__file__).parents[1] / "docs" / "tutorial.md"


def test_every_block_runs_after_the_ones_before(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "DATABASE_URL", "MODEL"):
        monkeypatch.delenv(f"EMOTION_SEARCH_{name}", raising=False)
    text = TUTORIAL.read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 7
    names: dict[str, object] = {"__name__": "tutorial"}
    for block in blocks:
        line = text[: text.index(block)].count("\n")
        exec(compile("\n" * line + block, str(TUTORIAL), "exec"), names)
    output = capsys.readouterr().out
    assert output.startswith("64 clips")
    turns = [int(at) for at in re.findall(r"^at (\d+) s ", output, re.MULTILINE)]
    assert any(at == pytest.approx(60, abs=5) for at in turns)
    assert "2026-W02" in output
    assert "(88, 384) float32" in output
    assert (tmp_path / "call.html").exists()
