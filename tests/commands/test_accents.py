"""Options that name tasks mean the same however their accents are written."""

import unicodedata

import pytest

from tests.commands.test_cli import ingest, manifest, run

__all__ = ["manifest", "run"]  # fixtures

NFC, NFD = "Größe", unicodedata.normalize("NFD", "Größe")


@pytest.mark.parametrize("command", ["train", "classify"])
def test_a_task_is_named_in_nfc(run, manifest, command):
    ingest(run, manifest)
    run("label", 1, 2, "--task", NFD, "--label", "a")
    error = run(command, "--task", NFD).err
    assert NFC in error
    assert NFD not in error
