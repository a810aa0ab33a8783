"""Upload to trend with what openapi-python-client made: ``walk.py URL KEY FILE``."""

import io
import sys
import time
from pathlib import Path

from emotion_client import AuthenticatedClient
from emotion_client.api.jobs import job as read_job
from emotion_client.api.recordings import add_recording, audio, recording
from emotion_client.api.search import search
from emotion_client.api.trends import recording_trend
from emotion_client.models import (
    ByClip,
    JobOut,
    JobOutStatus,
    RecordingOut,
    RecordingTrendOut,
    SearchIn,
    SearchOut,
    UploadRecording,
    UploadSearch,
)
from emotion_client.types import File

_, url, key, path = sys.argv
client = AuthenticatedClient(base_url=url, token=key, raise_on_unexpected_status=True)


def sound() -> File:
    """The file to send."""
    return File(io.BytesIO(Path(path).read_bytes()), "walk.wav", "audio/wav")


body = UploadRecording(file=sound(), source="walk", metadata=["by=client"])
job = add_recording.sync(client=client, body=body)
assert isinstance(job, JobOut), job
while job.status in (JobOutStatus.QUEUED, JobOutStatus.RUNNING):
    time.sleep(0.1)
    job = read_job.sync(job.job, client=client)
    assert isinstance(job, JobOut), job
assert job.recording is not None, job.problem

by_file = search.sync(client=client, body=UploadSearch(file=[sound()], limit=3))
assert isinstance(by_file, SearchOut), by_file
again = SearchIn(positive=[ByClip(clip=by_file.hits[0].clip)], source=["walk"], per_recording=0)
by_clip = search.sync(client=client, body=again)
assert isinstance(by_clip, SearchOut), by_clip

found = recording.sync(job.recording, client=client)
assert isinstance(found, RecordingOut), found
played = audio.sync(found.recording, client=client, end=1.0)
assert isinstance(played, File), played
trend = recording_trend.sync(found.recording, client=client)
assert isinstance(trend, RecordingTrendOut), trend
print(found.file, len(by_file.hits), len(by_clip.hits), played.payload.read(4), len(trend.channels))
