"""uvicorn's HTTP connection with limits on headers, idle time and unread bytes."""

from __future__ import annotations

import time
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_MOST_HEAD = 64 * 1024  # bytes before a request's body begins, or after it
_HEAD_S = 15.0  # in which a connection has to say what it wants
_READ_S = 30.0  # in which it has to read some of what it was sent
_LEAST_READ = 16 * 1024

_REFUSAL = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"connection: close\r\ncontent-length: 0\r\n\r\n"
)


class Connection(HttpToolsProtocol):
    """uvicorn's, with limits on what it keeps for one who sends nothing, all too much, or who never
    reads the answer."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._understood = False
        self._unparsed = 0  # bytes since the parser last found more than headers
        self._silent_since: float | None = None
        self._unread: tuple[int, float] | None = None

    def is_overdue(self, now: float, *, patience: float = 1.0) -> bool:
        """Whether it takes too long over a request's head, or over reading an answer; asked for
        once a second or so.

        Args:
            now: of ``time.monotonic``.
            patience: share of the usual time that it has.
        """
        resting = self.timeout_keep_alive_task is not None
        answering = self.cycle is not None and not self.cycle.response_complete
        if resting or answering or self.transport.is_closing():
            self._silent_since = None
        elif self._silent_since is None:
            self._silent_since = now
        elif now - self._silent_since > _HEAD_S * patience:
            return True
        waiting = self.transport.get_write_buffer_size()
        if not waiting:
            self._unread = None
        elif self._unread is None or waiting <= self._unread[0] - _LEAST_READ:
            self._unread = waiting, now
        return self._unread is not None and now - self._unread[1] > _READ_S * patience

    def resume_writing(self) -> None:
        """Called when enough was read for more to be sent."""
        self._unread = None
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Called with what the other side sends."""
        self._understood = False
        super().data_received(data)
        self._unparsed = 0 if self._understood else self._unparsed + len(data)
        if self._unparsed > _MOST_HEAD and not self.transport.is_closing():
            if self.cycle is None or self.cycle.response_complete:
                self.transport.write(_REFUSAL)
                self.transport.close()
            else:
                self.transport.abort()

    def on_message_begin(self) -> None:
        """Called at a request's first byte."""
        self._understood = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Called between head and body."""
        self._understood = True
        self._silent_since = None
        super().on_headers_complete()

    def on_chunk_header(self) -> None:
        """Called before each chunk of a body."""
        self._understood = True

    def on_body(self, body: bytes) -> None:
        """Called with a part of the body."""
        self._understood = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Called at a request's last byte."""
        self._understood = True
        super().on_message_complete()


def overdue(connections: Any, *, patience: float = 1.0) -> list[Connection]:
    """Those of a server's connections that are overdue."""
    now = time.monotonic()
    ours = [one for one in list(connections) if isinstance(one, Connection)]
    return [one for one in ours if one.is_overdue(now, patience=patience)]
