"""Webhooks: make, list, test, delete; their deliveries, and sending one again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import Field

from emotion_search.engine.api.http.access import Admin
from emotion_search.engine.api.http.bodies import Asked, json_body
from emotion_search.engine.api.http.deps import LibraryDep, WebhooksDep, in_thread
from emotion_search.engine.api.http.openapi import json_or_form
from emotion_search.engine.api.wire import alerts as wire
from emotion_search.engine.api.wire.filters import MOST_LISTED, page_of
from emotion_search.index.database.webhooks import Delivery

router = APIRouter(prefix="/v1/webhooks", tags=["alerts"])

WebhookId = Annotated[int, Path(ge=1, lt=2**63, description="Id of the webhook.")]
DeliveryId = Annotated[int, Path(ge=1, lt=2**63, description="Id of the delivery.")]


class DeliveryQuery(Asked):
    """Parameters of a list of deliveries."""

    limit: int = Field(default=100, ge=1, le=MOST_LISTED, description="Most of the page.")
    cursor: int | None = Field(
        default=None, ge=1, lt=2**63, description="`next` of the page before."
    )


@router.get("", summary="List webhooks")
def webhooks(library: LibraryDep, _: Admin) -> wire.Webhooks:
    """Where events are sent, by id; without the secrets."""
    return wire.Webhooks(
        data=[
            wire.WebhookOut.model_validate({**vars(one), "webhook": one.id})
            for one in library.webhooks()
        ]
    )


@router.post(
    "",
    status_code=201,
    summary="Make a webhook",
    openapi_extra={"requestBody": json_or_form(wire.WebhookIn)},
)
async def add_webhook(request: Request, webhooks: WebhooksDep, _: Admin) -> wire.WebhookMade:
    """Has events sent to an address, from now on: signed as standardwebhooks.com has it with the
    secret, which only this answer shows; tried again for a day until it is answered with 2xx."""
    asked = await json_body(request, wire.WebhookIn)
    made = await in_thread(webhooks.add, asked.url, [*dict.fromkeys(asked.events)])
    return wire.WebhookMade.model_validate({**vars(made), "webhook": made.id})


@router.delete("/{webhook}", summary="Delete a webhook")
def delete_webhook(library: LibraryDep, webhook: WebhookId, _: Admin) -> wire.WebhookDeleted:
    """Sends nothing there any more, and forgets its deliveries."""
    library.delete_webhook(webhook)
    return wire.WebhookDeleted(webhook=webhook)


@router.get("/{webhook}/deliveries", summary="List deliveries of a webhook")
def deliveries(
    library: LibraryDep, webhook: WebhookId, query: Annotated[DeliveryQuery, Query()], _: Admin
) -> wire.DeliveryPage:
    """What was sent there and what waits, latest first, a page at a time; kept for seven days."""
    found = library.deliveries(webhook, limit=query.limit + 1, before_id=query.cursor)
    page, following = page_of(found, query.limit)
    return wire.DeliveryPage(data=[_out(one) for one in page], next=following)


@router.post(
    "/{webhook}/deliveries/{delivery}/replay", status_code=202, summary="Send a delivery again"
)
def replay(
    library: LibraryDep, webhook: WebhookId, delivery: DeliveryId, _: Admin
) -> wire.DeliveryOut:
    """Sends it again within seconds, whatever became of it, under the same `webhook-id`."""
    return _out(library.replay_delivery(webhook, delivery))


@router.post("/{webhook}/test", status_code=202, summary="Test a webhook")
def send_test(library: LibraryDep, webhook: WebhookId, _: Admin) -> wire.DeliveryOut:
    """Sends `webhook.test` there within seconds, whatever types of events it is for; its delivery
    shows what came of it."""
    return _out(library.test_webhook(webhook))


def _out(one: Delivery) -> wire.DeliveryOut:
    return wire.DeliveryOut.model_validate({**vars(one), "delivery": one.id})
