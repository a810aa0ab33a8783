"""Requests of the Python client: paths, pages, and answers that are problems."""

from __future__ import annotations

import json as json_text
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

T = TypeVar("T", bound=BaseModel)

OPERATIONS = {
    "search": ("post", "/v1/search"),
    "search_batch": ("post", "/v1/search/batch"),
    "predict": ("post", "/v1/predict"),
    "upload": ("post", "/v1/recordings"),
    "recordings": ("get", "/v1/recordings"),
    "recording": ("get", "/v1/recordings/{recording}"),
    "clips_of": ("get", "/v1/recordings/{recording}/clips"),
    "recording_audio": ("get", "/v1/recordings/{recording}/audio"),
    "erase": ("delete", "/v1/recordings/{recording}"),
    "erase_all": ("post", "/v1/erasures"),
    "compare": ("get", "/v1/compare"),
    "compare_files": ("post", "/v1/compare"),
    "label_all": ("post", "/v1/labels"),
    "jobs": ("get", "/v1/jobs"),
    "work": ("post", "/v1/jobs"),
    "job": ("get", "/v1/jobs/{job}"),
    "retry": ("post", "/v1/jobs/{job}/retry"),
    "follow": ("get", "/v1/jobs/{job}/events"),
    "changes": ("get", "/v1/events"),
    "clips": ("get", "/v1/clips"),
    "clip": ("get", "/v1/clips/{clip}"),
    "clip_audio": ("get", "/v1/clips/{clip}/audio"),
    "embedding": ("get", "/v1/clips/{clip}/embedding"),
    "label": ("put", "/v1/clips/{clip}/labels/{task}"),
    "unlabel": ("delete", "/v1/clips/{clip}/labels/{task}"),
    "tasks": ("get", "/v1/tasks"),
    "labels": ("get", "/v1/labels"),
    "stats": ("get", "/v1/stats"),
    "models": ("get", "/v1/models"),
    "failures": ("get", "/v1/failures"),
    "shared_work": ("get", "/v1/shared-work"),
    "trend": ("get", "/v1/recordings/{recording}/trend"),
    "trends": ("get", "/v1/trends"),
    "map": ("get", "/v1/map"),
    "clusterings": ("get", "/v1/clusterings"),
    "clustering": ("get", "/v1/clusterings/{name}"),
    "evaluation": ("get", "/v1/evaluation"),
    "suggestions": ("get", "/v1/suggestions"),
    "classifiers": ("get", "/v1/classifiers"),
    "agreement": ("get", "/v1/agreement"),
    "alerts": ("get", "/v1/alerts"),
    "add_alert": ("post", "/v1/alerts"),
    "delete_alert": ("delete", "/v1/alerts/{alert}"),
    "webhooks": ("get", "/v1/webhooks"),
    "add_webhook": ("post", "/v1/webhooks"),
    "delete_webhook": ("delete", "/v1/webhooks/{webhook}"),
    "test_webhook": ("post", "/v1/webhooks/{webhook}/test"),
    "deliveries": ("get", "/v1/webhooks/{webhook}/deliveries"),
    "replay": ("post", "/v1/webhooks/{webhook}/deliveries/{delivery}/replay"),
}
"""Methods of ``Client``, and the operation of the OpenAPI document that each calls."""


class ProblemError(Exception):
    """The service answered with a problem.

    Attributes:
        kind: the stable end of its type, such as ``not-found``.
        status: of HTTP.
        detail: the thing and the cure, for people.
        request_id: by which the server's log has it.
    """

    def __init__(self, kind: str, status: int, detail: str, request_id: str | None) -> None:
        super().__init__(f"{detail} ({kind}, {status})")
        self.kind = kind
        self.status = status
        self.detail = detail
        self.request_id = request_id


class Requests:
    """Requests to the service at an address.

    Args:
        key: one that ``emotion-search key create`` made, if the service wants one.
    """

    def __init__(self, http: httpx.Client, key: str | None) -> None:
        self._http = http
        self._headers = {"authorization": f"Bearer {key}"} if key else {}

    def _pages(
        self, name: str, kind: type[T], query: Mapping[str, Any], **path: Any
    ) -> Iterator[T]:
        params = dict(query)
        while True:
            page = self._call(name, params=params, **path).json()
            yield from (kind.model_validate(one) for one in page["data"])
            if page["next"] is None:
                return
            params["cursor"] = page["next"]

    def _call(
        self,
        operation: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        data: Any = None,
        files: Any = None,
        **path: Any,
    ) -> httpx.Response:
        method, template = OPERATIONS[operation]
        quoted = {  # dots too: clients resolve parts that are . or ..
            name: quote(str(value), safe="").replace(".", "%2E") for name, value in path.items()
        }
        answer = self._http.request(
            method.upper(),
            template.format(**quoted),
            params={k: as_text(v) for k, v in (params or {}).items() if v is not None},
            headers={**self._headers, **(headers or {})},
            json=json,
            data=data,
            files=files,
        )
        if answer.status_code >= 400:
            raise problem_of(answer)
        return answer

    def _events(self, path: str) -> Iterator[tuple[str, Any]]:
        """Server-sent events: name and data of each."""
        with self._http.stream("GET", path, headers=self._headers) as answer:
            if answer.status_code >= 400:
                answer.read()
                raise problem_of(answer)
            event = ""
            for line in answer.iter_lines():
                if line.startswith("event:"):
                    event = line.removeprefix("event:").strip()
                elif line.startswith("data:"):
                    yield event, json_text.loads(line.removeprefix("data:"))


def as_text(value: Any) -> Any:
    """Moments as ISO 8601, anything else as it is."""
    return value.isoformat() if isinstance(value, datetime) else value


def problem_of(answer: httpx.Response) -> ProblemError:
    """What went wrong, of an answer that is a problem, or a proxy's own page."""
    try:
        fields = answer.json()
    except ValueError:
        fields = None
    ours = isinstance(fields, dict) and str(fields.get("type", "")).startswith("urn:")
    fields = {
        "detail": answer.reason_phrase,
        **(fields if ours else {}),
        "status": answer.status_code,
    }
    return problem_in(fields, answer.headers.get("x-request-id"))


def problem_in(fields: Mapping[str, Any], request_id: str | None = None) -> ProblemError:
    """What went wrong, of a problem as JSON."""
    kind = str(fields.get("type", "about:blank")).rsplit(":", 1)[-1]
    return ProblemError(kind, int(fields["status"]), str(fields["detail"]), request_id)
