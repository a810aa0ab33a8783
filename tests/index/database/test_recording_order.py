"""The order of recordings by the share of their time that passes a filter."""

import numpy as np

from emotion_search.index.database.connection import Database
from emotion_search.index.database.files import FileFacts
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.models import activate_model
from emotion_search.index.database.recording_details import find_recordings
from emotion_search.index.database.recordings import (
    Annotations,
    NewClip,
    NewRecording,
    add_recordings,
)
from tests.archives import CLASSES


def test_recordings_come_by_the_share_of_their_time_that_passes(database: Database):
    angry_until = {"calm.wav": 0.0, "half.wav": 2.0, "most.wav": 3.0, "less.wav": 1.0}
    with database.write() as session:
        model = activate_model(
            session, name="made", fingerprint="f" * 64, dimension=2, classes=CLASSES
        )
        for name, until in angry_until.items():
            clips = [
                NewClip(None, start, end, np.ones(2, np.float32), np.array(scores, np.float32))
                for start, end, scores in ((0.0, until, (1, 0)), (until, 4.0, (0, 1)))
                if start < end
            ]
            file = FileFacts(f"/made/{name}", 1, 1)
            new = NewRecording(
                file, name, name.ljust(64, "0"), 4.0, 16_000, 1, Annotations(), clips
            )
            add_recordings(session, model.id, [new])[0]
    with database.read() as session:
        wanted = ClipFilter(emotions=("anger",))
        found, total = find_recordings(session, wanted, order="share", limit=2)
        rest, _ = find_recordings(session, wanted, order="share", limit=2, skip=2)
        assert [one.name for one in [*found, *rest]] == ["most.wav", "half.wav", "less.wav"]
        assert [one.share for one in [*found, *rest]] == [0.75, 0.5, 0.25]
        assert total == 3
