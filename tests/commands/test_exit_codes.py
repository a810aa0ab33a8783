"""Exit codes of all commands: 1 for what cannot be done here, 2 for what makes no sense anywhere,
options without effect among it."""

import shlex
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from emotion_search import cli
from emotion_search.engine.commands.combinations import WITH, WITHOUT
from emotion_search.engine.files.disk import output_lock
from emotion_search.engine.settings import Settings
from emotion_search.index.errors import InvalidInputError
from tests.commands.test_cli import run
from tests.conftest import ROOT
from tests.templates import Template

__all__ = ["run"]

LEAVES: dict[str, Any] = {}
for _name, _command in cli.LazyCommands().items():
    _below = getattr(_command, "commands", None) or {}
    LEAVES |= {f"{_name} {one}": below for one, below in _below.items()} or {_name: _command}

CANNOT = [  # nothing of this name or id; a file that is not there, or is; a place to write to
    "ingest nowhere",
    "ingest --manifest none.csv",
    "status --home none",
    "list clips --source nobody",
    "list clips --channel 7",
    "show 999",
    "play 999",
    "extract 999 -o x.wav",
    "extract 1 -o taken.wav",
    "extract 1 -o none/x.wav",
    "open 999",
    "failures --home none",
    "locations --home none",
    "relocate nowhere .",
    "relocate . nowhere",
    "forget 999",
    "forget 999 --dry-run",
    "forget --speaker nobody --yes",
    "export --output taken.csv",
    "export --output none.d/x.csv --speaker nobody",
    "export --output /dev/null/x",
    "import none.npy rows.csv",
    "copy --from sqlite:///none.db --to sqlite:///new.db",
    "backup taken.tar",
    "backup /dev/null/x.tar",
    "backup none/x.tar",
    "restore none.tar --dry-run",
    "restore taken.tar --home new",
    "migrate --database sqlite:////dev/null/x.db",
    "check --home none",
    "index status --home none",
    "index rebuild --home none",
    "index repair --home none",
    "index verify --home none",
    "search --clip 999",
    "search nowhere.wav",
    "search --clip 1 --cluster moods:9",
    "search --clip 1 --channel 7",
    "search --sort angre",
    "evaluate --task none",
    "evaluate --html taken.html",
    "evaluate --embeddings none.npy --labels none.csv",
    "tune",
    "tune --restore 9",
    "demo --audio empty",
    "predict nowhere.wav",
    "predict taken.wav --output-dir /dev/null/x",
    "compare nowhere.wav taken.wav",
    "compare --clip 1 --clip 999",
    "compare --clip 1 --clip 2 --csv taken.csv",
    "compare --clip 1 --clip 2 --html none/x.html",
    "trend 999",
    "trend 1 --csv taken.csv",
    "trend 1 --alert bored>0.1",
    "cluster --show none",
    "cluster --delete none",
    "map --html taken.html",
    "map --html m.html --clustering none",
    "embed nowhere.wav --output-dir empty",
    "embed taken.wav --output-dir /dev/null/x",
    "label 999 --label x",
    "label --from none.csv",
    "label 1 --task none --remove",
    "suggest --speaker nobody",
    "train --from none.csv",
    "train --task none",
    "classify --task none",
    "classifiers --task none --delete 1",
    "serve --database sqlite:////dev/null/x.db",
    "key create --name a --database sqlite:////dev/null/x.db",
    "key list --home none",
    "key revoke nobody",
    "jobs list --home none",
    "jobs show 9",
    "jobs retry 9",
    "jobs drop 9",
    "finetune --model acoustic --output taken.wav",
    "finetune --model acoustic --output out --labels none.csv",
    "reembed --model ./none",
    "use none",
    "models fetch ./none",
    "models check ./none",
    "models export ./none --onnx x.onnx",
    "models export voice --onnx taken.onnx",
    "models forget none",
]


@pytest.fixture
def archive(run, tmp_path: Path, voices_archive: Template, monkeypatch):
    """Runs commands, given as they are typed, in a folder where some names are taken."""
    voices_archive.place(Settings(home=tmp_path / "home", model="acoustic"))
    monkeypatch.setenv("EMOTION_SEARCH_MODEL", "acoustic")
    folder = tmp_path / "here"
    (folder / "empty").mkdir(parents=True)
    monkeypatch.chdir(folder)
    for ending in ("wav", "csv", "html", "tar", "onnx"):
        (folder / f"taken.{ending}").write_text("not to be lost")
    return lambda line: run(*shlex.split(line))


def test_what_cannot_be_done_here_is_one_line_and_exit_code_1(archive):
    named = {name for name in LEAVES for line in CANNOT if line.startswith(name)}
    assert LEAVES.keys() - named == {"config show"}  # which shows what would be used, if it were
    wrong = []
    for line in CANNOT:
        done = archive(line)
        if done.code != 1 or not done.err.splitlines()[-1].startswith("error: "):
            wrong.append((line, done.code, done.out, done.err))
    assert wrong == []
    assert {path.read_text() for path in Path().glob("taken.*")} == {"not to be lost"}
    assert {path.name for path in Path().iterdir() if not path.match("taken.*")} == {"empty"}


def test_a_file_beside_the_target_is_left_alone(archive):
    for name in ("x.csv.tmp", "x.wav.tmp"):
        Path(name).write_text("mine")
    assert archive("compare --clip 1 --clip 2 --csv x.csv").code == 0
    assert archive("extract 1 -o x.wav").code == 0
    assert [Path(name).read_text() for name in ("x.csv.tmp", "x.wav.tmp")] == ["mine", "mine"]


def test_a_description_beside_an_exported_model_is_not_written_over(archive):
    Path("x.json").write_text("mine")
    assert "x.json is there already" in archive("models export voice --onnx x.onnx").err
    assert Path("x.json").read_text() == "mine"


@pytest.mark.parametrize(
    "line",
    [
        "export --output x",
        "export --output x --overwrite",
        "backup x",
        "extract 1 -o x",
        "compare --clip 1 --clip 2 --csv x",
        "embed taken.wav --output-dir x",
        "finetune --model acoustic --output x",
    ],
)
def test_what_another_run_is_writing_is_left_to_it(archive, line):
    with output_lock(Path("x")):
        done = archive(line)
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert done.err.endswith(
        "x is being written by another run; choose another name, or wait for its end\n"
    )
    assert not Path("x").exists()
    assert not list(Path().glob(".x*"))


def test_a_port_that_is_taken_cannot_be_had_here(archive):
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = archive(f"serve --port {other.getsockname()[1]}")
    assert (done.code, done.out) == (1, "")
    assert "choose another --port" in done.err


def test_an_option_that_there_is_not_makes_no_sense(run):
    for name in LEAVES:
        done = run(*name.split(), "--nonsense")
        assert (done.code, done.err.count("\n")) == (2, 1), name


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("export --output ''", "--output"),
        ("export --output=", "--output"),
        ("ingest calls --source=", "--source"),
        ("evaluate --html ''", "--html"),
        ("embed '' --output-dir x", "an argument"),
        ("backup ''", "an argument"),
        ("relocate a ''", "an argument"),
    ],
)
def test_what_is_empty_means_no_folder(run, line, name):
    done = run(*shlex.split(line))
    assert (done.code, done.out, done.err) == (2, "", f"error: {name} is empty\n")


@pytest.mark.parametrize(
    "line",
    [
        "search --clip 0",
        "search --clip 1 --unlike-clip -3",
        "compare --clip 0 --clip 1",
        "search --clip 1 --after 2026-02-01 --before 2026-02-01",
        "list clips --min-duration 5 --max-duration 4.9",
        "trend --by week --min-arousal 0.5 --max-arousal 0.1",
        "export -o x.csv --min-valence 0.1 --max-valence 0",
        "extract --recording 1 --start 2 --end 1 -o x.wav",
        "list recordings --sort share",
        "list recordings --sort share --source a --after 2026-01-01",
        "map --html x.html --colour cluster",
        "map --html x.html --colour label --clustering moods",
        "map --html x.html --colour mood",
        "serve --published-locally --host localhost",
        "compare --clip 1 --clip 2 --csv - --overwrite",
        "trend 1 --csv - --overwrite",
        "trend 1 --png t.html --html t.html",
        "compare --clip 1 --clip 2 --csv c.html --html ./c.html",
    ],
)
def test_what_no_archive_could_have_makes_no_sense(archive, line):
    done = archive(line)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("finetune --model ./none --output out --task none", "./none"),
        ("finetune --model acoustic --output taken.wav --task none", "taken.wav"),
        ("map --html m.html --clustering none --method umap", "no clustering none"),
        ("serve --model voice", "not of voice"),
    ],
)
def test_arguments_are_looked_at_before_any_work(archive, line, named):
    done = archive(line)
    assert (done.code, done.out) == (1, "")
    assert named in done.err


def words(command: Any, wanted: list[str]) -> list[str]:
    """A command line with these of its options and arguments, and with those that it needs."""
    given, asked = [], dict(one.replace("!=", "=").partition("=")[::2] for one in wanted)
    for option in command.params:
        name = option.name.upper() if option.param_type_name == "argument" else option.opts[0]
        if name in asked or option.required:
            value = asked.pop(name, "") or "2"
            given += [] if name.isupper() else [name]
            given += [] if getattr(option, "is_flag", False) else [value]
    assert not asked, f"{command.name} has no {asked}"
    return given


def test_an_option_without_what_it_goes_with_is_refused(run):
    for name, rows in WITH.items():
        for options, others in rows.items():
            words(LEAVES[name], others.split())  # raises where there is none of this name
            for option in options.split():
                done = run(name, *words(LEAVES[name], [option]))
                assert (done.code, done.out) == (2, ""), (name, option)
                assert done.err.startswith(f"error: {option} goes with "), (name, option)


def test_options_that_mean_nothing_together_are_refused(run):
    for name, rows in WITHOUT.items():
        for options, others in rows.items():
            first, *more = options.split()
            for one, two in [(first, other) for other in others.split()] + [
                (option, others.split()[0]) for option in more
            ]:
                given = words(LEAVES[name], [one, two])
                with pytest.raises(InvalidInputError, match=" goes with"):
                    LEAVES[name].main(given, standalone_mode=False)
            done = run(name, *given)
            assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), (name, given)


def test_beside_what_they_go_with_they_are_taken(archive):
    for line in (
        "search --clip 1 --label anger --task emotion",
        "list clips --min-duration 1 --max-duration 1 --after 2026-01-01 --before 2026-01-02",
        "list labels --task emotion",
        "list clips --sort score --order asc",
        "list recordings --sort share --label anger",
        "extract --recording 1 --start 0.2 -o x.wav",
        "tune --restore 0",
        "trend 1 --smooth 5 --csv x.csv",
        "trend 1 --csv x.csv --overwrite",
        "compare --clip 1 --clip 2 --csv -",
    ):
        assert archive(line).code == 0, line


def test_ctrl_c_while_the_program_is_imported_leaves_no_traceback():
    code = """
import sys

class Interrupted:
    def find_spec(self, name, path, target=None):
        if name == "typer":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupted())
from emotion_search.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
