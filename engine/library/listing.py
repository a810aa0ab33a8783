"""Library methods that are one read or write of the database: rows, pages, counts, labels."""

from __future__ import annotations

from emotion_search.engine.archive.archive import Archive
from emotion_search.engine.library.sessions import reads, reads_model, writes
from emotion_search.index.database.alerts import delete_alert, list_alerts
from emotion_search.index.database.changes import archive_revision
from emotion_search.index.database.classifiers import delete_classifier, list_classifiers
from emotion_search.index.database.clips import (
    ClipDetails,
    clip_details,
    clips_of,
    get_clip,
    list_clips,
    vectors_of,
)
from emotion_search.index.database.clusterings import (
    delete_clustering,
    get_clustering,
    list_clusterings,
)
from emotion_search.index.database.coverage import list_holdings
from emotion_search.index.database.files import list_failures
from emotion_search.index.database.known_values import count_values, unknown_values
from emotion_search.index.database.labels import label_pairs, list_labels, list_tasks, set_labels
from emotion_search.index.database.models import active_model
from emotion_search.index.database.recording_details import (
    clips_of_recording,
    counts_of,
    find_recordings,
    locations_of,
    read_recording,
)
from emotion_search.index.database.slices import drop_run, list_runs
from emotion_search.index.database.spaces import list_spaces
from emotion_search.index.database.webhooks import (
    delete_webhook,
    list_deliveries,
    list_webhooks,
    queue_test,
    replay_delivery,
)
from emotion_search.index.vectors.arrays import Vectors


class Listing(Archive):
    """Methods of ``Library`` that one function of the database each answers; its docstring is
    theirs, and tells arguments and errors."""

    recording = reads(read_recording)
    """One recording, with counts of its clips and labels."""
    find_recordings = reads(find_recordings)
    """A page of recordings in an order, and how many there are in all."""
    counts_of = reads(counts_of)
    """How many clips, labels, files and seconds some recordings have."""
    clip = reads_model(get_clip)
    """One clip."""
    clips = reads_model(list_clips)
    """A page of the clips that pass a filter, by id."""
    clip_page = reads_model(clips_of_recording)
    """A page of the clips of a recording, by id."""
    details = reads_model(clip_details)
    """The clips with some ids, in their order."""
    label = writes(set_labels)
    """Set labels of clips: id, task, and value (None takes it away); returns unknown ids."""
    tasks = reads(list_tasks)
    """Number of labels by task."""
    labels = reads(list_labels)
    """Number of clips by the labels of a task."""
    label_pairs = reads(label_pairs)
    """Number of clips by their labels under two tasks, of those that have both."""
    values = reads(count_values)
    """Sources, speakers or labels of clips, counted."""
    unknown_values = reads_model(unknown_values)
    """A sentence for each value of a filter that no clip has."""
    failures = reads(list_failures)
    """Files that could not be ingested or hold no speech, latest first."""
    revision = reads(archive_revision)
    """A text that is another one whenever something in the archive changed, but for failures and
    what nobody embedded yet."""
    spaces = reads_model(list_spaces)
    """The spaces of the archive, the plain one first; none while it is empty."""
    holdings = reads(list_holdings)
    """The models of the archive, how many clips have an embedding under each, which serves."""
    classifiers = reads(list_classifiers)
    """The classifiers of the archive, or those of a task, by task and version."""
    delete_classifier = writes(delete_classifier)
    """Delete a classifier with its predictions; returns how many those were."""
    clusterings = reads(list_clusterings)
    """The saved clusterings, by name."""
    clustering = reads(get_clustering)
    """A saved clustering."""
    delete_clustering = writes(delete_clustering)
    """Delete a saved clustering."""
    alerts = reads(list_alerts)
    """The alert rules that are kept, by name."""
    delete_alert = writes(delete_alert)
    """Keep an alert rule no longer."""
    webhooks = reads(list_webhooks)
    """The webhooks, by id."""
    delete_webhook = writes(delete_webhook)
    """Delete a webhook with its deliveries."""
    deliveries = reads(list_deliveries)
    """A page of the deliveries of a webhook, latest first."""
    replay_delivery = writes(replay_delivery)
    """Have a delivery sent again."""
    test_webhook = writes(queue_test)
    """Have an event sent to a webhook that says nothing but that it arrives."""
    shared_ingests = reads(list_runs)
    """The ingests that workers share, as they stand, latest first."""
    drop_shared_ingest = writes(drop_run)
    """Forget a shared ingest, with what of it is not taken in yet."""

    def paths(self, recording_id: int) -> list[str]:
        """Where the recording's bytes were seen, in alphabetical order."""
        with self.database.read() as session:
            return [one.path for one in locations_of(session, recording_id)]

    def clips_of(self, recording_id: int) -> list[ClipDetails]:
        """The clips of a recording, in time order."""
        with self.database.read() as session:
            return clip_details(session, active_model(session), clips_of(session, recording_id))

    def embedding(self, clip_id: int) -> Vectors:
        """The stored embedding of a clip by the archive's model: float32 (dim,), not in any space.

        Raises:
            NotFoundError: no such clip, or it has no embedding of this model.
        """
        with self.database.read() as session:
            model = active_model(session)
            get_clip(session, model, clip_id)  # raises where there is no such clip at all
            assert model is not None
            vector: Vectors = vectors_of(session, model, [clip_id])[0]
            return vector
