"""Which channels of a recording become clips, and what they are called."""

from __future__ import annotations

from dataclasses import dataclass, field

from emotion_search.index.database.text import clean
from emotion_search.index.errors import InvalidInputError

_MOST = 64  # channels of a recording
_LONGEST = 50  # characters of a channel's name


@dataclass(frozen=True)
class Track:
    """A channel (counted from 0; None for all mixed down) and its name, if it has one."""

    channel: int | None
    name: str | None = None


@dataclass(frozen=True)
class Channels:
    """The tracks that are wanted; None for every channel there is.

    Attributes:
        asked: somebody said so.
        sound_track: the number of the one that is taken of several, from 1; None for the first
            with speech.
    """

    tracks: tuple[Track, ...] | None = (Track(None),)
    asked: bool = field(default=True, compare=False)
    sound_track: int | None = None

    @property
    def wanted(self) -> list[int | None] | None:
        """The channels alone."""
        return None if self.tracks is None else [track.channel for track in self.tracks]

    def track(self, i: int) -> Track:
        """What the i-th of the channels that are read is."""
        return Track(i) if self.tracks is None else self.tracks[i]

    @property
    def of_track(self) -> str:
        """How the description of a cut ends that is of a named sound track; see ``track_of``."""
        return f"{_OF_TRACK}{self.sound_track}" if self.sound_track else ""

    def __str__(self) -> str:
        if self.tracks is None:
            return f"split{self.of_track}"
        if self.tracks == (Track(None),):
            return f"mix{self.of_track}"
        named = (f"{t.name}={t.channel}" if t.name else str(t.channel) for t in self.tracks)
        return ",".join(named) + self.of_track


_OF_TRACK = " of track "


def track_of(cut: str | None) -> int | None:
    """The sound track that a recording was cut from, by how it was cut (``IngestOptions.cut``)."""
    _, found, number = (cut or "").rpartition(_OF_TRACK)
    return int(number) if found and number.isdecimal() else None


MIX, SPLIT = Channels(), Channels(None)
UNASKED = Channels(asked=False)
"""What is taken where nobody says: all mixed down."""

MIXED = (
    "channels were mixed, since nobody said which to take; if one is an agent's, take the"
    " customer's alone: in the European Union, inferring emotions of people at work is prohibited"
    " (AI Act, article 5(1)(f))"
)
"""What somebody should know whose recordings of several channels were taken so."""


def parse_channels(text: str) -> Channels:
    """``mix`` (all in one), ``split`` (each by itself), or channels counted from 0, by number or
    as ``NAME=N``, with commas between.

    Raises:
        InvalidInputError: it is none of these.
    """
    if text in ("mix", "split"):
        return MIX if text == "mix" else SPLIT
    tracks = []
    for part in text.split(","):
        name, equals, number = part.strip().rpartition("=")
        named = bool(name) and len(name) <= _LONGEST and not name.isdigit()
        known = number.isdecimal() and len(number) <= 6 and int(number) < _MOST
        if not known or (equals and not named):
            raise InvalidInputError(
                f"channels {text!r}: give mix, split, or numbers from 0, such as 1 or customer=1"
            )
        tracks.append(Track(int(number), clean("channel name", name) if name else None))
    if len({track.channel for track in tracks}) < len(tracks):
        raise InvalidInputError(f"channels {text!r}: a channel is named twice")
    return Channels(tuple(tracks))
