"""Clips, hits, recordings, status as plain data: for JSON lines, exports and API bodies."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the API's models, and so its Python client, import this
    from emotion_search.engine.archive.status import Status
    from emotion_search.index.database.clips import ClipDetails
    from emotion_search.index.database.models import ModelInfo
    from emotion_search.index.database.recording_details import RecordingDetails
    from emotion_search.index.search import Hit


def hit_record(hit: Hit) -> dict[str, Any]:
    """A hit as plain data, for JSON lines."""
    return {
        "similarity": round(hit.similarity, 6),
        "percentile": hit.percentile,
        "space": hit.space,
        "baselines": [group._asdict() for group in hit.baselines],
        "same_speaker": hit.same_speaker,
        "same_source": hit.same_source,
        **clip_record(hit.clip),
    }


def clip_fields(clip: ClipDetails) -> dict[str, Any]:
    """A clip's fields under their public names, as they are stored; no path among them."""
    return {
        "clip": clip.id,
        "recording": clip.recording_id,
        "file": clip.name,
        "source": clip.source,
        "label": clip.label,
        "start": clip.start,
        "end": clip.end,
        "channel": clip.channel,
        "channel_name": clip.channel_name,
        "speaker": clip.speaker,
        "recorded_at": clip.recorded_at,
        "labels": dict(clip.labels),
        "metadata": dict(clip.metadata),
        "emotion": clip.emotion,
        "confidence": clip.confidence,
        "scores": dict(clip.scores),
        "affect": {**clip.affect, "derived": clip.derived} if clip.affect else None,
        "predictions": {
            task: {"value": value, "probability": probability}
            for task, (value, probability) in clip.predictions.items()
        },
    }


def clip_record(clip: ClipDetails) -> dict[str, Any]:
    """A clip as plain data, for JSON lines: its file by path, numbers rounded."""
    return {
        **_rounded(clip_fields(clip)),
        "file": clip.path or clip.name,
        "start": round(clip.start, 3),
        "end": round(clip.end, 3),
        "recorded_at": clip.recorded_at.isoformat() if clip.recorded_at else None,
    }


def _rounded(value: Any) -> Any:
    """Plain data with its numbers to six decimals."""
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return round(value, 6) if isinstance(value, float) else value


def recording_record(one: RecordingDetails) -> dict[str, Any]:
    """A recording as plain data, for JSON lines."""
    rest = {name: value for name, value in vars(one).items() if name not in ("id", "name")}
    return {
        "recording": one.id,
        "file": one.name,
        **rest,
        "recorded_at": one.recorded_at.isoformat() if one.recorded_at else None,
        "ingested_at": one.ingested_at.isoformat(),
    }


def model_record(model: ModelInfo) -> dict[str, Any]:
    """A model as plain data, for exports."""
    return {
        "model": model.name,
        "fingerprint": model.fingerprint,
        "dimension": model.dimension,
        "classes": list(model.classes),
    }


def status_record(status: Status) -> dict[str, Any]:
    """A status as plain data."""
    counts = asdict(status.counts)
    model = status.model
    return {
        **{n: counts[n] for n in ("recordings", "clips", "labelled", "failures", "undated")},
        "duration": round(status.counts.duration, 3),
        "model": model.name if model else None,
        "dimension": model.dimension if model else None,
        "classes": list(model.classes) if model else [],
        "fingerprint": model.fingerprint if model else None,
        "adapted": status.adapted,
        "min_confidence": status.min_confidence,
        "space": status.space.version if status.space else 0,
        "method": status.space.method.value if status.space else None,
        "sources": counts["sources"],
        "labels": counts["labels"],
        "emotions": counts["emotions"],
        "database": status.database,
        "home": status.home,
    }
