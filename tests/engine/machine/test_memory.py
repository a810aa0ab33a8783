"""Memory is given back, and the user's own setting of oneDNN's cache stands."""

import os

from emotion_search.engine.machine import memory
from emotion_search.engine.machine.memory import bound_kernel_cache, release_free_memory


def test_the_environment_goes_before_our_bound(monkeypatch):
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    bound_kernel_cache()
    assert int(os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"]) < 1024
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "2000")
    bound_kernel_cache()
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "2000"


def test_all_free_memory_is_given_back_where_a_c_library_keeps_it(monkeypatch):
    kept = []
    for trim in (None, kept.append):
        monkeypatch.setattr(memory, "_trim", lambda trim=trim: trim)
        release_free_memory()
    assert kept == [0]  # bytes that may stay


def test_the_c_library_is_asked_for_what_gives_memory_back():
    trim = memory._trim()
    assert trim is None or trim(0) in (0, 1)
