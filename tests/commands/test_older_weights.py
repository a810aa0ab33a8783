"""An archive of earlier weights of the built-in model: what is said, and that it helps."""

import re
import shlex

from sqlalchemy import text

from emotion_search import Library, Settings
from tests.commands.test_cli import ingest, manifest, run
from tests.conftest import tone, write_wav

__all__ = ["manifest", "run"]  # fixtures


def test_the_cure_that_is_named_works(run, manifest, tmp_path):
    ingest(run, manifest)
    home = Settings(home=tmp_path / "home")
    with Library.open(home) as library, library.database.write() as session:
        session.execute(text("UPDATE models SET fingerprint = :old"), {"old": "a" * 64})
    new = write_wav(tmp_path / "new.wav", tone(1.0))
    refused = run("ingest", new)
    assert refused.code == 1
    assert len(run("search", "--clip", 1, "--json", "--limit", 3).records) == 3
    cure = re.search(r"with: (.*)", refused.err)[1]
    for command in cure.split(" && "):
        done = run(*shlex.split(command.removeprefix("emotion-search ")))
        assert done.code == 0, done.err
    assert run("ingest", new, "--json").records[0]["recordings"] == 1
