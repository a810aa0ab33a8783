"""Log lines of the service, for people or as JSON, each with the request's id."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

from emotion_search.engine.api.http.requests import request_id

_OF_REQUESTS = ("method", "route", "status", "ms")


class JsonLines(logging.Formatter):
    """A JSON object a line: ``time``, ``level``, ``logger``, ``message``, ``request_id``, and of
    answers ``method``, ``route``, ``status`` and ``ms``."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if its_id := request_id.get():
            line["request_id"] = its_id
        line |= {name: vars(record)[name] for name in _OF_REQUESTS if name in vars(record)}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class TextLines(logging.Formatter):
    """Time, level, message, and the request's id where there is one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line without what may follow it; a line feed in a name begins no other."""
        line = super().formatMessage(record).replace("\n", "\\n")
        return f"{line} [{its_id}]" if (its_id := request_id.get()) else line


def configure(log_format: Literal["text", "json"]) -> None:
    """Send this process's log to stderr in this format."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if log_format == "json" else TextLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for name in ("emotion_search", "uvicorn"):
        logging.getLogger(name).setLevel(logging.INFO)
