"""Access control: API keys, their scopes, and what is open without keys."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from emotion_search.engine.api.http.deps import Gates, GatesDep
from emotion_search.engine.api.http.unknown_parameters import require_known
from emotion_search.engine.service.keys import KeyRing, Scope

OpenTo = Literal["loopback", "anyone", "nobody"]
"""To whom the service is open while no key was ever made: to this machine under its own names, to
every machine under any name, or to nobody."""

bearer = HTTPBearer(
    auto_error=False,
    scheme_name="key",
    description="A key made by `emotion-search key create`. Not needed on loopback while the"
    " archive has no keys.",
)


@dataclass(frozen=True)
class Caller:
    """Who sent a request: the key's beginning, empty where none is needed."""

    owner: str
    scope: Scope


class Needs:
    """A dependency that lets pass who has a key of this scope, and asks for nothing unknown."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def __call__(
        self,
        request: Request,
        gates: GatesDep,
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    ) -> Caller:
        """Who sent the request.

        Raises:
            HTTPException: 401 without a key in force, 403 where its scope does not suffice.
            RequestValidationError: the route has no such query parameter.
        """
        caller = await self._caller(request, gates, given)
        require_known(request)
        return caller

    async def _caller(
        self, request: Request, gates: Gates, given: HTTPAuthorizationCredentials | None
    ) -> Caller:
        ring: KeyRing = request.app.state.keys
        if not ring.is_fresh:
            await gates.signs.run(ring.refresh)
        if not ring.are_wanted and given is None:
            _require_neighbour(request)
            return Caller("", Scope.ADMIN)
        key = ring.find(given.credentials) if given else None
        if key is None:
            raise HTTPException(
                401,
                "send a key in force as 'Authorization: Bearer KEY'; one is made by:"
                " emotion-search key create",
                headers={"www-authenticate": "Bearer"},
            )
        if not Scope(key.scope).covers(self._scope):
            raise HTTPException(
                403, f"this needs a key of scope {self._scope}; that of {key.name} is {key.scope}"
            )
        return Caller(key.prefix, Scope(key.scope))


Reader = Annotated[Caller, Depends(Needs(Scope.READ))]
Writer = Annotated[Caller, Depends(Needs(Scope.WRITE))]
Admin = Annotated[Caller, Depends(Needs(Scope.ADMIN))]


def _require_neighbour(request: Request) -> None:
    """Without keys: refuse strangers, and web pages of strangers in a neighbour's browser.

    A page can make its own host name resolve to this machine, so a name with a dot in it is not
    believed; and a browser sends the page's origin with each request.
    """
    open_to: OpenTo = request.app.state.open_to
    if open_to == "nobody":
        raise HTTPException(
            401,
            "no key is in force; make one: emotion-search key create",
            headers={"www-authenticate": "Bearer"},
        )
    origin = request.headers.get("origin")
    allowed: list[str] = request.app.state.cors_origins
    if origin is not None and origin not in allowed and "*" not in allowed:
        try:
            same = urlsplit(origin).netloc == request.headers.get("host", "")
        except ValueError:
            same = False
        if not same:
            raise HTTPException(
                403, "pages of other origins may not call this (EMOTION_SEARCH_CORS_ORIGINS)"
            )
    if open_to == "loopback" and not _is_near(request.headers.get("host", "")):
        raise HTTPException(
            403,
            "without keys only this machine's own names are answered; make a key"
            " (emotion-search key create), or serve with --open-to-anyone",
        )


def _is_near(host: str) -> bool:
    """Whether a Host header names an address, or a name that no stranger can own."""
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return "." not in name or name.endswith(".localhost")
    return True


def is_loopback(host: str) -> bool:
    """Whether a server that listens on ``host`` is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
