"""Texts, channels and paths as they are given: what is taken, and what is one too many."""

from pathlib import Path

import pytest

from emotion_search.engine.files.scan import LONGEST_PATH
from emotion_search.engine.files.values import check_text, parse_channel, parse_path
from emotion_search.index.errors import InvalidInputError


def test_a_text_has_up_to_two_hundred_characters_without_blanks_around_them():
    assert check_text("label", f" {'x' * 200} ") == "x" * 200
    for wrong, length in (("x" * 201, 201), ("  ", 0)):
        with pytest.raises(InvalidInputError, match=f"label must have 1 to 200 .*, not {length}$"):
            check_text("label", wrong)


@pytest.mark.parametrize("text", ["64", "-1", "1.5", "", "left", "0000000", "1" * 5000])
def test_a_channel_is_a_number_from_0_to_63(text: str):
    given = ("0", "63", "000007", None)
    assert [parse_channel(one) for one in given] == [0, 63, 7, None]
    with pytest.raises(ValueError, match="is not a number from 0"):
        parse_channel(text)


def test_an_object_of_a_bucket_has_its_address_and_a_file_its_absolute_path(tmp_path: Path):
    assert parse_path("s3://calls/a b.wav", tmp_path) == "s3://calls/a b.wav"
    assert parse_path("../x/./y.wav", tmp_path / "in") == str(tmp_path / "x" / "y.wav")
    assert parse_path("/abs/y.wav", tmp_path) == "/abs/y.wav"


def test_backslashes_are_slashes_where_only_that_is_a_file(tmp_path: Path):
    (tmp_path / "in").mkdir()
    slashes = tmp_path / "in" / "x.wav"
    assert parse_path("in\\x.wav", tmp_path) == str(tmp_path / "in\\x.wav")  # neither is there
    slashes.touch()
    assert parse_path("in\\x.wav", tmp_path) == str(slashes)
    (tmp_path / "in\\x.wav").touch()
    assert parse_path("in\\x.wav", tmp_path) == str(tmp_path / "in\\x.wav")


def test_a_path_is_no_longer_than_a_database_takes(tmp_path: Path):
    longest = "/" + "é" * ((LONGEST_PATH - 1) // 2) + "x" * ((LONGEST_PATH - 1) % 2)
    assert parse_path(longest, tmp_path) == longest
    with pytest.raises(ValueError, match=f"longer than {LONGEST_PATH} bytes"):
        parse_path(longest + "x", tmp_path)
