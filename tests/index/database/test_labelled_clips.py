"""What is known of labelled clips besides their labels, on either database."""

import numpy as np

from emotion_search.index.database.baselines import voices_of_clips
from emotion_search.index.database.connection import Database
from emotion_search.index.database.files import FileFacts
from emotion_search.index.database.labelled_clips import context_of
from emotion_search.index.database.models import activate_model
from emotion_search.index.database.recordings import (
    Annotations,
    NewClip,
    NewRecording,
    add_recordings,
)

KNOWN = (
    Annotations(source="desk", speaker="s", metadata={"text": "good day", "line": "1"}),
    Annotations(source="desk", metadata={"line": "2"}),
    Annotations(speaker="t"),
)


def test_sources_sentences_and_scores_of_clips_in_the_order_asked_for(database: Database):
    with database.write() as session:
        model = activate_model(
            session, name="m", fingerprint="f" * 64, dimension=3, classes=("a", "b")
        )
        for i, known in enumerate(KNOWN):
            scores = np.array([0.25, 0.75] if i else [0.5, 0.5], np.float32)
            clips = [NewClip(None, t, t + 1.0, np.ones(3, np.float32), scores) for t in (0.0, 1.0)]
            facts = FileFacts(f"/{i}.wav", 1, 1)
            new = NewRecording(facts, f"{i}.wav", f"{i:064d}", 2.0, 16_000, 1, known, clips)
            add_recordings(session, model.id, [new])[0]
    ids = np.array([5, 1, 4, 2], np.int64)
    with database.read() as session:
        found = context_of(session, model, ids, "text")
        lines = context_of(session, model, ids, "line").sentences
        voices, sources = voices_of_clips(session, ids)
    assert found.sources.tolist() == sources.tolist() == ["", "desk", "desk", "desk"]
    assert found.sentences == ["", "good day", "", "good day"]
    assert lines == ["", "1", "2", "1"]
    assert voices.tolist() == ["speaker t", "speaker s", "recording 2", "speaker s"]
    np.testing.assert_array_equal(found.scores[[0, 2]], [[0.25, 0.75]] * 2)
    np.testing.assert_array_equal(found.scores[[1, 3]], [[0.5, 0.5]] * 2)
    assert found.scores.dtype == np.float32
