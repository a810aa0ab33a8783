"""The registry of index kinds: which kind suits an archive, and when another one does."""

import subprocess
import sys
from dataclasses import dataclass
from typing import get_args

import pytest

from emotion_search.index.vectors.flat import FlatIndex
from emotion_search.index.vectors.kinds import (
    KindName,
    is_address,
    is_outgrown,
    kind_for,
    kinds,
    without_secret,
)


@dataclass
class Stand:
    """As much of an index as the choice looks at."""

    kind: str
    count: int
    trained_on: int = 0

    @property
    def most(self) -> int:
        return kinds()[self.kind].most


def test_every_kind_is_registered_under_its_own_name():
    assert tuple(kinds()) == get_args(KindName)
    assert [kind.kind for kind in kinds().values()] == list(kinds())


@pytest.mark.parametrize(
    ("asked", "count", "suiting"),
    [
        ("auto", 0, "flat"),
        ("auto", FlatIndex.most, "flat"),
        ("auto", FlatIndex.most + 1, "quantised"),
        ("flat", 10 * FlatIndex.most, "flat"),
        ("quantised", 256, "quantised"),
        ("quantised", 255, "flat"),  # too few to train on
    ],
)
def test_the_kind_goes_by_size_unless_one_is_asked_for(asked, count, suiting):
    assert kind_for(asked, count).kind == suiting


@pytest.mark.parametrize(
    ("index", "asked", "outgrown"),
    [
        (Stand("flat", FlatIndex.most + 1), "auto", True),
        (Stand("quantised", 300, trained_on=300), "auto", False),  # it shrank, and serves on
        (Stand("quantised", 300, trained_on=300), "flat", True),
        (Stand("quantised", 100, trained_on=300), "quantised", False),
        (Stand("flat", 300, trained_on=300), "quantised", True),
        (Stand("flat", 100, trained_on=100), "quantised", False),
        (Stand("quantised", 90_000, trained_on=60_000), "auto", False),
        (Stand("quantised", 90_001, trained_on=60_000), "auto", True),
    ],
)
def test_an_index_is_made_anew_when_another_kind_or_more_training_suits(index, asked, outgrown):
    assert is_outgrown(index, asked) is outgrown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "milvus+https://tok/en#@host:19530/x?nprobe=3",
            "milvus+https://***@host:19530/x?nprobe=3",
        ),
        ("milvus+http://root:p@ss@host", "milvus+http://***@host"),
        ("milvus+http://host:19530", "milvus+http://host:19530"),
    ],
)
def test_the_address_of_an_engine_is_shown_without_its_secret(text, shown):
    assert is_address(text)
    assert without_secret(text) == shown


def test_other_texts_name_no_engine():
    assert not any(map(is_address, ["flat", "https://host", "milvus://host", "xmilvus+http://h"]))


def test_naming_a_kind_does_not_import_faiss():
    code = "import sys, emotion_search.engine.settings; assert 'faiss' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
