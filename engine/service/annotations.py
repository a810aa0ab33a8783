"""What a sender says about an upload: how it is to be taken in, and as a job holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from emotion_search.engine.audio.channels import MIX, Channels, parse_channels
from emotion_search.index.database.recordings import Annotations


@dataclass(frozen=True)
class UploadSaid:
    """What is said about an upload.

    Attributes:
        annotations: about the recording.
        channels: which become clips.
    """

    annotations: Annotations = field(default_factory=Annotations)
    channels: Channels = MIX

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        said = self.annotations
        return {
            "source": said.source,
            "speaker": said.speaker,
            "recorded_at": said.recorded_at.isoformat() if said.recorded_at else None,
            "labels": dict(said.labels),
            "metadata": dict(said.metadata),
            "channels": str(self.channels),
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> UploadSaid:
        """What ``as_json`` gave."""
        moment = told["recorded_at"]
        annotations = Annotations(
            source=told["source"],
            speaker=told["speaker"],
            recorded_at=datetime.fromisoformat(moment) if moment else None,
            labels=told["labels"],
            metadata=told["metadata"],
        )
        return cls(annotations, parse_channels(told.get("channels", str(MIX))))
