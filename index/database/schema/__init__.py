"""SQLAlchemy tables of an archive; the migrations create exactly these."""

from emotion_search.index.database.schema.clips import SPEAKER as SPEAKER
from emotion_search.index.database.schema.clips import Archive as Archive
from emotion_search.index.database.schema.clips import Clip as Clip
from emotion_search.index.database.schema.clips import Embedding as Embedding
from emotion_search.index.database.schema.clips import Forgotten as Forgotten
from emotion_search.index.database.schema.clips import Label as Label
from emotion_search.index.database.schema.clips import Location as Location
from emotion_search.index.database.schema.clips import Metadatum as Metadatum
from emotion_search.index.database.schema.clips import Recording as Recording
from emotion_search.index.database.schema.clips import Tombstone as Tombstone
from emotion_search.index.database.schema.columns import Base as Base
from emotion_search.index.database.schema.columns import BigId as BigId
from emotion_search.index.database.schema.columns import Sealed as Sealed
from emotion_search.index.database.schema.columns import UtcDateTime as UtcDateTime
from emotion_search.index.database.schema.columns import as_details as as_details
from emotion_search.index.database.schema.columns import is_whole as is_whole
from emotion_search.index.database.schema.ingest import Failure as Failure
from emotion_search.index.database.schema.ingest import IngestRun as IngestRun
from emotion_search.index.database.schema.ingest import IngestSlice as IngestSlice
from emotion_search.index.database.schema.ingest import Job as Job
from emotion_search.index.database.schema.learned import ClassifierRow as ClassifierRow
from emotion_search.index.database.schema.learned import ClusteringRow as ClusteringRow
from emotion_search.index.database.schema.learned import ClusterMember as ClusterMember
from emotion_search.index.database.schema.learned import Prediction as Prediction
from emotion_search.index.database.schema.models import BaselineRow as BaselineRow
from emotion_search.index.database.schema.models import CalibrationRow as CalibrationRow
from emotion_search.index.database.schema.models import Model as Model
from emotion_search.index.database.schema.models import SpaceRow as SpaceRow
from emotion_search.index.database.schema.service import EVENTS as EVENTS
from emotion_search.index.database.schema.service import TEST as TEST
from emotion_search.index.database.schema.service import AlertRow as AlertRow
from emotion_search.index.database.schema.service import ApiKey as ApiKey
from emotion_search.index.database.schema.service import DeliveryRow as DeliveryRow
from emotion_search.index.database.schema.service import Firing as Firing
from emotion_search.index.database.schema.service import WebhookRow as WebhookRow

SCHEMA_VERSION = "0020"
"""The migration that this code speaks; a test holds it equal to Alembic's head."""
