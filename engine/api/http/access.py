"""Access control: API keys, their scopes, and what is open without keys."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from emotion_search.engine.api.http.deps import Gates
from emotion_search.engine.api.http.gates import owner
from emotion_search.engine.api.http.origins import is_answered, refuse_foreign_page
from emotion_search.engine.api.http.unknown_parameters import require_known
from emotion_search.engine.service.keys import KeyRing, Scope
from emotion_search.index.errors import DatabaseError

OpenTo = Literal["loopback", "anyone", "nobody"]
"""To whom the service is open while no key was ever made: to this machine under its own names (and
those that the setting ``allowed_hosts`` has), to every machine under any name (or, where it has
some, those), or to nobody."""

_PATIENCE_S = 2.0  # with the database, before keys of a moment ago do

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

    def require(self, scope: Scope) -> None:
        """Refuse callers whose key is of less.

        Raises:
            HTTPException: 403.
        """
        if not self.scope.covers(scope):
            raise HTTPException(403, f"this needs a key of scope {scope}")


class Needs:
    """A dependency that lets pass who has a key of this scope, and asks for nothing unknown.

    Args:
        offline: go by the keys that were read last where the database does not answer soon.
    """

    def __init__(self, scope: Scope, *, offline: bool = False) -> None:
        self._scope, self._offline = scope, offline

    async def __call__(
        self,
        request: Request,
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    ) -> Caller:
        """Who sent the request.

        Raises:
            HTTPException: 401 without a key in force, 403 where its scope does not suffice, and to
                pages of other origins.
            RequestValidationError: the route has no such query parameter.
        """
        refuse_foreign_page(request, request.app.state.cors_origins)
        caller = await self._caller(request, given)
        owner.set(caller.owner)
        require_known(request)
        return caller

    async def _caller(self, request: Request, given: HTTPAuthorizationCredentials | None) -> Caller:
        ring: KeyRing = request.app.state.keys
        if not ring.is_fresh:
            await self._refresh(request.app.state.gates, ring)
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

    async def _refresh(self, gates: Gates, ring: KeyRing) -> None:
        refreshing = asyncio.ensure_future(gates.signs.run(ring.refresh))
        if not self._offline:
            await refreshing
            return
        refreshing.add_done_callback(lambda one: one.cancelled() or one.exception())
        done, _ = await asyncio.wait([refreshing], timeout=_PATIENCE_S)
        error = refreshing.exception() if done else None
        if error is not None and not isinstance(error, DatabaseError):
            raise error


Reader = Annotated[Caller, Depends(Needs(Scope.READ))]
Writer = Annotated[Caller, Depends(Needs(Scope.WRITE))]
Scraper = Annotated[Caller, Depends(Needs(Scope.READ, offline=True))]
Admin = Annotated[Caller, Depends(Needs(Scope.ADMIN))]


def _require_neighbour(request: Request) -> None:
    """Without keys: refuse strangers, and those who call this machine by a name that is not its."""
    open_to: OpenTo = request.app.state.open_to
    if open_to == "nobody":
        raise HTTPException(
            401,
            "no key is in force; make one: emotion-search key create",
            headers={"www-authenticate": "Bearer"},
        )
    names: frozenset[str] = request.app.state.allowed_hosts
    any_name = open_to == "anyone" and not names
    if not any_name and not is_answered(request.headers.get("host", ""), names):
        raise HTTPException(
            403,
            "without keys only this machine's own names are answered; make a key"
            " (emotion-search key create), or serve with --allowed-host or --open-to-anyone",
        )
