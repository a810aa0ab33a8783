"""Clustering and 2-D maps of clips: ``cluster``, ``map``."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emotion_search.engine.commands.common import (
    ArchiveOptions,
    JsonOption,
    OverwriteOption,
    SeedOption,
    choice,
    claim,
    notice,
    print_found,
    print_json,
)
from emotion_search.index.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from emotion_search.index.database.clips import ClipDetails
    from emotion_search.index.database.filters import ClipFilter


def cluster(
    archive: ArchiveOptions,
    wanted: ClipFilter,
    name: Annotated[str | None, typer.Option(help="Save under this name.")] = None,
    method: Annotated[
        str,
        typer.Option(
            metavar="kmeans|hdbscan", help="Parts of all, or dense regions, the rest noise."
        ),
    ] = "kmeans",
    k: Annotated[
        int | None,
        typer.Option("-k", min=2, max=1000, help="Clusters of k-means; default: by silhouette."),
    ] = None,
    least: Annotated[
        int | None, typer.Option(min=2, help="Fewest clips of a cluster, for HDBSCAN.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the one of this name.")
    ] = False,
    show: Annotated[str | None, typer.Option("--show", help="Show one that is saved.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="List those that are saved.")] = False,
    delete: Annotated[str | None, typer.Option("--delete", help="Delete one.")] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Group clips that sound alike, and save the groups as a filter.

    \b
    emotion-search cluster --name moods
    emotion-search cluster --name unknown --method hdbscan --source support-2026
    emotion-search search --clip 42 --cluster moods:3
    """
    from emotion_search.engine.commands.show.clusters import (
        clustering_record,
        print_clustering,
        print_clusterings,
    )

    given = (name is not None, show is not None, listed, delete is not None)
    if given.count(True) != 1:
        raise InvalidInputError("give one of --name, --show, --list and --delete")
    with archive.open(wanted=wanted) as library:
        if listed:
            nothing = "no clustering yet; make one with: emotion-search cluster --name NAME"
            record = partial(clustering_record, clusters=False)
            print_found(library.clusterings(), as_json, record, print_clusterings, nothing)
            return
        if delete is not None:
            library.delete_clustering(delete)
            print(f"clustering {delete} deleted")
            return
        if name is not None:
            from emotion_search.engine.clusters.cluster import METHODS

            library.cluster(
                name,
                method=choice("--method", method, METHODS),
                k=k,
                least=least,
                task=wanted.task,
                wanted=wanted,
                replace=replace,
                seed=seed,
                progress=notice if sys.stderr.isatty() else lambda _: None,
            )
        found = library.clustering(str(name or show).strip())
    if as_json:
        print_json(clustering_record(found))
    else:
        print_clustering(found)


def map(  # noqa: A001
    archive: ArchiveOptions,
    wanted: ClipFilter,
    html: Annotated[Path | None, typer.Option(help="Write an interactive page here.")] = None,
    png: Annotated[Path | None, typer.Option(help="Write a picture here (matplotlib).")] = None,
    method: Annotated[
        str, typer.Option(metavar="pca|umap", help="The plane of most variance, or neighbours.")
    ] = "pca",
    colour: Annotated[
        str | None,
        typer.Option(
            metavar="emotion|label|predicted|source|speaker|cluster",
            help="What colours show; default: emotion, or cluster with --clustering.",
        ),
    ] = None,
    clustering: Annotated[
        str | None, typer.Option(help="Saved clustering, for colours by cluster.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Most points; of more clips, a random sample.")] = 5000,
    audio_base: Annotated[
        str | None, typer.Option(help="Server that plays the clips, such as http://127.0.0.1:8000.")
    ] = None,
    embed_audio: Annotated[
        int, typer.Option(min=0, help="Put the audio of so many clips into the page.")
    ] = 0,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Draw clips as points in a plane.

    Point at one to read what it is, and to hear it.

    \b
    emotion-search map --html map.html --colour label
    emotion-search map --html map.html --method umap --clustering moods
    emotion-search map --json --limit 500
    """
    from emotion_search.engine.clusters.project import METHODS
    from emotion_search.engine.commands.show.progress import working
    from emotion_search.engine.machine.progress import share
    from emotion_search.engine.pages import map as page
    from emotion_search.index.database.column_rows import ABSENT

    claim(html, png, overwrite=overwrite)
    if png is not None:
        page.require_png()
    if not (html or png or as_json):
        raise InvalidInputError("say what to write: --html map.html, --png map.png or --json")
    how = choice("--method", method, METHODS)
    by = choice("--colour", colour or ("cluster" if clustering else "emotion"), page.COLOURS)
    if by == "cluster" and clustering is None:
        raise InvalidInputError("--colour cluster goes with --clustering")
    if by != "cluster" and clustering is not None and not as_json:
        raise InvalidInputError("--clustering goes with --colour cluster or --json")
    if embed_audio > page.MOST_EMBEDDED:
        raise InvalidInputError(f"--embed-audio: {page.MOST_EMBEDDED} clips at most")
    sound: Callable[[ClipDetails], str | None] = page.file_url
    if audio_base:
        sound = page.api_url(audio_base)
    with archive.open(wanted=wanted) as library, working("map") as progress:
        drawing = progress
        if embed_audio:
            drawing = share(progress, 0, 0.5)
            sound = page.embedded(library.clip_audio, embed_audio, share(progress, 0.5, 1))
        made = library.map(
            method=how,
            limit=limit,
            task=wanted.task,
            clustering=clustering,
            wanted=wanted,
            progress=drawing,
        )
        if colour and by != "cluster" and (getattr(made.known, by).codes == ABSENT).all():
            under = f" under the task {wanted.task}" if by in ("label", "predicted") else ""
            raise NotFoundError(f"--colour {by}: none of these clips has one{under}")
        if html is not None:
            details = {clip.id: clip for clip in library.details(made.ids.tolist())}
            page.write_map(made, html, by=by, details=details, sound=sound)
        if png is not None:
            page.write_png(made, png, by=by)
    if as_json:
        for record in made.records():
            print_json(record)
    else:
        print(f"{page.about(made)} {', '.join(str(path) for path in (html, png) if path)}")
