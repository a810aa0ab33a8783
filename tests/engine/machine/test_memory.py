"""Memory is given back, and the user's own setting of oneDNN's cache stands."""

import os

from emotion_search.engine.machine.memory import bound_kernel_cache, release_free_memory


def test_the_environment_goes_before_our_bound(monkeypatch):
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    bound_kernel_cache()
    assert int(os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"]) < 1024
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "2000")
    bound_kernel_cache()
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "2000"


def test_memory_can_be_given_back_without_a_c_library_that_keeps_it(monkeypatch):
    release_free_memory()
    monkeypatch.setattr("emotion_search.engine.machine.memory._trim", lambda: None)
    release_free_memory()
