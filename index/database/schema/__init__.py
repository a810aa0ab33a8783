"""SQLAlchemy tables of an archive; the migrations create exactly these."""

from emotion_search.index.database.schema.clips import (
    SPEAKER,
    Archive,
    Clip,
    Embedding,
    Forgotten,
    Label,
    Location,
    Metadatum,
    Recording,
    Tombstone,
)
from emotion_search.index.database.schema.columns import (
    Base,
    BigId,
    Sealed,
    UtcDateTime,
    as_details,
    is_whole,
)
from emotion_search.index.database.schema.ingest import Failure, IngestRun, IngestSlice, Job
from emotion_search.index.database.schema.learned import (
    ClassifierRow,
    ClusteringRow,
    ClusterMember,
    Prediction,
)
from emotion_search.index.database.schema.models import BaselineRow, CalibrationRow, Model, SpaceRow
from emotion_search.index.database.schema.service import (
    AlertRow,
    ApiKey,
    DeliveryRow,
    Firing,
    WebhookRow,
)

SCHEMA_VERSION = "0018"
"""The migration that this code speaks; a test holds it equal to Alembic's head."""

__all__ = [
    "SCHEMA_VERSION",
    "SPEAKER",
    "AlertRow",
    "ApiKey",
    "Archive",
    "Base",
    "BaselineRow",
    "BigId",
    "CalibrationRow",
    "ClassifierRow",
    "Clip",
    "ClusterMember",
    "ClusteringRow",
    "DeliveryRow",
    "Embedding",
    "Failure",
    "Firing",
    "Forgotten",
    "IngestRun",
    "IngestSlice",
    "Job",
    "Label",
    "Location",
    "Metadatum",
    "Model",
    "Prediction",
    "Recording",
    "Sealed",
    "SpaceRow",
    "Tombstone",
    "UtcDateTime",
    "WebhookRow",
    "as_details",
    "is_whole",
]
