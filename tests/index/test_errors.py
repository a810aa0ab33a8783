"""What is said of errors that are not ours."""

import pytest

from emotion_search.index.errors import reason


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FileNotFoundError(2, "No such file", "/secret/a.wav"), "No such file"),
        (RuntimeError("\n first\nsecond"), "first"),
        (EOFError(), "EOFError"),
        (OSError(), "OSError"),
    ],
)
def test_a_reason_is_a_line_without_paths_of_the_system_and_never_empty(error, words):
    assert reason(error) == words
