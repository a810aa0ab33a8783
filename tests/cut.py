"""A network that can be cut before Postgres: what is sent neither arrives nor fails."""

from __future__ import annotations

import select
import socket
import threading
from pathlib import Path

from sqlalchemy import make_url

SOCKET = ".s.PGSQL.5432"


class Cut:
    """Forwards connections to the server of ``url``, which has a Unix socket.

    Attributes:
        url: of the same database through here.
    """

    def __init__(self, url: str, folder: Path) -> None:
        folder.mkdir()
        whole = make_url(url)
        self._target = f"{whole.query['host']}/{SOCKET}"
        through = whole.update_query_dict({"host": str(folder)})
        self.url = through.render_as_string(hide_password=False)
        self._whole = threading.Event()
        self._whole.set()
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / SOCKET))
        self._listening.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Nothing gets through any more; connections stay open."""
        self._whole.clear()

    def mend(self) -> None:
        """What waited goes on its way."""
        self._whole.set()

    def _accept(self) -> None:
        while True:
            near, _ = self._listening.accept()
            far = socket.socket(socket.AF_UNIX)
            try:
                far.connect(self._target)
            except OSError:  # it is down
                near.close()
                continue
            threading.Thread(target=self._forward, args=(near, far), daemon=True).start()

    def _forward(self, near: socket.socket, far: socket.socket) -> None:
        other = {near: far, far: near}
        while True:
            ready, _, _ = select.select([near, far], [], [])
            self._whole.wait()
            for one in ready:
                try:
                    data = one.recv(1 << 16)
                    other[one].sendall(data)
                except OSError:
                    data = b""
                if not data:
                    near.close()
                    far.close()
                    return
