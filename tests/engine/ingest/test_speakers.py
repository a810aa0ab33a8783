"""Each channel of a call has its speaker, and each span that says so its own."""

from pathlib import Path

import numpy as np
import pytest

from emotion_search import ClipFilter, IngestOptions, Library, Settings, find_audio, read_manifest
from emotion_search.engine.audio.channels import parse_channels
from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.service.uploads import UploadFields, take_in
from emotion_search.index.database.baselines import located, places_of
from emotion_search.index.database.recordings import Annotations, annotate
from emotion_search.index.database.spans import Side
from emotion_search.index.errors import AudioError
from emotion_search.index.vectors.baselines import Place
from tests.conftest import write_wav

ROWS = "call.wav,1,customer 17,anger,desk\ncall.wav,0,agent Jo,neutral,desk\n"


@pytest.fixture
def call(tmp_path: Path) -> Path:
    agent, customer = (
        speak(manner, speaker=3, seed=3, seconds=3.0)[:40_000] for manner in ("neutral", "anger")
    )
    return write_wav(tmp_path / "call.wav", np.stack([agent, customer], axis=1))


def ingest(library: Library, call: Path, rows: str, channels: str = "agent=0,customer=1"):
    manifest = call.parent / "calls.csv"
    manifest.write_text("path,channel,speaker,label,source\n" + rows)
    read = read_manifest(manifest)
    assert read.problems == []
    return library.ingest(
        find_audio([str(call)], read.rows).files, IngestOptions(channels=parse_channels(channels))
    )


def speakers(library: Library) -> dict[int | None, str | None]:
    return {clip.channel: clip.speaker for clip in library.clips()}


def test_a_row_for_each_channel_gives_it_its_speaker_and_label(library: Library, call: Path):
    ingest(library, call, ROWS)
    assert speakers(library) == {0: "agent Jo", 1: "customer 17"}
    assert {clip.channel: clip.label for clip in library.clips()} == {0: "neutral", 1: "anger"}
    assert library.recording(1).speaker is None
    for name, channel in (("customer 17", 1), ("agent Jo", 0)):
        (clip,) = library.clips(ClipFilter(speakers=(name,)))
        assert clip.channel == channel
        (other,) = library.clips(ClipFilter(not_speaker=name))
        assert other.channel != channel
    assert library.clips(ClipFilter(speakers=("somebody else",))) == []
    with library.database.read() as session:
        places = places_of(session, np.array([1, 2]))
        assert [place.speaker for place in places] == ["agent Jo", "customer 17"]
        assert located(session, Place(speaker="customer 17")).channel == 1
    (hit,) = library.search(1, per_recording=None)
    assert hit.same_speaker is False


def test_a_name_of_the_whole_call_is_corrected_by_rows_and_the_other_way_round(
    library: Library, call: Path
):
    ingest(library, call, "call.wav,,customer 17,,desk\n")
    assert speakers(library) == {0: "customer 17", 1: "customer 17"}
    before = library.index_status().of_revision
    ingest(library, call, "call.wav,1,customer 17,,\n")
    assert speakers(library) == {0: None, 1: "customer 17"}
    assert library.index_status().of_revision > before
    ingest(library, call, "call.wav,,everybody,,\n")
    assert speakers(library) == {0: "everybody", 1: "everybody"}
    assert library.recording(1).speaker == "everybody"


def test_a_recut_keeps_who_speaks_on_which_channel(library: Library, call: Path):
    ingest(library, call, ROWS)
    options = IngestOptions(
        channels=parse_channels("split"), segments="fixed", window=1.25, recut=True
    )
    library.ingest(find_audio([str(call)]).files, options)
    clips = library.clips()
    assert len(clips) == 4
    assert {(clip.channel, clip.speaker) for clip in clips} == {(0, "agent Jo"), (1, "customer 17")}


def test_a_channel_that_a_file_has_not_is_a_failure_new_or_known(library: Library, call: Path):
    manifest = call.parent / "ghost.csv"
    manifest.write_text("path,channel,speaker\ncall.wav,9,ghost\n")
    files = find_audio([str(call)], read_manifest(manifest).rows).files
    wrong = [(str(call), "has no channel 9 (it has 2, counted from 0)")]
    assert library.ingest(files).failed == wrong
    assert library.clips() == []
    ingest(library, call, ROWS)
    assert library.ingest(files).failed == wrong
    assert library.ingest(files, IngestOptions(rescan=True)).failed == wrong
    assert speakers(library) == {0: "agent Jo", 1: "customer 17"}
    fields = UploadFields(Annotations(sides={9: Side("ghost")}))
    with pytest.raises(AudioError, match="no channel 9"):
        take_in(library, call, name="call.wav", fields=fields)


def test_all_mixed_has_a_speaker_where_the_channels_agree(library: Library, call: Path):
    ingest(library, call, ROWS, channels="mix")
    assert speakers(library) == {None: None}
    with library.database.write() as session:
        annotate(session, {1: Annotations(sides={0: Side("Jo")})})
    assert speakers(library) == {None: "Jo"}


def test_an_export_comes_back_with_its_speakers(library: Library, call: Path, tmp_path: Path):
    ingest(library, call, ROWS)
    library.export(tmp_path / "features")
    with Library.open(Settings(home=tmp_path / "other"), create=True) as other:
        other.import_embeddings(tmp_path / "features")
        assert speakers(other) == {0: "agent Jo", 1: "customer 17"}


def test_spans_have_speakers_of_their_own(library: Library, call: Path):
    manifest = call.parent / "turns.csv"
    manifest.write_text(
        "path,start,end,speaker\ncall.wav,0,1,Jo\ncall.wav,1,2,Ann\ncall.wav,2,2.5,\n"
    )
    read = read_manifest(manifest)
    library.ingest(find_audio([str(call)], read.rows).files)
    assert [clip.speaker for clip in library.clips()] == ["Jo", "Ann", None]


def test_an_upload_names_speakers_by_channel():
    fields = UploadFields(Annotations(sides={1: Side("Ann")}))
    assert UploadFields.from_json(fields.as_json()) == fields


def test_two_rows_of_one_channel_are_a_problem(tmp_path: Path):
    (tmp_path / "m.csv").write_text("path,channel,speaker\nx.wav,1,a\nx.wav,1,b\ny.wav,line 4,c\n")
    read = read_manifest(tmp_path / "m.csv")
    assert [reason for _, reason in read.problems] == ["x.wav again, first in line 2"]
    assert read.rows[str(tmp_path / "y.wav")].metadata == {"channel": "line 4"}
