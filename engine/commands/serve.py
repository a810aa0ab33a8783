"""The HTTP service and its keys: ``serve``, ``key``."""

from __future__ import annotations

from typing import Annotated

import typer

from emotion_search.engine.commands.common import (
    ArchiveOptions,
    JsonOption,
    ModelOptions,
    choice,
    notice,
    open_library,
    print_json,
)
from emotion_search.index.disk.permissions import make_folder
from emotion_search.index.errors import DatabaseError, InvalidInputError


def serve(
    archive: ModelOptions,
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    open_to_anyone: Annotated[
        bool, typer.Option("--open-to-anyone", help="Serve other machines without any key.")
    ] = False,
    published_locally: Annotated[
        bool,
        typer.Option(
            "--published-locally",
            help="The port is let through to this machine alone, as from a container: without keys"
            " answer under its own names.",
        ),
    ] = False,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(help="Answer under this host name too while there are no keys; repeatable."),
    ] = None,
    root_path: Annotated[
        str | None, typer.Option(help="Path below which a proxy has the service.")
    ] = None,
    workers: Annotated[
        int,
        typer.Option(min=1, max=64, help="Processes that answer, each with a model of its own."),
    ] = 1,
) -> None:
    """Serve the search API; its description is at /docs.

    Beyond this machine a key is needed: make one first.

    \b
    emotion-search serve --port 8000
    emotion-search key create --name dashboard --scope write
    emotion-search serve --host 0.0.0.0 --workers 4
    emotion-search serve --root-path /emotions
    """
    from emotion_search.engine.api.http.access import OpenTo
    from emotion_search.engine.api.http.loopback import is_loopback
    from emotion_search.engine.api.http.prefix import checked
    from emotion_search.engine.api.server import run
    from emotion_search.engine.service.keys import keys

    here = is_loopback(host)
    if here and published_locally:
        raise InvalidInputError(
            f"--published-locally goes with a --host that is reached from elsewhere, not {host}"
        )
    settings = archive.settings(allowed_hosts=",".join(allowed_host or []), root_path=root_path)
    checked(settings.root_path)
    with open_library(settings, create=True) as library:  # says what is wrong before it starts
        known = keys(library.database)
        library.check_name(library.model())
        if library.database.read_only:
            raise DatabaseError("a server needs a database that it can write to: copy it first")
        make_folder(settings.uploads_folder)
        library.uploads.require()
    has_keys = any(key.revoked_at is None for key in known)
    open_to: OpenTo = "loopback" if here or published_locally else "nobody"
    if known and not has_keys:
        notice(
            "every key is revoked, so nobody can ask anything; make one: emotion-search key create"
        )
    if open_to_anyone:
        open_to = "anyone"
    elif open_to == "nobody" and not known:
        raise InvalidInputError(
            f"--host {host} is reached from other machines and the archive has no keys: make one"
            " with emotion-search key create --name NAME, or say --open-to-anyone"
        )
    if open_to_anyone and known:
        notice("keys were made, so every request needs one in spite of --open-to-anyone")
    run(settings, host=host, port=port, open_to=open_to, workers=workers)


key_app = typer.Typer(help="Make, list and revoke keys of the HTTP service.", no_args_is_help=True)


@key_app.command()
def create(
    archive: ArchiveOptions,
    name: Annotated[str, typer.Option(help="Who or what it is for.")],
    scope: Annotated[
        str, typer.Option(metavar="read|write|admin", help="What it may do.")
    ] = "read",
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it; it is shown only now.

    read searches, lists and plays; write also uploads and labels; admin also erases.

    \b
    emotion-search key create --name dashboard --scope write
    """
    from emotion_search.engine.files.values import check_text
    from emotion_search.engine.service.keys import Scope
    from emotion_search.engine.service.keys import create as create_key

    chosen = choice("--scope", scope, Scope)
    with archive.open(create=True) as library:
        token, made = create_key(library.database, name=check_text("--name", name), scope=chosen)
    if as_json:
        print_json({"name": made.name, "scope": made.scope, "key": token})
    else:
        print(token)
        notice("keep it now: only its hash is stored; send it as Authorization: Bearer KEY")


@key_app.command("list")
def list_(archive: ArchiveOptions, as_json: JsonOption = False) -> None:
    """List keys, their scopes, and whether they are revoked.

    \b
    emotion-search key list
    """
    from emotion_search.engine.service.keys import keys

    with archive.open() as library:
        found = keys(library.database)
    if not found:
        notice("there are no keys")
    for key in found:
        if as_json:
            names = ("name", "prefix", "scope", "created_at", "revoked_at")
            print_json({name: getattr(key, name) for name in names})
        else:
            revoked = key.revoked_at and f"revoked {key.revoked_at.isoformat()}"
            state = revoked or f"made {key.created_at:%Y-%m-%d}"
            print(f"{key.prefix}…  {key.scope:<5}  {key.name}  ({state})")


@key_app.command()
def revoke(
    archive: ArchiveOptions,
    name: Annotated[str, typer.Argument(help="Its name, or the beginning that list shows.")],
) -> None:
    """Revoke a key, within a second.

    \b
    emotion-search key revoke dashboard
    """
    from emotion_search.engine.service.keys import revoke as revoke_key

    with archive.open() as library:
        key = revoke_key(library.database, name)
    print(f"key {key.name} ({key.prefix}…) is revoked")
