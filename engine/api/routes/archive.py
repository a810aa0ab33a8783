"""What the archive holds: counts, tasks and labels, models, failures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field

from emotion_search.engine.api.http.access import Admin, Reader, Writer
from emotion_search.engine.api.http.bodies import Asked, json_body
from emotion_search.engine.api.http.deps import LibraryDep, in_thread
from emotion_search.engine.api.http.openapi import answers, json_or_form
from emotion_search.engine.api.http.problems import answered, without_paths
from emotion_search.engine.api.wire.annotations import EraseIn, Labelled, LabelsIn
from emotion_search.engine.api.wire.archive import (
    AllSharedWork,
    Counts,
    FailureKind,
    FailureOut,
    FailurePage,
    ModelOut,
    Models,
    SharedWork,
    StatsOut,
    stats_out,
)
from emotion_search.engine.api.wire.clips import model_name
from emotion_search.engine.api.wire.filters import MOST_LISTED, Text
from emotion_search.engine.api.wire.recordings import ErasedAll
from emotion_search.engine.embedders.catalogue import list_models
from emotion_search.engine.files.values import LONGEST, check_text
from emotion_search.engine.quality.agreement import Agreement, agreement_of
from emotion_search.index.database.files import FailureDetails
from emotion_search.index.database.filters import EMOTION

router = APIRouter(prefix="/v1", tags=["archive"])

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class FailureQuery(Asked):
    """Parameters of a list of failures."""

    kind: FailureKind | None = Field(
        default=None, description="Only those that `failed`, or that are `silent`."
    )
    limit: int = Field(default=100, ge=1, le=MOST_LISTED, description="Most rows of the page.")
    cursor: str | None = Field(
        default=None, pattern=r"^\d{1,16}-\d{1,9}$", description="`next` of the page before."
    )


@router.get("/stats", summary="What the archive holds")
def stats(library: LibraryDep, _: Reader) -> StatsOut:
    """Counts of recordings, clips, labels and failures, and the embedding model."""
    loaded = library.loaded()
    return stats_out(library.status(), text=loaded is not None and loaded.knows_texts)


@router.get("/tasks", summary="List tasks")
def tasks(library: LibraryDep, _: Reader) -> Counts:
    """Tasks under which clips are labelled, and how many labels each has."""
    return Counts.of(library.tasks())


@router.get("/labels", summary="List labels")
def labels(
    library: LibraryDep,
    _: Reader,
    task: Annotated[
        Text, Query(min_length=1, max_length=LONGEST, description="Labels of this task.")
    ] = EMOTION,
) -> Counts:
    """Labels of a task, most clips first; none where nothing was labelled under it."""
    return Counts.of(library.labels(task))


@router.get("/agreement", summary="Agreement of two labellers", responses=answers(404))
def agreement(
    library: LibraryDep,
    _: Reader,
    task: Annotated[
        Text, Query(min_length=1, max_length=LONGEST, description="Labels of this task.")
    ],
    other: Annotated[
        Text, Query(min_length=1, max_length=LONGEST, description="Labels of that task.")
    ],
) -> Agreement:
    """How far the labels of two tasks agree, on clips that have both: of two people who label
    under a task each, such as `emotion` and `emotion, Ann`."""
    return agreement_of(library.label_pairs(task, other))


@router.post(
    "/labels", summary="Label many clips", openapi_extra={"requestBody": json_or_form(LabelsIn)}
)
async def set_labels(request: Request, library: LibraryDep, _: Writer) -> Labelled:
    """Sets or takes away up to 1000 labels at once: all of them, or where something fails none.
    Those of unknown clips are passed over, and named. Of several for the same clip and task the
    last counts."""
    asked = (await json_body(request, LabelsIn)).labels
    labels = [
        (one.clip, check_text("task", one.task), one.value and check_text("value", one.value))
        for one in asked
    ]
    unknown = await in_thread(library.label, labels)
    return Labelled(labelled=len({one.clip for one in asked}) - len(unknown), unknown=unknown)


@router.post(
    "/erasures",
    summary="Erase many recordings",
    openapi_extra={"requestBody": json_or_form(EraseIn)},
)
async def erase_many(request: Request, library: LibraryDep, _: Admin) -> ErasedAll:
    """Erases up to 1000 recordings, as erasing each does; those that are none are named."""
    asked = (await json_body(request, EraseIn)).recordings
    erased = await in_thread(library.forget_each, asked)
    return ErasedAll(erased=erased, unknown=sorted({*asked} - {*erased}))


@router.get("/models", summary="List models")
def models(library: LibraryDep, _: Reader) -> Models:
    """Embedding models that the server knows, and which of them serves the archive."""
    known = list_models(library.settings, library.holdings())
    return Models(
        data=[
            ModelOut.model_validate(
                {
                    **vars(one),
                    "name": model_name(one.name),
                    "available": one.place != "not downloaded",
                }
            )
            for one in known
        ]
    )


@router.get("/failures", summary="List failures")
def failures(
    library: LibraryDep, query: Annotated[FailureQuery, Query()], _: Reader
) -> FailurePage:
    """Files that could not be ingested, or in which nobody speaks, latest first, a page at a time;
    names without folders.

    Uploads are not among them: their senders got the reason.
    """
    until, skip = _place(query.cursor)
    found = library.failures(kind=query.kind, limit=query.limit + 1, until=until, skip=skip)
    page = found[: query.limit]
    return FailurePage(
        data=[
            FailureOut.model_validate(
                {
                    **vars(one),
                    "file": Path(one.path).name,
                    "reason": answered(one.reason.replace(f"{Path(one.path).parent}/", "")),
                }
            )
            for one in page
        ],
        next=_cursor(page, until, skip) if len(found) > len(page) else None,
    )


@router.get("/shared-work", summary="How far shared ingests are")
def shared_work(library: LibraryDep, _: Reader) -> AllSharedWork:
    """Ingests and re-embeddings that processes on any machine share (`ingest --claim`): files,
    failures, rate and workers of all together. Finished ones stay until the next begins."""
    return AllSharedWork(
        data=[
            SharedWork.model_validate(
                {
                    **vars(one),
                    "work": one.run,
                    "named": without_paths(one.named),
                    "workers": len(one.workers),
                }
            )
            for one in library.shared_ingests()
        ]
    )


def _cursor(page: list[FailureDetails], until: datetime | None, skip: int) -> str:
    """Where the next page begins: the last moment listed, and how many of that moment were."""
    last = page[-1].failed_at
    same = sum(one.failed_at == last for one in page) + (skip if last == until else 0)
    return f"{round((last - _EPOCH) / timedelta(microseconds=1))}-{same}"


def _place(cursor: str | None) -> tuple[datetime | None, int]:
    if cursor is None:
        return None, 0
    moment, skip = cursor.split("-")
    return _EPOCH + timedelta(microseconds=int(moment)), int(skip)
