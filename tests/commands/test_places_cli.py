"""``locations`` and ``relocate``."""

from tests.commands.test_cli import run

__all__ = ["run"]  # a fixture


def test_a_moved_folder(run, tmp_path, voices):
    (tmp_path / "old").mkdir()
    for name in ("a", "b"):
        (tmp_path / "old" / f"{name}.wav").write_bytes(
            voices.joinpath(f"anger-{ord(name) % 2}.wav").read_bytes()
        )
    run("ingest", tmp_path / "old", "--model", "acoustic")
    none = run("locations")
    assert (none.code, none.out, none.err.startswith("notice: ")) == (0, "", True)
    (tmp_path / "old").rename(tmp_path / "new")
    gone = run("locations")
    assert gone.out.splitlines() == [str(tmp_path / "old" / f"{name}.wav") for name in ("a", "b")]
    assert "2 locations without a file; 2 recordings with none left" in gone.err
    moved = run("relocate", tmp_path / "old", tmp_path / "new")
    assert (moved.code, moved.out) == (0, "2 files known in a new place\n")
    (tmp_path / "new" / "a.wav").unlink()
    assert run("locations", "--drop").out == "1 location dropped\n"
    assert run("relocate", tmp_path / "elsewhere", tmp_path / "new").code == 1
