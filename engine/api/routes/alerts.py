"""Alert rules: make, list, delete."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from emotion_search.engine.api.http.access import Reader, Writer
from emotion_search.engine.api.http.bodies import json_body
from emotion_search.engine.api.http.deps import AlertsDep, LibraryDep, in_thread
from emotion_search.engine.api.http.openapi import json_or_form
from emotion_search.engine.api.wire.alerts import AlertDeleted, AlertIn, AlertOut, Alerts
from emotion_search.index.database.alerts import AlertDetails

router = APIRouter(prefix="/v1/alerts", tags=["alerts"])

AlertId = Annotated[int, Path(ge=1, lt=2**63, description="Id of the rule.")]


@router.get("", summary="List alerts")
def alerts(library: LibraryDep, _: Reader) -> Alerts:
    """The rules that are kept, by name, each with its state and what set it off last."""
    return Alerts(data=[_out(one) for one in library.alerts()])


@router.post(
    "",
    status_code=201,
    summary="Keep an alert",
    openapi_extra={"requestBody": json_or_form(AlertIn)},
    responses={200: {"model": AlertOut, "description": "The same rule was kept already."}},
)
async def add_alert(request: Request, response: Response, alerts: AlertsDep, _: Writer) -> AlertOut:
    """Keeps a rule, which is checked a few seconds after recordings arrive: those that come from
    now on. What sets it off is listed here, and sent to webhooks as `alert.fired`."""
    asked = await json_body(request, AlertIn)
    kept, is_new = await in_thread(alerts.add, asked.new())
    if not is_new:
        response.status_code = 200
    return _out(kept)


@router.delete("/{alert}", summary="Delete an alert")
def delete_alert(library: LibraryDep, alert: AlertId, _: Writer) -> AlertDeleted:
    """Deletes a rule, with what set it off."""
    library.delete_alert(alert)
    return AlertDeleted(alert=alert)


def _out(one: AlertDetails) -> AlertOut:
    return AlertOut.model_validate({**vars(one), "alert": one.id})
