"""Sources, speakers and labels of an archive, counted."""

from inspect import signature

from emotion_search import ClipFilter, Library


def test_values_are_counted_on_either_database(filled: Library):
    anger = ClipFilter(labels=("anger",))

    sources = filled.values("source")
    speakers = filled.values("speaker", anger)
    labels = filled.values("label", ClipFilter(sources=("studio",)))

    assert [(one.value, one.recordings, one.clips) for one in sources] == [
        ("field", 6, 6),
        ("studio", 6, 6),
    ]
    assert [(one.value, one.clips) for one in speakers] == [(f"voice{i}", 1) for i in range(3)]
    assert [(one.value, one.clips) for one in labels] == [("anger", 3), ("neutral", 3)]


def test_help_on_a_method_shows_the_arguments_that_it_takes(filled: Library):
    assert [*signature(filled.clip).parameters] == ["clip_id"]
    assert [*signature(filled.labels).parameters] == ["task"]
    assert "NotFoundError" in (filled.clip.__doc__ or "")
